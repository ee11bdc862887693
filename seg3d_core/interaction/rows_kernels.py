"""Looking at every point of a large cloud once."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def rows_in_box(points: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Ascending rows of the points between two corners, m; points on the border are between."""
    rows = np.empty(len(points), np.int64)
    count = 0
    for row in range(len(points)):
        x, y, z = points[row, 0], points[row, 1], points[row, 2]
        rows[count] = row
        inside = (x >= low[0]) & (x <= high[0]) & (y >= low[1]) & (y <= high[1]) & (z >= low[2]) & (z <= high[2])
        count += 1 if inside else 0
    return rows[:count].copy()
