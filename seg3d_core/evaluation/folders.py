"""Scene folders as they are evaluated: their cloud, their true things or parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from seg3d_core.data.scenes import IdKind, SceneCloud, SceneFolder, find_scene_folders
from seg3d_core.data.scenes.description import SCENE_JSON, sha256_of
from seg3d_core.data.scenes.folder import CLOUD_FILE
from seg3d_core.errors import ConfigError, InputError
from seg3d_core.evaluation.truth import Report, Truth
from seg3d_core.evaluation.views import FolderViews
from seg3d_core.types import LabelledCloud

SCENE_PREFIX = "scene:"


def is_scene_folder(path: Path) -> bool:
    """Whether ``path`` is a scene folder or has some in it."""
    return path.is_dir() and ((path / SCENE_JSON).is_file() or any(path.glob(f"*/{SCENE_JSON}")))


def scene_folders(path: Path) -> list[SceneFolder]:
    """The scene folder, or those in it.

    Raises:
        ConfigError: nothing is there, or a scene.json is damaged.
    """
    try:
        return find_scene_folders([path])
    except InputError as error:
        raise ConfigError(f"{SCENE_PREFIX}{path}: {error}") from error


def folder_fingerprint(folder: SceneFolder, level: IdKind) -> str:
    """Level, and SHA-256 of the cloud."""
    return f"{level} {sha256_of(folder.path / CLOUD_FILE)}"


def read_folder(folder: SceneFolder, level: IdKind, report: Report) -> Truth:
    """Cloud and truth of a scene folder; floor, walls and ceiling are background.

    With ``level`` "part" a thing without parts counts as one, and the parts of floor and walls are background.

    Raises:
        InputError: damaged, or without truth of that level.
    """
    report(0.0, "reading")
    scene = folder.cloud()
    up = float(folder.up[0]), float(folder.up[1]), float(folder.up[2])
    if level == "instance":
        return Truth(scene.labelled, folder.structure_ids, up, FolderViews(folder))
    labelled, owners = _parts(scene, folder.description.part_names), folder.description.part_owners
    shift = _shift(scene)
    structure = {part for part, owner in owners.items() if owner in folder.structure_ids}
    structure |= {shift + instance for instance in folder.structure_ids}
    return Truth(labelled, frozenset(structure), up, FolderViews(folder))


def _parts(scene: SceneCloud, part_names: dict[int, str]) -> LabelledCloud:
    """Part of every point; where there is none, the thing itself, in numbers beyond those of the parts."""
    if scene.part_id is None:
        raise InputError("the scene has no true parts")
    instances, shift = scene.labelled.instance_id, _shift(scene)
    whole = np.where(instances > 0, instances + shift, instances)
    ids = np.where(scene.part_id > 0, scene.part_id, whole).astype(np.int32)
    return LabelledCloud(scene.cloud, ids, part_names | {shift + one: name for one, name in scene.names.items()})


def _shift(scene: SceneCloud) -> int:
    assert scene.part_id is not None
    return int(scene.part_id.max(initial=0))
