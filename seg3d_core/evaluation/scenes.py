"""Which labelled scenes a command line means, and how each is loaded."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from seg3d_core.data.agile3d import AGILE3D_PREFIX, agile3d_files, agile3d_group, read_agile3d
from seg3d_core.data.cloud_files import SUFFIXES, read_labelled
from seg3d_core.data.playback import ROOM_PREFIX
from seg3d_core.data.room_sequence import ROOM_FRAMES
from seg3d_core.data.scenes import IdKind, SceneFolder
from seg3d_core.data.scenes.description import sha256_of
from seg3d_core.errors import ConfigError
from seg3d_core.evaluation.folders import (
    SCENE_PREFIX,
    folder_fingerprint,
    is_scene_folder,
    read_folder,
    scene_folders,
)
from seg3d_core.evaluation.kinect_view import KinectView
from seg3d_core.evaluation.osd import OSD_PREFIX, osd_files, read_osd
from seg3d_core.evaluation.rooms import fused_room, room_fingerprint
from seg3d_core.evaluation.truth import Report, Truth
from seg3d_core.evaluation.views import FolderViews, Views
from seg3d_core.types import LabelledCloud

BACKGROUND_NAMES = frozenset({"floor", "wall", "walls", "ceiling", "background", "table", "supporting table"})
"""Instances of these names in a labelled file are what things stand on or before, not things."""


@dataclass(frozen=True)
class SceneSource:
    """A scene that is not loaded yet.

    Attributes:
        name: as on the command line; tells the scene from all others.
        fingerprint: changes when the scene does.
        load: reads or renders it; raises InputError.
        group: scenes of one group are one where means over scenes are taken; empty: the scene is its own.
        views: finds the images that it was made from without loading it; None where there are none.
    """

    name: str
    fingerprint: Callable[[], str]
    load: Callable[[Report], Truth]
    group: str = ""
    views: Callable[[], Views | None] = lambda: None


def find_scenes(specs: Sequence[str], level: IdKind = "instance") -> list[SceneSource]:
    """The scenes that ``specs`` name, folders expanded, in this order.

    A spec is a scene folder, a labelled cloud (.ply, .pcd, .npz), a folder of either, ``room:SEED[:FRAMES]``,
    ``scene:PATH``, ``osd:PATH`` or ``agile3d:PATH``. Nothing is loaded.

    Args:
        specs: as on the command line.
        level: what are objects in scene folders: whole things, or their parts.

    Raises:
        ConfigError: a spec has no meaning, nothing is there, a folder has no clouds, or a scene is named twice.
    """
    scenes = [scene for spec in specs for scene in _expand(spec, level)]
    twice = [name for name, count in Counter(scene.name for scene in scenes).items() if count > 1]
    if twice:
        raise ConfigError(f"{', '.join(twice)}: given more than once, and would count more than once")
    return scenes


def _expand(spec: str, level: IdKind) -> list[SceneSource]:
    if spec.startswith(SCENE_PREFIX) or is_scene_folder(Path(spec)):
        return [_folder(folder, level) for folder in scene_folders(Path(spec.removeprefix(SCENE_PREFIX)))]
    if spec.startswith(ROOM_PREFIX):
        return [_room(spec)]
    if spec.startswith(OSD_PREFIX):
        return [_view(file) for file in osd_files(Path(spec.removeprefix(OSD_PREFIX)))]
    if spec.startswith(AGILE3D_PREFIX):
        files = agile3d_files(Path(spec.removeprefix(AGILE3D_PREFIX)))
        return [replace(_file(file, read_agile3d), group=agile3d_group(file)) for file in files]
    path = Path(spec)
    if path.is_file():
        return [_file(path, read_labelled)]
    if not path.is_dir():
        raise ConfigError(
            f"{spec}: no such file or folder, and none of {ROOM_PREFIX}SEED[:FRAMES], {SCENE_PREFIX}PATH, "
            f"{OSD_PREFIX}PATH and {AGILE3D_PREFIX}PATH"
        )
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
    if not files:
        raise ConfigError(f"{spec}: no {', '.join(SUFFIXES)} and no scene folder in this folder")
    return [_file(file, read_labelled) for file in files]


def _room(spec: str) -> SceneSource:
    found = re.fullmatch(rf"{ROOM_PREFIX}(\d+)(?::(\d+))?", spec, re.ASCII)
    if found is None:
        raise ConfigError(f"{spec!r}: a room is {ROOM_PREFIX}SEED or {ROOM_PREFIX}SEED:FRAMES, for example room:3:100")
    seed, frames = int(found[1]), int(found[2] or ROOM_FRAMES)
    if frames < 2:
        raise ConfigError(f"{spec!r}: {frames} frames, a camera path has at least 2")
    name = f"{ROOM_PREFIX}{seed}:{frames}"
    return SceneSource(name, partial(room_fingerprint, seed, frames), partial(fused_room, seed, frames))


def _view(path: Path) -> SceneSource:
    """A scene of the database with the image that it was."""
    view = KinectView(path, read_osd)

    def load(report: Report) -> Truth:
        return replace(_load(path, read_osd, report), views=view)

    return replace(_file(path, read_osd), load=load, views=lambda: view)


def _folder(folder: SceneFolder, level: IdKind) -> SceneSource:
    """A scene folder; its parts are a scene of their own."""
    name = str(folder.path) if level == "instance" else f"{folder.path} parts"
    views = partial(FolderViews, folder)
    return SceneSource(
        name, partial(folder_fingerprint, folder, level), partial(read_folder, folder, level), views=views
    )


def _file(path: Path, read: Callable[[Path], LabelledCloud]) -> SceneSource:
    return SceneSource(str(path), partial(sha256_of, path), partial(_load, path, read))


def _load(path: Path, read: Callable[[Path], LabelledCloud], report: Report) -> Truth:
    report(0.0, "reading")
    labelled = read(path)
    named = {number for number, name in labelled.names.items() if name.lower() in BACKGROUND_NAMES}
    up = _up(labelled, named)
    if labelled.cloud.viewpoint is not None:
        labelled = replace(labelled, cloud=replace(labelled.cloud, up=np.array(up)))
    return Truth(labelled, frozenset(named), up)


def _up(labelled: LabelledCloud, background: set[int]) -> tuple[float, float, float]:
    """Up: z, or for the view of one camera the normal of the table, towards the camera."""
    rows = np.isin(labelled.instance_id, list(background))
    if labelled.cloud.viewpoint is None or rows.sum() < 3:
        return 0.0, 0.0, 1.0
    points = labelled.cloud.points[rows].astype(np.float64)
    middle = points.mean(axis=0)
    normal = np.linalg.eigh(np.cov((points - middle).T))[1][:, 0]
    if normal @ (labelled.cloud.viewpoint - middle) < 0:
        normal = -normal
    return float(normal[0]), float(normal[1]), float(normal[2])
