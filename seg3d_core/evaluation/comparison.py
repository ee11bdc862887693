"""The picture of results beside the truth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Int32

from seg3d_core.evaluation.truth import Truth
from seg3d_core.learning.metrics import Overlaps, SceneResult
from seg3d_core.pictures import Column, save_png, side_by_side
from seg3d_core.types import Instances


def picture_path(picture: Path, name: str, is_only_one: bool) -> Path:
    """Where the picture of a scene goes: ``picture``, or beside it with the scene's name in it."""
    if is_only_one:
        return picture
    plain = "".join(letter if letter.isalnum() or letter in "-." else "_" for letter in name).strip("_.")
    return picture.with_name(f"{picture.stem}-{plain}{picture.suffix}")


def save_comparison(
    path: Path, truth: Truth, found: Mapping[str, Instances], up: tuple[float, float, float] | None = None
) -> None:
    """Draw colours, truth and results of a scene; an object has the same colour in all where it was found.

    Args:
        path: of the picture.
        truth: the scene.
        found: results by name of the model; at least one.
        up: away from the floor; None: as the scene knows.

    Raises:
        InputError: the file cannot be written, or ``up`` has no direction.
    """
    ids = truth.labelled.instance_id
    shown = np.where(np.isin(ids, list(truth.background)) | (ids < 0), 0, ids).astype(np.int32)
    objects = len(np.unique(shown[shown > 0]))
    columns = [Column("colour"), Column(f"truth: {objects} objects", shown)]
    for name, instances in found.items():
        caption = f"{name if len(found) > 1 else 'result'}: {len(instances)} masks"
        columns.append(Column(caption, _point_ids(instances, matched_ids(truth, instances))))
    save_png(path, side_by_side(truth.labelled.cloud, columns, truth.up if up is None else up))


def matched_ids(truth: Truth, instances: Instances) -> Int32[np.ndarray, " Q"]:
    """(Q,) id of the true object that a mask overlaps by more than half, else a number that no object has."""
    ids = truth.labelled.instance_id
    known = np.unique(ids[ids > 0])
    overlaps = Overlaps.of(SceneResult.of(instances, truth.labelled))
    unions = overlaps.target_sizes[:, None] + overlaps.mask_sizes[None, :] - overlaps.shared
    result: Int32[np.ndarray, " Q"] = np.arange(len(instances), dtype=np.int32) + np.int32(known.max(initial=0) + 1)
    rows, columns = np.nonzero(overlaps.shared * 2 > unions)
    result[columns] = known[rows]
    return result


def _point_ids(instances: Instances, ids: Int32[np.ndarray, " Q"]) -> Int32[np.ndarray, " N"]:
    return np.take(np.append(ids, np.int32(0)), instances.labels)
