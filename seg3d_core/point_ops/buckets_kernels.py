"""Compiled sorting of points into buckets: short runs along a space-filling curve, each with the box around it."""

from __future__ import annotations

import numpy as np
from numba import njit

BUCKET = 64
"""Points of a bucket: enough to keep the vector units busy, few enough for a tight box."""

_CELLS = 1 << 10
"""Cells along the longest edge of the cloud; their Morton codes have 30 bits."""


@njit(cache=True, nogil=True)
def bucket_keys(points: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """For each of ``rows`` its place along the Morton curve (upper 32 bits) and its position in ``rows`` (lower 32).

    ``points`` (N, 3) float32, finite; ``rows`` (R,) int64.
    """
    low = np.full(3, np.inf)
    edge = 0.0
    for axis in range(3):
        high = -np.inf
        for row in rows:
            low[axis] = min(low[axis], np.float64(points[row, axis]))
            high = max(high, np.float64(points[row, axis]))
        edge = max(edge, high - low[axis])
    scale = (_CELLS - 1) / edge if edge > 0 else 0.0
    keys = np.empty(len(rows), np.int64)
    for rank, row in enumerate(rows):
        code = np.int64(0)
        for axis in range(3):
            code |= _spread(np.int64((np.float64(points[row, axis]) - low[axis]) * scale)) << axis
        keys[rank] = code << 32 | rank
    return keys


@njit(cache=True, nogil=True)
def _spread(cell: np.int64) -> np.int64:
    """Two zero bits after each of the ten bits of ``cell``."""
    cell = (cell | cell << 16) & 0x030000FF
    cell = (cell | cell << 8) & 0x0300F00F
    cell = (cell | cell << 4) & 0x030C30C3
    return (cell | cell << 2) & 0x09249249


@njit(cache=True, nogil=True)
def fill_buckets(points: np.ndarray, rows: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Coordinates of ``rows[ranks]`` as (B, 3, BUCKET) float32, ``BUCKET`` of them in turn."""
    buckets = np.empty((len(ranks) // BUCKET, 3, BUCKET), np.float32)
    for i, rank in enumerate(ranks):
        for axis in range(3):
            buckets[i // BUCKET, axis, i % BUCKET] = points[rows[rank], axis]
    return buckets


@njit(cache=True, nogil=True)
def box_buckets(buckets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest coordinates of each bucket, (3, B) float32 both."""
    low = np.empty((3, len(buckets)), np.float32)
    high = np.empty((3, len(buckets)), np.float32)
    for b in range(len(buckets)):
        for axis in range(3):
            low[axis, b] = buckets[b, axis].min()
            high[axis, b] = buckets[b, axis].max()
    return low, high
