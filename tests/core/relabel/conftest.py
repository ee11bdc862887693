"""A table with two boxes and a ball on it, seen by four cameras: a scene folder whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from seg3d_core.data.scenes import SceneCloud, SceneFolder, SceneWriter
from seg3d_core.geometry.backprojection import backproject
from seg3d_core.geometry.camera import Camera
from seg3d_core.geometry.voxels import voxelize
from seg3d_core.interaction.candidates import MaskCandidates
from seg3d_core.relabel.edits import ModelIdentity
from seg3d_core.relabel.models import Models
from seg3d_core.relabel.session import RelabelSession
from seg3d_core.relabel.settings import RelabelConfig
from seg3d_core.types import Cloud, RgbdFrame

TABLE, TALL, FLAT, BALL = 1, 2, 3, 4
COLOURS = np.array([[0, 0, 0], [0.6, 0.5, 0.4], [0.8, 0.1, 0.1], [0.1, 0.2, 0.7], [0.1, 0.7, 0.2]])
BOXES = {TALL: ((0.0, 0.0, 0), (0.15, 0.12, 0.3)), FLAT: ((0.3, 0.1, 0), (0.55, 0.4, 0.1))}
"""Low and high corners, m; the table's top is z = 0, from -0.5 m to 0.8 m."""
CENTRE, RADIUS_M = np.array([0.1, 0.4, 0.08]), 0.08
CAMERA = Camera(160, 120, np.array([[130.0, 0, 79.5], [0, 130.0, 59.5], [0, 0, 1]]))


def cast(origin, rays):
    """Distance (in lengths of the ray) and thing that each ray (R, 3) hits; 0 and 0 where none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        along = [-origin[2] / rays[:, 2]]
        at = origin + along[0][:, None] * rays
        along[0][(np.abs(at[:, :2] - 0.15) > 0.65).any(axis=1) | (along[0] <= 0)] = np.inf
        for low, high in BOXES.values():
            enter, leave = ((np.array(corner) - origin) / rays for corner in (low, high))
            near, far = np.minimum(enter, leave).max(axis=1), np.maximum(enter, leave).min(axis=1)
            along.append(np.where((near <= far) & (near > 0), near, np.inf))
        offset, square = origin - CENTRE, (rays**2).sum(axis=1)
        half = rays @ offset
        root = half**2 - square * (offset @ offset - RADIUS_M**2)
        along.append(np.where(root > 0, (-half - np.sqrt(np.maximum(root, 0))) / square, np.inf))
    nearest = np.argmin(along, axis=0)
    distance = np.min(along, axis=0)
    return np.where(np.isfinite(distance), distance, 0), np.where(np.isfinite(distance), nearest + 1, 0)


def look(eye, target=(0.2, 0.2, 0.05)):
    forward = np.subtract(target, eye) / np.linalg.norm(np.subtract(target, eye))
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = np.stack([right, np.cross(forward, right), forward], axis=1), eye
    return T


def take(number, T):
    rays = CAMERA.rays().reshape(-1, 3) @ T[:3, :3].T
    depth, things = cast(T[:3, 3], rays.astype(np.float64))
    shape = (CAMERA.height, CAMERA.width)
    rgb = COLOURS[things].reshape(*shape, 3).astype(np.float32)
    return RgbdFrame(depth.reshape(shape).astype(np.float32), CAMERA, rgb, T, "map", number), things


def write_scene(path, truth=False, frames=True):
    """The scene folder and the true thing of each of its points."""
    seen, ids = [], []
    with SceneWriter(path, {"boxes": 0}) as writer:
        for number, eye in enumerate([(1.1, -0.6, 0.8), (-0.8, -0.5, 0.7), (-0.5, 1.1, 0.9), (1.0, 1.0, 1.1)]):
            frame, things = take(number, look(eye))
            if frames or not number:
                writer.add(f"{number}", frame)
            seen.append(backproject(frame, 0.1, 5.0))
            ids.append(things[seen[-1].source_index])
        points, rgb = (np.concatenate([getattr(one, name) for one in seen]) for name in ("points", "rgb"))
        first = voxelize(points, 0.01).first_point
        things = np.concatenate(ids)[first].astype(np.int32)
        cloud = Cloud(points[first], rgb[first], frame_id="map")
        instance = things if truth else None
        names = {TABLE: "table", TALL: "tall", FLAT: "flat", BALL: "ball"} if truth else {}
        scene = writer.finish(
            SceneCloud(cloud, np.zeros(len(first), np.int32), instance, None, names),
            np.array([0.0, 0, 1]),
            name=path.name,
            source="made",
            layout="synth",
            structure_ids=(TABLE,) if truth else (),
            instance_names=names,
        )
    return scene, things


class KnowsAll:
    """Answers a click with the thing that was clicked, without those that were clicked beside, and nothing else."""

    description = "knows all"

    def __init__(self, truth):
        self.truth, self.asked, self.shown = truth, 0, 0

    def set_cloud(self, cloud):
        self.cloud = cloud
        self.shown += 1

    def predict(self, prompt, mask_input=None, multimask=None):
        self.asked += 1
        rows = [int(np.abs(self.cloud.points - point).sum(axis=1).argmin()) for point in prompt.points]
        meant = set(self.truth[rows][prompt.is_foreground]) - set(self.truth[rows][~prompt.is_foreground])
        inside = np.isin(self.truth, list(meant))
        near = np.linalg.norm(self.cloud.points - prompt.points[0], axis=1) < 0.06
        masks = np.stack([inside, inside & near, np.ones_like(near)])[: 3 if multimask else 1]
        scores = np.array([0.9, 0.8, 0.3], np.float32)[: len(masks)]
        return MaskCandidates(self.cloud, np.where(masks, 4, -4).astype(np.float32), scores, scores)


class Told(Models):
    """Clicks are answered by somebody who knows."""

    def __init__(self, truth):
        super().__init__(RelabelConfig.build({}))
        self.prompt = KnowsAll(truth)
        self.prompt_identity = ModelIdentity("told", "0123")


@pytest.fixture
def table(tmp_path):
    return write_scene(tmp_path / "table")


@pytest.fixture
def labelled_table(tmp_path):
    return write_scene(tmp_path / "table", truth=True)


@pytest.fixture
def relabel():
    """Opens sessions, and closes them after the test."""
    opened = []

    def open_session(scene, models, **settings):
        session = RelabelSession(SceneFolder.open(scene.path), models, RelabelConfig.build(settings))
        opened.append(session)
        return session

    yield open_session
    for session in opened:
        session.close()


@pytest.fixture
def told_class():
    return Told


@pytest.fixture
def session(table, relabel, told_class):
    return relabel(table[0], told_class(table[1]))


@pytest.fixture
def things(table):
    return table[1]
