"""What can be relabelled: scene folders, and cloud files and recordings, of which scene folders are made first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int32

from seg3d_core.config import SUPERPOINTS
from seg3d_core.data.cloud_files import SUFFIXES, read_cloud, read_labelled
from seg3d_core.data.scenes import SceneCloud, SceneFolder, find_scene_folders
from seg3d_core.data.scenes.cloud import write_scene_cloud
from seg3d_core.data.scenes.description import SCENE_JSON, SceneDescription, sha256_of
from seg3d_core.data.scenes.folder import CLOUD_FILE
from seg3d_core.data.scenes.fusion import superpoints_of
from seg3d_core.data.scenes.import_run import import_source
from seg3d_core.data.scenes.import_settings import ImportConfig
from seg3d_core.data.scenes.sources import is_bag, open_recordings
from seg3d_core.errors import InputError
from seg3d_core.relabel.recorded_cloud import newest_cloud, topic_to_relabel
from seg3d_core.types import Cloud

CLOUD_LAYOUT = "cloud"
"""Layout of a scene folder that was made of a cloud; it has no frames."""


def open_targets(
    paths: Sequence[Path], to: Path, say: Callable[[str], object], cloud_topic: str = ""
) -> list[SceneFolder]:
    """Scene folders of everything in ``paths``, in that order.

    Args:
        paths: scene folders, folders of them, .ply, .pcd and .npz clouds, and all that ``seg3d data import`` reads.
        to: where scene folders of clouds and recordings are made; those that are there already are taken.
        say: is told what was made.
        cloud_topic: of bags, see ``topic_to_relabel``.

    Raises:
        InputError: a path is not there or of no kind that is known, what is at ``to`` was made of something else, or
            a scene is named twice.
    """
    scenes: list[SceneFolder] = []
    for path in paths:
        if path.suffix.lower() in SUFFIXES and not path.is_dir():
            scenes.append(_scene_of_cloud(path, to, say))
        elif path.is_dir() and ((path / SCENE_JSON).is_file() or any(path.glob(f"*/{SCENE_JSON}"))):
            scenes += find_scene_folders([path])
        else:
            topic = topic_to_relabel(path, cloud_topic) if path.exists() and is_bag(path) else ""
            scenes += [_scene_of_bag(path, topic, to, say)] if topic else _scenes_of_recording(path, to, say)
    seen: set[Path] = set()
    for scene in scenes:
        if scene.path.resolve() in seen:
            raise InputError(f"{scene.path} is given more than once")
        seen.add(scene.path.resolve())
    return scenes


def _scenes_of_recording(source: Path, to: Path, say: Callable[[str], object]) -> list[SceneFolder]:
    config = ImportConfig.build({})
    names = [recording.name for recording in open_recordings(source, config.bag)]
    _make_folder(to)
    for words in import_source(source, to, config, None, lambda *_: None):
        say(words)
    return [SceneFolder.open(to / name) for name in names]


def _scene_of_bag(source: Path, topic: str, to: Path, say: Callable[[str], object]) -> SceneFolder:
    folder = to / source.resolve().stem
    scene = _made_before(folder, source)
    if scene is not None:
        return scene
    newest = newest_cloud(source, topic)
    if newest.found_on:
        say(f"{folder.name}: the newest cloud of {topic}, with the instances of {newest.found_on}")
    else:
        say(f"{folder.name}: the newest cloud of {topic}")
    return _make_scene(folder, source, newest.cloud, newest.instance_id, {}, say)


def _scene_of_cloud(source: Path, to: Path, say: Callable[[str], object]) -> SceneFolder:
    folder = to / source.stem
    scene = _made_before(folder, source)
    return scene if scene is not None else _make_scene(folder, source, *_read(source), say)


def _made_before(folder: Path, source: Path) -> SceneFolder | None:
    """What an earlier call has made of ``source``; None where nothing is there."""
    if not (folder / SCENE_JSON).is_file():
        return None
    scene = SceneFolder.open(folder)
    if scene.description.source != str(source):
        raise InputError(f"{folder} was made of {scene.description.source}: give another folder for {source}")
    return scene


def _make_scene(
    folder: Path,
    source: Path,
    cloud: Cloud,
    instance_id: Int32[np.ndarray, " N"] | None,
    names: dict[int, str],
    say: Callable[[str], object],
) -> SceneFolder:
    """A scene folder of one cloud, without frames."""
    if not len(cloud):
        raise InputError(f"{source} has no points")
    _make_folder(folder)
    superpoints = superpoints_of(cloud, SUPERPOINTS)
    write_scene_cloud(folder / CLOUD_FILE, SceneCloud(cloud, superpoints, instance_id, None, names))
    description = SceneDescription(
        name=folder.name,
        source=str(source),
        layout=CLOUD_LAYOUT,
        frames=0,
        instance_names=names,
        manifest={CLOUD_FILE: sha256_of(folder / CLOUD_FILE)},
    )
    description.write(folder)
    say(f"{folder.name}: {len(cloud)} points, scene folder {folder}")
    return SceneFolder(folder, description)


def _read(source: Path) -> tuple[Cloud, Int32[np.ndarray, " N"] | None, dict[int, str]]:
    """The cloud, with its instances where the file has some."""
    try:
        labelled = read_labelled(source)
    except InputError:
        # Either without instances, or unreadable, which this says.
        return read_cloud(source), None, {}
    return labelled.cloud, labelled.instance_id, labelled.names


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make {folder}: {error.strerror or error}") from error
