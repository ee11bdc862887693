"""Compiled passes over all points of a scene."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def rows_in_ball(points: np.ndarray, centre: np.ndarray, radius: float, rim: float) -> tuple[np.ndarray, np.ndarray]:
    """Ascending rows of points within ``radius`` of ``centre``, and of those up to ``rim`` farther; int64 each.

    ``points`` (N, 3) float32, ``centre`` (3,) float64. Counted first: the result is as large as what is found.
    """
    inner, outer = radius * radius, (radius + rim) ** 2
    inside, around = 0, 0
    for i in range(len(points)):
        squared = _squared(points, i, centre)
        inside += squared <= inner
        around += inner < squared <= outer
    rows, rim_rows = np.empty(inside, np.int64), np.empty(around, np.int64)
    inside, around = 0, 0
    for i in range(len(points)):
        squared = _squared(points, i, centre)
        if squared <= inner:
            rows[inside] = i
            inside += 1
        elif squared <= outer:
            rim_rows[around] = i
            around += 1
    return rows, rim_rows


@njit(cache=True, nogil=True)
def _squared(points: np.ndarray, i: int, centre: np.ndarray) -> float:
    dx, dy, dz = points[i, 0] - centre[0], points[i, 1] - centre[1], points[i, 2] - centre[2]
    squared: float = dx * dx + dy * dy + dz * dz
    return squared
