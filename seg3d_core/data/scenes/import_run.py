"""The body of ``seg3d data import``: sources that hold one or more recordings, scenes that are there already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from seg3d_core.data.scenes.description import SCENE_JSON, SceneDescription
from seg3d_core.data.scenes.folder import SceneFolder
from seg3d_core.data.scenes.import_settings import ImportConfig
from seg3d_core.data.scenes.importing import Report, import_scene
from seg3d_core.data.scenes.sources import open_recordings
from seg3d_core.errors import InputError

_REASONS_SHOWN = 5
_UP_FROM = {
    "data": "what the recording says",
    "convention": "the rule of its layout (z)",
    "option": "your word",
    "estimated": "an estimate from the frames",
}


def import_source(
    source: Path, folder: Path, config: ImportConfig, up: tuple[float, float, float] | None, report: Report
) -> Iterator[str]:
    """Import every recording of ``source`` into ``folder``; yields lines that say what became of each.

    Args:
        source: see ``open_recordings``.
        folder: of scene folders.
        config: settings.
        up: against gravity in the recording's world; None: as the recording knows.
        report: is told how far each recording is.

    Raises:
        InputError: a recording cannot be used, or its scene is there but of another source or settings.
    """
    for recording in open_recordings(source, config.bag):
        path = folder / recording.name
        if (path / SCENE_JSON).is_file():
            _check_same(path, str(source), config)
            yield f"{recording.name}: is there"
            continue
        scene = import_scene(recording, path, str(source), config, up, report)
        yield from _summary(scene)


def _check_same(path: Path, source: str, config: ImportConfig) -> None:
    description = SceneDescription.read(path)
    if description.source != source:
        raise InputError(f"{path} was made of {description.source}: import {source} into another folder")
    if description.settings != config.model_dump(mode="json"):
        raise InputError(f"{path} was made with other settings; make it anew elsewhere, or delete it")


def _summary(scene: SceneFolder) -> Iterator[str]:
    """What a person wants to know of an import."""
    description = scene.description
    yield (
        f"{scene.name}: {scene.frame_count} frames, {len(description.skipped)} skipped, {len(scene.cloud())} points, "
        f"up by {_UP_FROM[description.up_from]}"
    )
    for words in description.notes:
        yield f"  {words}"
    reasons = Counter(one.reason for one in description.skipped)
    for reason, count in reasons.most_common(_REASONS_SHOWN):
        first = next(one.frame for one in description.skipped if one.reason == reason)
        yield f"  skipped {first}{f' and {count - 1} more' if count > 1 else ''}: {reason}"
    if len(reasons) > _REASONS_SHOWN:
        yield f"  skipped for {len(reasons) - _REASONS_SHOWN} other reasons: see {scene.path / SCENE_JSON}"
