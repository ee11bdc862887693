"""Where somebody would click next who sees what is missing: Point-SAM's rule, for training and for evaluation.

The deepest point of a region is the one of its points that is farthest from every point outside of it. An error is
corrected at its deepest point: of the missing part with a click on the object, of the superfluous part with one beside
it, whichever is deeper.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32
from scipy.spatial import cKDTree

from seg3d_core.errors import InputError

NO_DEPTH = -1.0
"""Depth of an empty region, and of one that has no outside."""


@dataclass(frozen=True)
class SimulatedClick:
    """A click on a point of the cloud.

    Attributes:
        row: of the point.
        is_foreground: whether the point belongs to the object.
    """

    row: int
    is_foreground: bool


def next_click(
    points: Float32[np.ndarray, "N 3"], target: Bool[np.ndarray, " N"], predicted: Bool[np.ndarray, " N"] | None = None
) -> SimulatedClick:
    """The click that corrects ``predicted``; without it the first one, in the depth of the object.

    Where the errors are equally deep, the click is on the background. Where there is none, the first click is repeated.

    Raises:
        InputError: the object has no points, or has all: no depth is defined; or a mask has another length.
    """
    _check_target(points, target)
    if predicted is None:
        return SimulatedClick(deepest_point(points, target)[0], True)
    if predicted.shape != target.shape:
        raise InputError(f"the predicted mask has {len(predicted)} points, the cloud {len(points)}")
    missing_row, missing_depth = deepest_point(points, target & ~predicted)
    extra_row, extra_depth = deepest_point(points, predicted & ~target)
    if missing_depth > extra_depth:
        return SimulatedClick(missing_row, True)
    if extra_depth == NO_DEPTH:
        return SimulatedClick(deepest_point(points, target)[0], True)
    return SimulatedClick(extra_row, False)


def deepest_point(points: Float32[np.ndarray, "N 3"], region: Bool[np.ndarray, " N"]) -> tuple[int, float]:
    """Row of the deepest point of ``region``, the first of equals, and its squared distance from the outside (m²).

    Distances are rounded as the original's are, in float32. A region without points or without outside has depth
    ``NO_DEPTH``; its row is 0 and means nothing.
    """
    inside, outside = np.flatnonzero(region), points[~region]
    if not len(inside) or not len(outside):
        return 0, NO_DEPTH
    # Cells that are not shrunk to their points make queries from deep inside a region two to three times as fast.
    _, nearest = cKDTree(outside, balanced_tree=False, compact_nodes=False).query(points[inside])
    squared = np.square(points[inside] - outside[nearest]).sum(axis=1)
    deepest = int(squared.argmax())
    return int(inside[deepest]), float(squared[deepest])


def _check_target(points: Float32[np.ndarray, "N 3"], target: Bool[np.ndarray, " N"]) -> None:
    if len(target) != len(points):
        raise InputError(f"the mask of the object has {len(target)} points, the cloud {len(points)}")
    count = int(target.sum())
    if count in (0, len(points)):
        raise InputError(f"the object has {count} of {len(points)} points, must have some but not all to be clicked")
