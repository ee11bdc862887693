"""A scene folder that is small and whose truth is known."""

from __future__ import annotations

import numpy as np

from seg3d_core.data.scenes import SceneCloud, SceneFolder, SceneWriter
from seg3d_core.data.scenes.id_images import MASK_NONE, write_id_image
from seg3d_core.geometry.camera import Camera
from seg3d_core.types import Cloud, RgbdFrame

CAMERA = Camera(64, 48, np.array([[60.0, 0, 31.5], [0, 60.0, 23.5], [0, 0, 1]]))
OBJECTS = 3
FLOOR = 9


def make_scene(path, *, truth=True, parts=True, masks=True) -> SceneFolder:
    """A floor with three boards on it, seen from above by two cameras; board 2 has two parts, 1 and 2.

    Boards are 0.5 m wide, their lower edges at x = -0.75, -0.25 and 0.25 m, 2 m below the cameras; what is beyond
    them is floor. 2-D masks are perfect, with numbers that differ from frame to frame.
    """
    with SceneWriter(path, {"test": path.name}) as writer:
        ids = []
        for number, shift in enumerate((-0.2, 0.2)):
            T = np.array([[1, 0, 0, shift], [0, -1, 0, 0], [0, 0, -1, 2], [0, 0, 0, 1.0]])
            x = (np.arange(64) - 31.5) / 60 * 2 + shift
            ids.append(np.broadcast_to(board(x), (48, 64)).astype(np.int32))
            rgb = np.full((48, 64, 3), 0.5, np.float32)
            frame = RgbdFrame(np.full((48, 64), 2, np.float32), CAMERA, rgb, T, "map", number)
            writer.add(f"{number}", frame, instance_ids=ids[-1].copy())
        scene = writer.finish(
            cloud(truth, parts), np.array([0.0, 0.0, 1.0]), name=path.name, source="made", layout="synth",
            structure_ids=(FLOOR,) if truth else (), instance_names={1: "a", 2: "b", 3: "c", FLOOR: "floor"},
            part_owners={1: 2, 2: 2} if parts else {}, part_names={1: "left", 2: "right"} if parts else {},
        )  # fmt: skip
    for number in range(2 if masks else 0):
        target = scene.mask_path("graph", number)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_id_image(target, (ids[number] * (number + 1)).astype(np.int32), MASK_NONE)
    return scene


def board(x):
    """Id of the board, or of the floor, at ``x``."""
    place = np.floor((x + 0.75) / 0.5).astype(int)
    return np.where((place >= 0) & (place < OBJECTS), place + 1, FLOOR)


def cloud(truth, parts) -> SceneCloud:
    points = np.random.default_rng(0).uniform((-1.1, -0.7, 0), (1.1, 0.7, 0), (8000, 3)).astype(np.float32)
    instance = board(points[:, 0]).astype(np.int32)
    part = np.where(instance == 2, np.where(points[:, 0] < 0, 1, 2), -1).astype(np.int32)
    return SceneCloud(
        Cloud(points, np.full(points.shape, 0.5, np.float32), frame_id="map"),
        np.zeros(len(points), np.int32),
        instance if truth else None,
        part if parts else None,
        {1: "a", 2: "b", 3: "c", FLOOR: "floor"} if truth else {},
    )
