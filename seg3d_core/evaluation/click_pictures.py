"""Pictures of the objects that clicks did worst on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int32

from seg3d_core.evaluation.clicks import ClickedObject
from seg3d_core.evaluation.comparison import picture_path
from seg3d_core.evaluation.scenes import SceneSource
from seg3d_core.evaluation.truth import Truth
from seg3d_core.learning.clicks import SimulatedClick
from seg3d_core.pictures import Column, save_png, side_by_side
from seg3d_core.surroundings import rows_around
from seg3d_core.types import Cloud

FOUND, SUPERFLUOUS, MISSING, CLICK_BESIDE, CLICK_ON = 1, 2, 3, 4, 5
"""Ids that are shown for parts of a mask: green, pink, blue; clicks beside the object dark red, clicks on it orange."""

_CLICK_SHARE = 0.02
"""Radius of a click in the picture, of the size of what is shown."""


class WorstObjects:
    """Draws the worst object of each scene, by its overlap after the last click, once the scene is done.

    Args:
        folder: where to; a picture is called after its scene.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._worst: tuple[SceneSource, Truth, int, ClickedObject] | None = None

    def __call__(self, source: SceneSource, truth: Truth, instance_id: int, clicked: ClickedObject) -> None:
        """One more object; the scene before, if it was another, is done.

        Raises:
            InputError: the picture cannot be written.
        """
        if self._worst is not None and self._worst[0] is not source:
            self.draw()
        if self._worst is None or clicked.iou[-1] < self._worst[3].iou[-1]:
            self._worst = source, truth, instance_id, clicked

    def draw(self) -> None:
        """The scene is done, or will not be: draw the worst object that it had.

        Raises:
            InputError: the picture cannot be written.
        """
        if self._worst is not None:
            source, truth, instance_id, clicked = self._worst
            self._worst = None
            path = picture_path(self._folder / "clicks.png", source.name, is_only_one=False)
            save_clicked(path, truth, instance_id, clicked)


@dataclass(frozen=True, eq=False)
class ShownStep:
    """A mask on the way to an object.

    Attributes:
        caption: for people.
        mask: (N,) points of the cloud.
        clicks: that it is the answer to.
    """

    caption: str
    mask: Bool[np.ndarray, " N"]
    clicks: tuple[SimulatedClick, ...]


def save_clicked(path: Path, truth: Truth, instance_id: int, clicked: ClickedObject) -> None:
    """Draw an object and what is around it: colours, truth, mask after the first and after the last click.

    Raises:
        InputError: the picture cannot be written.
    """
    masks = {1: clicked.first, len(clicked.iou): clicked.last}
    steps = [
        ShownStep(click_caption(number, clicked.iou[number - 1]), mask, clicked.clicks[:number])
        for number, mask in masks.items()
    ]
    name = str(truth.labelled.names.get(instance_id, instance_id))
    save_steps(path, truth.labelled.cloud, name, truth.labelled.instance_id == instance_id, steps, truth.up)


def save_steps(
    path: Path,
    cloud: Cloud,
    name: str,
    target: Bool[np.ndarray, " N"] | None,
    steps: Sequence[ShownStep],
    up: tuple[float, float, float] = (0.0, 0.0, 1.0),
) -> None:
    """Draw an object called ``name`` and what is around it: colours, the truth where it is known, and every step.

    Raises:
        InputError: the picture cannot be written.
    """
    meant = steps[-1].mask if target is None else target
    rows = rows_around(cloud.points, meant if meant.any() else _clicked_points(cloud, steps))
    shown = cloud.select(rows)
    columns = [Column("colour" if target is not None else name)]
    if target is not None:
        columns.append(Column(f"truth: {name}", _ids(target[rows], target[rows])))
    for step in steps:
        on_object = step.mask if target is None else target
        columns.append(
            Column(step.caption, _with_clicks(_ids(step.mask[rows], on_object[rows]), shown, cloud, step.clicks))
        )
    save_png(path, side_by_side(shown, columns, up))


def click_caption(number: int, iou: float | None) -> str:
    """What stands over the mask after so many clicks."""
    clicks = f"{number} click{'s' * (number > 1)}"
    return clicks if iou is None else f"{clicks}: IoU {100 * iou:.0f} %"


def _clicked_points(cloud: Cloud, steps: Sequence[ShownStep]) -> Bool[np.ndarray, " N"]:
    chosen = np.zeros(len(cloud), np.bool_)
    chosen[[click.row for click in steps[-1].clicks]] = True
    return chosen


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
