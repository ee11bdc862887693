"""Compiled farthest point sampling on the CPU: points in buckets, most of which a new choice cannot reach."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from seg3d_core.point_ops.buckets_kernels import BUCKET


@njit(cache=True, nogil=True)
def sample_buckets(
    buckets: np.ndarray, ranks: np.ndarray, low: np.ndarray, high: np.ndarray, first: np.ndarray, count: int
) -> np.ndarray:
    """Ranks of ``count`` points, each the farthest from ``first`` (3,) and those before it; the lowest rank wins ties.

    ``buckets`` (B, 3, BUCKET) float32, ``ranks`` (B, BUCKET), ``low`` and ``high`` (3, B). A bucket is left alone when
    even the nearest corner of its box is no nearer to the new choice than every point of it is to an older one.
    Rounding keeps the order of numbers, so the distance to the box never exceeds a distance to a point in it, and the
    result is that of the plain algorithm to the bit.
    """
    squared = np.full(ranks.shape, np.float32(np.inf), np.float32)
    largest = np.full(len(buckets), np.float32(np.inf), np.float32)
    chosen = np.empty(count, np.int64)
    x, y, z = first[0], first[1], first[2]
    for i in range(count):
        farthest = np.float32(-1)
        for b in range(len(buckets)):
            dx = max(low[0, b] - x, x - high[0, b], np.float32(0))
            dy = max(low[1, b] - y, y - high[1, b], np.float32(0))
            dz = max(low[2, b] - z, z - high[2, b], np.float32(0))
            if (dx * dx + dy * dy) + dz * dz < largest[b]:
                largest[b] = _approach(buckets[b], squared[b], x, y, z)
            farthest = max(farthest, largest[b])
        b, lane = _lowest_rank(largest, squared, ranks, farthest)
        chosen[i] = ranks[b, lane]
        x, y, z = buckets[b, 0, lane], buckets[b, 1, lane], buckets[b, 2, lane]
    return chosen


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
