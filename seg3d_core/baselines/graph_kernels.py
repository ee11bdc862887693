"""Compiled loop of ``graph``: how much the surface bends within regions, and across their borders."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def mean_bends(
    regions: np.ndarray, count: int, a: np.ndarray, b: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(R,) float64 mean weight of the edges within each region (0 without any), and across its border (1 without)."""
    inner, crossing = np.zeros(count, np.float64), np.zeros(count, np.float64)
    inner_edges, crossing_edges = np.zeros(count, np.int64), np.zeros(count, np.int64)
    for e in range(len(a)):
        x = regions[a[e]]
        if x == regions[b[e]]:
            inner[x] += weights[e]
            inner_edges[x] += 1
        else:
            crossing[x] += weights[e]
            crossing_edges[x] += 1
    # A pass of its own: sums depend on their order in the last bit.
    for e in range(len(a)):
        y = regions[b[e]]
        if y != regions[a[e]]:
            crossing[y] += weights[e]
            crossing_edges[y] += 1
    for region in range(count):
        inner[region] = inner[region] / inner_edges[region] if inner_edges[region] > 0 else 0.0
        crossing[region] = crossing[region] / crossing_edges[region] if crossing_edges[region] > 0 else 1.0
    return inner, crossing
