"""Compiled farthest point sampling on the CPU: points in buckets, most of which a new choice cannot reach."""

from __future__ import annotations

from typing import Any

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
def sample_buckets(buckets: np.ndarray, ranks: np.ndarray, first: np.ndarray, count: int) -> np.ndarray:
    """Ranks of ``count`` points, each the farthest from ``first`` (3,) and those before it; the lowest rank wins ties.

    ``buckets`` (B, 3, BUCKET) float32, ``ranks`` (B, BUCKET). A bucket is left alone when even the nearest corner of
    its box is no nearer to the new choice than every point of it is to an older one. Rounding keeps the order of
    numbers, so the distance to the box never exceeds a distance to a point in it, and the result is that of the plain
    algorithm to the bit.
    """
    low, high = _boxes(buckets)
    squared = np.full(ranks.shape, np.float32(np.inf), np.float32)
    largest = np.full(len(buckets), np.float32(np.inf), np.float32)
    chosen = np.empty(count, np.int64)
    x, y, z = first[0], first[1], first[2]
    for i in range(count):
        farthest = np.float32(-1)
        for b in range(len(buckets)):
            dx = max(low[b, 0] - x, x - high[b, 0], np.float32(0))
            dy = max(low[b, 1] - y, y - high[b, 1], np.float32(0))
            dz = max(low[b, 2] - z, z - high[b, 2], np.float32(0))
            if (dx * dx + dy * dy) + dz * dz < largest[b]:
                largest[b] = _approach(buckets[b], squared[b], x, y, z)
            farthest = max(farthest, largest[b])
        b, lane = _lowest_rank(largest, squared, ranks, farthest)
        chosen[i] = ranks[b, lane]
        x, y, z = buckets[b, 0, lane], buckets[b, 1, lane], buckets[b, 2, lane]
    return chosen


@njit(cache=True, nogil=True)
def _boxes(buckets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low = np.empty((len(buckets), 3), np.float32)
    high = np.empty((len(buckets), 3), np.float32)
    for b in range(len(buckets)):
        for axis in range(3):
            low[b, axis] = buckets[b, axis].min()
            high[b, axis] = buckets[b, axis].max()
    return low, high


# nnan, nsz: there are neither NaNs nor negative zeros, and only then may the maximum be taken in several lanes. Sums
# and products stay separately rounded and in their order (no contract, no reassoc).
@njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
def _approach(bucket: np.ndarray, squared: np.ndarray, x: np.float32, y: np.float32, z: np.float32) -> np.floating[Any]:
    """Bring the squared distances of a bucket up to date with a new choice; the largest of them."""
    largest = np.float32(0)
    for lane in range(BUCKET):
        dx, dy, dz = bucket[0, lane] - x, bucket[1, lane] - y, bucket[2, lane] - z
        nearest = min(squared[lane], (dx * dx + dy * dy) + dz * dz)
        squared[lane] = nearest
        largest = max(largest, nearest)
    return largest


@njit(cache=True, nogil=True)
def _lowest_rank(
    largest: np.ndarray, squared: np.ndarray, ranks: np.ndarray, farthest: np.floating[Any]
) -> tuple[int, int]:
    """Bucket and lane of the lowest rank whose squared distance is ``farthest``."""
    lowest = np.iinfo(np.int64).max
    bucket = lane = 0
    for b in range(len(largest)):
        if largest[b] == farthest:
            for i in range(BUCKET):
                if squared[b, i] == farthest and ranks[b, i] < lowest:
                    lowest, bucket, lane = ranks[b, i], b, i
    return bucket, lane
