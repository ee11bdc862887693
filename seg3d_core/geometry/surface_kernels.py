"""Compiled loop of ``surface``: means of voxels."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def group_means(values: np.ndarray, order: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """(V, 3) float32 mean of the rows ``order[starts[v]:starts[v + 1]]`` of ``values`` (N, 3); sums in float64."""
    means = np.empty((len(starts) - 1, 3), np.float32)
    for group in range(len(means)):
        x = y = z = 0.0
        for t in range(starts[group], starts[group + 1]):
            row = order[t]
            x += values[row, 0]
            y += values[row, 1]
            z += values[row, 2]
        number = starts[group + 1] - starts[group]
        means[group, 0], means[group, 1], means[group, 2] = x / number, y / number, z / number
    return means
