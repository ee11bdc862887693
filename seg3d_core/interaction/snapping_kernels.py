"""The point that is nearest to a place: looking at every point once, without memory for their distances."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def nearest_row(points: np.ndarray, place: np.ndarray) -> int:
    """Row of the point (float32, m) nearest to a place (float32), the first of equals."""
    best, best_square = 0, np.float32(np.inf)
    for row in range(len(points)):
        x, y, z = points[row, 0] - place[0], points[row, 1] - place[1], points[row, 2] - place[2]
        square = x * x + y * y + z * z
        if square < best_square:
            best, best_square = row, square
    return best
