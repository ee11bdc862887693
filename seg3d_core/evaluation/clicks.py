"""How well a promptable model does with every further click, on objects whose points are known.

The rule is that of Point-SAM's training and evaluation. The first click is the deepest point of the object, and the
model's own choice among its three candidates counts. Every further click is the deepest point of the deeper error,
missing or superfluous; it is asked together with all earlier ones and with the logits of the answer before, for a
single mask.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from seg3d_core.interaction.model import PromptModel
from seg3d_core.learning.clicks import SimulatedClick, next_click
from seg3d_core.types import Cloud, Prompt


@dataclass(frozen=True, eq=False)
class ClickedObject:
    """What came of the clicks on one object.

    Attributes:
        clicks: one after the other.
        iou: (C,) overlap with the truth after each of them, 0..1.
        best_of_first: of the candidates after the first click, the best overlap; the model may have chosen another.
        seconds: (C,) that the model took to answer; encoding done on demand included.
        first, last: (N,) masks after the first and the last click.
    """

    clicks: tuple[SimulatedClick, ...]
    iou: tuple[float, ...]
    best_of_first: float
    seconds: tuple[float, ...]
    first: Bool[np.ndarray, " N"]
    last: Bool[np.ndarray, " N"]


def click_on(model: PromptModel, cloud: Cloud, target: Bool[np.ndarray, " N"], clicks: int) -> ClickedObject:
    """So many clicks on the object that has the points ``target`` of the cloud that ``model`` was shown.

    Raises:
        InputError: the object has none of the points or all, or the model refuses.
    """
    made: list[SimulatedClick] = []
    iou: list[float] = []
    seconds: list[float] = []
    masks: list[Bool[np.ndarray, " N"]] = []
    logits: Float32[np.ndarray, " N"] | None = None
    best_of_first = 0.0
    for number in range(clicks):
        made.append(next_click(cloud.points, target, masks[-1] if masks else None))
        start = time.perf_counter()
        found = model.predict(_prompt(cloud, made), logits, multimask=number == 0)
        seconds.append(time.perf_counter() - start)
        logits = found.mask_logits[0]
        masks.append(logits > 0)
        iou.append(overlap(masks[-1], target))
        if number == 0:
            best_of_first = max(overlap(mask, target) for mask in found.masks)
    return ClickedObject(tuple(made), tuple(iou), best_of_first, tuple(seconds), masks[0], masks[-1])


def overlap(mask: Bool[np.ndarray, " N"], target: Bool[np.ndarray, " N"]) -> float:
    """Points that both have over points that either has; 0 where there are none."""
    return float((mask & target).sum() / max((mask | target).sum(), 1))


def _prompt(cloud: Cloud, clicks: list[SimulatedClick]) -> Prompt:
    rows = np.array([click.row for click in clicks])
    return Prompt(cloud.points[rows], np.array([click.is_foreground for click in clicks]))
