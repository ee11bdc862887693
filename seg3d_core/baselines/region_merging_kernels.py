"""Regions join along a heap of their borders: the compiled loop of ``region_merging``."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def join_along(pairs: np.ndarray, totals: np.ndarray, edges: np.ndarray, count: int, max_mean: float) -> np.ndarray:
    """(R,) int32 region that each of ``count`` regions joined, itself where it stayed.

    Uses up ``totals`` and ``edges``. Smallest mean first, then lowest regions; of two that join, the one with more
    neighbours stays (the lower on a tie).
    """
    parent = np.arange(count).astype(np.int32)
    ends = pairs.copy()
    means = totals / edges
    first, links, degrees = _border_lists(ends, count)
    heap, places = _heap(means, ends)
    size = len(heap)
    while size > 0 and means[heap[0]] <= max_mean:
        border = heap[0]
        x, y = min(ends[border, 0], ends[border, 1]), max(ends[border, 0], ends[border, 1])
        if degrees[x] < degrees[y]:
            x, y = y, x
        parent[y] = x
        size = _drop(heap, places, size, border, means, ends)
        for side in range(2):
            _unlink(first, links, degrees, ends, border, side)
        while first[y] >= 0:
            border, side = first[y] >> 1, first[y] & 1
            z = ends[border, 1 - side]
            _unlink(first, links, degrees, ends, border, side)
            known = _border_of(first, links, degrees, ends, x, z)
            if known < 0:
                ends[border, side] = x
                _link(first, links, degrees, ends, border, side)
                known = border
            else:
                _unlink(first, links, degrees, ends, border, 1 - side)
                size = _drop(heap, places, size, border, means, ends)
                totals[known] += totals[border]
                edges[known] += edges[border]
                means[known] = totals[known] / edges[known]
            _settle(heap, places, size, places[known], means, ends)
    return parent


@njit(cache=True, nogil=True)
def _border_lists(ends: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The borders of each region as doubly linked lists: their first, the links, and how many they are.

    Side s of border b is entry 2 b + s of the list of the region at that side; -1 ends a list.
    """
    first, degrees = np.zeros(count, np.int64), np.zeros(count, np.int64)
    links = np.zeros((2 * len(ends), 2), np.int64)
    for region in range(count):
        first[region] = -1
    for border in range(len(ends)):
        for side in range(2):
            _link(first, links, degrees, ends, border, side)
    return first, links, degrees


@njit(cache=True, nogil=True)
def _link(first: np.ndarray, links: np.ndarray, degrees: np.ndarray, ends: np.ndarray, border: int, side: int) -> None:
    """Put one side of a border at the front of its region's list."""
    region, entry = ends[border, side], 2 * border + side
    after = first[region]
    links[entry, 0], links[entry, 1] = -1, after
    if after >= 0:
        links[after, 0] = entry
    first[region] = entry
    degrees[region] += 1


@njit(cache=True, nogil=True)
def _unlink(
    first: np.ndarray, links: np.ndarray, degrees: np.ndarray, ends: np.ndarray, border: int, side: int
) -> None:
    """Take one side of a border out of its region's list."""
    region, entry = ends[border, side], 2 * border + side
    before, after = links[entry, 0], links[entry, 1]
    if before >= 0:
        links[before, 1] = after
    else:
        first[region] = after
    if after >= 0:
        links[after, 0] = before
    degrees[region] -= 1


@njit(cache=True, nogil=True)
def _border_of(first: np.ndarray, links: np.ndarray, degrees: np.ndarray, ends: np.ndarray, x: int, y: int) -> int:
    """The border between two regions, -1 if they do not touch: looked for among those of the region with fewer."""
    if degrees[y] < degrees[x]:
        x, y = y, x
    entry = first[x]
    while entry >= 0:
        if ends[entry >> 1, 1 - (entry & 1)] == y:
            return int(entry >> 1)
        entry = links[entry, 1]
    return -1


@njit(cache=True, nogil=True)
def _heap(means: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Borders as a binary heap, straightest first, and the place of each border in it."""
    heap = np.arange(len(means))
    places = np.arange(len(means))
    for place in range(len(heap) // 2 - 1, -1, -1):
        _sink(heap, places, len(heap), place, means, ends)
    return heap, places


@njit(cache=True, nogil=True)
def _before(i: int, j: int, means: np.ndarray, ends: np.ndarray) -> bool:
    """Whether border i comes before border j: by mean, then by the lower region, then by the higher one."""
    if means[i] != means[j]:
        return bool(means[i] < means[j])
    low_i, low_j = min(ends[i, 0], ends[i, 1]), min(ends[j, 0], ends[j, 1])
    if low_i != low_j:
        return bool(low_i < low_j)
    return bool(max(ends[i, 0], ends[i, 1]) < max(ends[j, 0], ends[j, 1]))


@njit(cache=True, nogil=True)
def _sink(heap: np.ndarray, places: np.ndarray, size: int, place: int, means: np.ndarray, ends: np.ndarray) -> None:
    border = heap[place]
    while 2 * place + 1 < size:
        child = 2 * place + 1
        if child + 1 < size and _before(heap[child + 1], heap[child], means, ends):
            child += 1
        if not _before(heap[child], border, means, ends):
            break
        heap[place] = heap[child]
        places[heap[place]] = place
        place = child
    heap[place] = border
    places[border] = place


@njit(cache=True, nogil=True)
def _settle(heap: np.ndarray, places: np.ndarray, size: int, place: int, means: np.ndarray, ends: np.ndarray) -> None:
    """Move the border at ``place``, whose mean or regions have changed, to where it belongs."""
    border = heap[place]
    while place > 0 and _before(border, heap[(place - 1) // 2], means, ends):
        heap[place] = heap[(place - 1) // 2]
        places[heap[place]] = place
        place = (place - 1) // 2
    heap[place] = border
    places[border] = place
    _sink(heap, places, size, place, means, ends)


@njit(cache=True, nogil=True)
def _drop(heap: np.ndarray, places: np.ndarray, size: int, border: int, means: np.ndarray, ends: np.ndarray) -> int:
    """Take a border out of the heap; returns the new size."""
    place, last = places[border], heap[size - 1]
    heap[place] = last
    places[last] = place
    if place < size - 1:
        _settle(heap, places, size - 1, place, means, ends)
    return size - 1
