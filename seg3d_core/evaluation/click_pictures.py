"""Pictures of the objects that clicks did worst on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int32, Int64

from seg3d_core.evaluation.clicks import ClickedObject
from seg3d_core.evaluation.comparison import picture_path
from seg3d_core.evaluation.scenes import SceneSource
from seg3d_core.evaluation.truth import Truth
from seg3d_core.learning.clicks import SimulatedClick
from seg3d_core.pictures import Column, save_png, side_by_side
from seg3d_core.types import Cloud

FOUND, SUPERFLUOUS, MISSING, CLICK_BESIDE, CLICK_ON = 1, 2, 3, 4, 5
"""Ids that are shown for parts of a mask: green, pink, blue; clicks beside the object dark red, clicks on it orange."""

_SURROUNDINGS = 1.0
"""Of the object's size, on all sides."""
_LEAST_SURROUNDINGS_M = 0.1
_CLICK_SHARE = 0.02
"""Radius of a click in the picture, of the size of what is shown."""


@dataclass
class _Worst:
    truth: Truth
    instance_id: int
    clicked: ClickedObject


class WorstObjects:
    """Keeps a picture of the worst object of each scene, by its overlap after the last click, up to date.

    Args:
        folder: where to; a picture is called after its scene.
        up: away from the floor in all clouds; None: as each scene knows.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._worst: dict[str, float] = {}

    def __call__(self, source: SceneSource, truth: Truth, instance_id: int, clicked: ClickedObject) -> None:
        """Draw the object if it is the worst of its scene until now.

        Raises:
            InputError: the picture cannot be written.
        """
        if clicked.iou[-1] >= self._worst.get(source.name, 2.0):
            return
        self._worst[source.name] = clicked.iou[-1]
        path = picture_path(self._folder / "clicks.png", source.name, is_only_one=False)
        save_clicked(path, truth, instance_id, clicked)


def save_clicked(path: Path, truth: Truth, instance_id: int, clicked: ClickedObject) -> None:
    """Draw an object and what is around it: colours, truth, mask after the first and after the last click.

    Raises:
        InputError: the picture cannot be written.
    """
    cloud, target = truth.labelled.cloud, truth.labelled.instance_id == instance_id
    rows = _around(cloud, target)
    shown, on_object = cloud.select(rows), target[rows]
    columns = [
        Column("colour"),
        Column(f"truth: {truth.labelled.names.get(instance_id, instance_id)}", _ids(on_object, on_object)),
    ]
    after = [(1, clicked.first)] if len(clicked.iou) == 1 else [(1, clicked.first), (len(clicked.iou), clicked.last)]
    for number, mask in after:
        ids = _with_clicks(_ids(mask[rows], on_object), shown, cloud, clicked.clicks[:number])
        columns.append(Column(f"{number} click{'s' * (number > 1)}: IoU {100 * clicked.iou[number - 1]:.0f} %", ids))
    save_png(path, side_by_side(shown, columns, truth.up))


def _around(cloud: Cloud, target: Bool[np.ndarray, " N"]) -> Int64[np.ndarray, " M"]:
    low, high = cloud.points[target].min(axis=0), cloud.points[target].max(axis=0)
    margin = max(_SURROUNDINGS * float((high - low).max()), _LEAST_SURROUNDINGS_M)
    return np.flatnonzero(((cloud.points >= low - margin) & (cloud.points <= high + margin)).all(axis=1))


def _ids(mask: Bool[np.ndarray, " M"], target: Bool[np.ndarray, " M"]) -> Int32[np.ndarray, " M"]:
    ids = np.where(mask & target, FOUND, np.where(mask, SUPERFLUOUS, np.where(target, MISSING, 0)))
    return ids.astype(np.int32)


def _with_clicks(
    ids: Int32[np.ndarray, " M"], shown: Cloud, cloud: Cloud, clicks: tuple[SimulatedClick, ...]
) -> Int32[np.ndarray, " M"]:
    radius_m = _CLICK_SHARE * float((shown.points.max(axis=0) - shown.points.min(axis=0)).max())
    for click in clicks:
        near = np.square(shown.points - cloud.points[click.row]).sum(axis=1) < radius_m**2
        ids[near] = CLICK_ON if click.is_foreground else CLICK_BESIDE
    return ids
