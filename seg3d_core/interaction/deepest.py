"""Where somebody would click who means a region: as the simulated clicks of training, at its deepest point."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32

from seg3d_core.interaction.rows_kernels import rows_in_box
from seg3d_core.interaction.snapping import squared_distances
from seg3d_core.learning.clicks import NO_DEPTH, deepest_point

_MOST_INSIDE = 20_000
_MOST_OUTSIDE = 100_000
"""Points looked at, evenly picked from those there are."""


def deepest_row(points: Float32[np.ndarray, "N 3"], region: Bool[np.ndarray, " N"]) -> int:
    """Row of the point of ``region``, which must have points, that is farthest from all points outside of it.

    Points outside count as far from the region as the region is long; of large regions and surroundings every n-th
    point is looked at. Where nothing is outside: the point nearest to the middle of the region.
    """
    inside = np.flatnonzero(region)
    low, high = points[inside].min(axis=0).astype(np.float64), points[inside].max(axis=0).astype(np.float64)
    margin_m = max(float((high - low).max()), 1e-3)
    near = rows_in_box(points, low - margin_m, high + margin_m)
    outside = near[~region[near]]
    rows = np.concatenate([_thin(inside, _MOST_INSIDE), _thin(outside, _MOST_OUTSIDE)])
    row, depth = deepest_point(points[rows], region[rows])
    if depth == NO_DEPTH:
        middle = points[inside].mean(axis=0, dtype=np.float64)
        return int(inside[squared_distances(points[inside], middle).argmin()])
    return int(rows[row])


def _thin(rows: np.ndarray, most: int) -> np.ndarray:
    return rows[:: -(-len(rows) // most) or 1]
