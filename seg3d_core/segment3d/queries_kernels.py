"""Compiled farthest point sampling."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def sample_farthest(points: np.ndarray, squared: np.ndarray, count: int) -> np.ndarray:
    """``count`` rows of ``points`` (3, N) float32, from row 0 on; the lowest row wins ties.

    ``squared`` (N,) float32 is overwritten: infinity for candidates, minus infinity for rows that are never chosen.
    """
    chosen = np.zeros(count, np.int64)
    x, y, z = points[0], points[1], points[2]
    farthest = 0
    for i in range(1, count):
        x0, y0, z0 = x[farthest], y[farthest], z[farthest]
        for row in range(len(x)):
            dx, dy, dz = x[row] - x0, y[row] - y0, z[row] - z0
            squared[row] = min(squared[row], dx * dx + dy * dy + dz * dz)
        farthest = 0
        best = squared[0]
        for row in range(1, len(x)):
            if squared[row] > best:
                best = squared[row]
                farthest = row
        chosen[i] = farthest
    return chosen
