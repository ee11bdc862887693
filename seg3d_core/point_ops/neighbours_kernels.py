"""Compiled search for the nearest points among buckets, most of which are too far to be looked into.

Squared distances are never negative, so their bits, read as integers, sort as they do: every comparison here is one of
integers.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from seg3d_core.point_ops.buckets_kernels import BUCKET

_VISITED = np.int32(2**31 - 1)
"""Above the bits of every number."""

_SLACK = 4
"""A limit may let through this many more than are wanted: cheaper to sort them away than to find the exact limit."""

_RANKED = 512
"""Beyond, comparing all with all takes longer than sorting."""


@njit(cache=True, nogil=True)
def search_buckets(
    buckets: np.ndarray,
    ranks: np.ndarray,
    available: int,
    boxes: tuple[np.ndarray, np.ndarray],
    queries: np.ndarray,
    rows: np.ndarray,
    squared_bits: np.ndarray,
) -> None:
    """The k nearest points of each query by squared distance, then rank.

    The distance to a box is rounded as those to points are, and rounding keeps the order of numbers: it never exceeds
    the distance to a point inside, so that a bucket whose box lies beyond the k-th nearest has nothing to offer.

    Args:
        buckets: (B, 3, BUCKET) float32.
        ranks: (B * BUCKET,) of which the first ``available``, at least k, are of points.
        available: number of points.
        boxes: least and greatest coordinates of the buckets, (3, B) float32 each.
        queries: (M, 3) float32.
        rows: (M, k) written: ranks, int64.
        squared_bits: (M, k) written: bits of squared distances, int32.
    """
    k = rows.shape[1]
    away = np.empty(len(buckets), np.float32)
    away_bits = away.view(np.int32)
    within_reach = np.empty(len(buckets) + 1, np.int64)
    bits = np.empty(3 * k + 4 * BUCKET, np.int32)
    found = np.empty(len(bits), np.int64)
    keys = np.empty(len(bits), np.int64)
    for m in range(len(queries)):
        query = queries[m]
        _reach_boxes(boxes, query, away)
        count = 0
        while count < min(k + BUCKET // 2, available):
            b = _least(away_bits)
            away_bits[b] = _VISITED
            count = _add_bucket(buckets, ranks, available, b, query, _VISITED, bits, found, count)
        limit = _limit(bits, count, k)
        bounded = count
        reach = _list_within(away_bits, limit, within_reach)
        while reach:
            place = _nearest_place(away_bits, within_reach, reach)
            b = within_reach[place]
            if away_bits[b] > limit:
                break
            reach -= 1
            within_reach[place] = within_reach[reach]
            if count + BUCKET > len(bits):
                _keep_nearest(bits, found, keys, count, k)
                count = bounded = k
                limit = bits[k - 1]
            count = _add_bucket(buckets, ranks, available, b, query, limit, bits, found, count)
            if count - bounded >= 16 + k // 4:
                limit = _limit(bits, count, k)
                bounded = count
        count = _make_keys(bits, found, count, _limit(bits, count, k), keys)
        _write_sorted(keys, count, rows[m], squared_bits[m])


# nnan, nsz: there are neither NaNs nor negative zeros, and only then is the maximum taken in several lanes.
@njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
def _reach_boxes(boxes: tuple[np.ndarray, np.ndarray], query: np.ndarray, away: np.ndarray) -> None:
    """Squared distances to boxes, 0 inside."""
    low, high = boxes
    x, y, z = query[0], query[1], query[2]
    for b in range(len(away)):
        dx = max(low[0, b] - x, x - high[0, b], np.float32(0))
        dy = max(low[1, b] - y, y - high[1, b], np.float32(0))
        dz = max(low[2, b] - z, z - high[2, b], np.float32(0))
        away[b] = (dx * dx + dy * dy) + dz * dz


@njit(cache=True, nogil=True)
def _add_bucket(
    buckets: np.ndarray,
    ranks: np.ndarray,
    available: int,
    b: int,
    query: np.ndarray,
    limit: np.int32,
    bits: np.ndarray,
    found: np.ndarray,
    count: int,
) -> int:
    """Append the points of a bucket up to ``limit`` to those found; how many there are then."""
    near = np.empty(BUCKET, np.float32)
    for lane in range(BUCKET):
        dx, dy, dz = buckets[b, 0, lane] - query[0], buckets[b, 1, lane] - query[1], buckets[b, 2, lane] - query[2]
        near[lane] = (dx * dx + dy * dy) + dz * dz
    near_bits = near.view(np.int32)
    start = b * BUCKET
    for lane in range(min(BUCKET, available - start)):
        # Written in any case, and written over if too far: no branch to guess wrong.
        bits[count], found[count] = near_bits[lane], ranks[start + lane]
        count += near_bits[lane] <= limit
    return count


@njit(cache=True, nogil=True)
def _least(bits: np.ndarray) -> int:
    """Place of the smallest."""
    least = bits[0]
    for i in range(len(bits)):
        least = min(least, bits[i])
    for i in range(len(bits)):
        if bits[i] == least:
            return i
    return 0


@njit(cache=True, nogil=True)
def _list_within(away_bits: np.ndarray, limit: np.int32, listed: np.ndarray) -> int:
    """List the buckets up to ``limit`` away; how many there are."""
    count = 0
    for b in range(len(away_bits)):
        listed[count] = b
        count += away_bits[b] <= limit
    return count


@njit(cache=True, nogil=True)
def _nearest_place(away_bits: np.ndarray, listed: np.ndarray, count: int) -> int:
    place = 0
    for i in range(count):
        if away_bits[listed[i]] < away_bits[listed[place]]:
            place = i
    return place


@njit(cache=True, nogil=True)
def _limit(bits: np.ndarray, count: int, k: int) -> np.int32:
    """A number that at least ``k`` do not exceed, and unless many are equal hardly more; by halving."""
    low = high = bits[0]
    for i in range(count):
        low, high = min(low, bits[i]), max(high, bits[i])
    low -= 1
    while high - low > 1:
        middle = np.int32(low + (high - low) // 2)
        below = np.int32(0)
        for i in range(count):
            below += np.int32(bits[i] <= middle)
        if below < k:
            low = middle
        else:
            high = middle
            if below <= k + _SLACK:
                break
    return np.int32(high)


@njit(cache=True, nogil=True)
def _make_keys(bits: np.ndarray, found: np.ndarray, count: int, limit: np.int32, keys: np.ndarray) -> int:
    """Distance above rank in one number, of those up to ``limit``; how many there are."""
    made = 0
    for i in range(count):
        keys[made] = np.int64(bits[i]) << 32 | found[i]
        made += bits[i] <= limit
    return made


@njit(cache=True, nogil=True)
def _keep_nearest(bits: np.ndarray, found: np.ndarray, keys: np.ndarray, count: int, k: int) -> None:
    """Sort those found, of which the first ``k`` count."""
    _make_keys(bits, found, count, _VISITED, keys)
    keys[:count].sort()
    for i in range(k):
        bits[i], found[i] = np.int32(keys[i] >> 32), keys[i] & 0xFFFFFFFF


@njit(cache=True, nogil=True)
def _write_sorted(keys: np.ndarray, count: int, rows: np.ndarray, squared_bits: np.ndarray) -> None:
    """The least keys in their order.

    Of few keys each has its place by the number of smaller ones: no branch to guess wrong.
    """
    if count > _RANKED:
        keys[:count].sort()
        for i in range(len(rows)):
            rows[i], squared_bits[i] = keys[i] & 0xFFFFFFFF, np.int32(keys[i] >> 32)
        return
    for i in range(count):
        place = 0
        for j in range(count):
            place += keys[j] < keys[i]
        if place < len(rows):
            rows[place], squared_bits[place] = keys[i] & 0xFFFFFFFF, np.int32(keys[i] >> 32)
