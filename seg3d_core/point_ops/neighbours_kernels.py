"""Compiled ranking of the neighbours that a k-d tree proposes."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def rank_neighbours(
    points: np.ndarray, queries: np.ndarray, proposed: np.ndarray, indices: np.ndarray, squared: np.ndarray
) -> None:
    """Sort ``proposed`` (M, P) points of each query by squared float32 distance, then index; keep the first k.

    Writes ``indices`` (M, k) int64 and ``squared`` (M, k) float32; ``points`` (N, 3) and ``queries`` (M, 3) float32.
    """
    count = proposed.shape[1]
    order = np.empty(count, np.int64)
    distance = np.empty(count, np.float32)
    for m in range(len(queries)):
        for i in range(count):
            point = proposed[m, i]
            dx = points[point, 0] - queries[m, 0]
            dy = points[point, 1] - queries[m, 1]
            dz = points[point, 2] - queries[m, 2]
            d = (dx * dx + dy * dy) + dz * dz
            # The tree has them nearly in order.
            place = i
            while place > 0 and (distance[place - 1] > d or (distance[place - 1] == d and order[place - 1] > point)):
                distance[place], order[place] = distance[place - 1], order[place - 1]
                place -= 1
            distance[place], order[place] = d, point
        for i in range(indices.shape[1]):
            indices[m, i] = order[i]
            squared[m, i] = distance[i]
