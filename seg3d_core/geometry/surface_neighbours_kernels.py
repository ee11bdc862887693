"""Exact nearest neighbours on a grid: the compiled loops of ``surface.nearest_within``.

The points around a cell are copied together once. For each point of the cell all distances are computed by vectors,
those beyond an expected distance are left out without a branch, and the few that remain are ranked by counting.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_X, _Y, _Z, _SQUARE, _NEAR = range(5)
"""Rows of the work space: coordinates of the points around a cell, their squared distances, the small ones of those."""

_MARGIN = 1.4
"""The next point's k-th squared distance is expected within this much of the last one's; else it is looked for anew."""

_STEPS = 8
"""Cells that a cursor walks on before it searches by halves."""


@njit(cache=True, nogil=True)
def grid_neighbours(
    points: np.ndarray,
    order: np.ndarray,
    cell_keys: np.ndarray,
    cell_starts: np.ndarray,
    cell_size: float,
    radius: float,
    found: np.ndarray,
    first_cell: int,
    last_cell: int,
) -> None:
    """Nearest other points within ``radius`` into ``found`` (N, k) int32, all -1 before: nearest first.

    Only of the points in the cells from ``first_cell`` up to ``last_cell``: other threads can fill the other rows.

    ``order`` sorts the points by cell; of equal distances the point earlier in it comes first. ``cell_keys`` are the
    occupied cells, packed 21 bits per axis with a free border, ``cell_starts`` where they begin in ``order``.
    A block of ring r contains everything within r cells of its centre, so rings grow until nothing can be missed.
    """
    k = found.shape[1]
    last_ring = max(1, int(np.ceil(radius / cell_size)))
    cursors = np.zeros((last_ring + 1, (2 * last_ring + 1) ** 2), np.int64)
    members = np.empty(256, np.int32)
    work = np.empty((5, 264), np.float64)
    slots = np.empty(264, np.int32)
    limit = radius * radius
    expected = 0.0
    for cell in range(first_cell, last_cell):
        begin, pending = cell_starts[cell], cell_starts[cell + 1] - cell_starts[cell]
        is_done = np.zeros(pending, np.bool_)
        for ring in range(1, last_ring + 1):
            count, own, members = _block(cell_keys, cell_starts, cell, ring, cursors[ring], members)
            if count + 8 > len(slots):
                work, slots = np.empty((5, 2 * count + 8), np.float64), np.empty(2 * count + 8, np.int32)
            _copy(points, order, members, count, work)
            is_last = ring == last_ring
            reach = limit if is_last else min(limit, (ring * cell_size) ** 2)
            for t in range(len(is_done)):
                if is_done[t]:
                    continue
                close = _within(work, count, own + t, k, min(expected, reach), reach, slots)
                if close >= k or is_last:
                    point = order[begin + t]
                    expected = _MARGIN * _rank(work, slots, close, found[point])
                    for place in range(min(close, k)):
                        found[point, place] = order[members[found[point, place]]]
                    is_done[t] = True
                    pending -= 1
            if pending == 0:
                break


@njit(cache=True, nogil=True)
def _block(
    cell_keys: np.ndarray, cell_starts: np.ndarray, cell: int, ring: int, cursors: np.ndarray, members: np.ndarray
) -> tuple[int, int, np.ndarray]:
    """Points, ascending, of the (2 ring + 1)^3 cells around one: their number, where its own begin, and they.

    Cells come in the order of their keys, so in every column of the block the search goes on from the cell before.
    """
    count = own = column = 0
    for dx in range(-ring, ring + 1):
        for dy in range(-ring, ring + 1):
            lowest = cell_keys[cell] + (dx << 42) + (dy << 21) - ring
            other = _first_from(cell_keys, lowest, cursors[column])
            cursors[column] = other
            column += 1
            while other < len(cell_keys) and cell_keys[other] <= lowest + 2 * ring:
                if other == cell:
                    own = count
                first, last = cell_starts[other], cell_starts[other + 1]
                if count + last - first > len(members):
                    wider = np.empty(2 * (count + last - first), np.int32)
                    for slot in range(count):
                        wider[slot] = members[slot]
                    members = wider
                for point in range(first, last):
                    members[count] = point
                    count += 1
                other += 1
    return count, own, members


@njit(cache=True, nogil=True)
def _first_from(keys: np.ndarray, key: int, place: int) -> int:
    """The first place from ``place`` on whose key is not below ``key``."""
    for _ in range(_STEPS):
        if place == len(keys) or keys[place] >= key:
            return place
        place += 1
    end = len(keys)
    while place < end:
        middle = (place + end) // 2
        if keys[middle] < key:
            place = middle + 1
        else:
            end = middle
    return place


@njit(cache=True, nogil=True)
def _copy(points: np.ndarray, order: np.ndarray, members: np.ndarray, count: int, work: np.ndarray) -> None:
    """Coordinates of the first ``count`` members, axis by axis."""
    for slot in range(count):
        point = order[members[slot]]
        work[_X, slot] = points[point, 0]
        work[_Y, slot] = points[point, 1]
        work[_Z, slot] = points[point, 2]


@njit(cache=True, nogil=True)
def _within(work: np.ndarray, count: int, own: int, k: int, expected: float, reach: float, slots: np.ndarray) -> int:
    """Slots of the points nearest to the one in slot ``own``: at least k of them if so many are within ``reach``.

    Distances are squared. Returns how many; ``expected`` is tried first.
    """
    xs, ys, zs, squares = work[_X], work[_Y], work[_Z], work[_SQUARE]
    x, y, z = xs[own], ys[own], zs[own]
    for slot in range(np.uint64(count)):
        dx, dy, dz = x - xs[slot], y - ys[slot], z - zs[slot]
        squares[slot] = dx * dx + dy * dy + dz * dz
    squares[own] = np.inf
    close = 0
    for slot in range(count):
        slots[close] = slot
        close += int(squares[slot] <= expected)
    if close >= k or expected >= reach:
        return close
    close = 0
    for slot in range(count):
        slots[close] = slot
        close += int(squares[slot] <= reach)
    return close


@njit(cache=True, nogil=True)
def _rank(work: np.ndarray, slots: np.ndarray, close: int, nearest: np.ndarray) -> float:
    """Fill ``nearest`` (all -1) with the slots of the smallest distances in order; returns the k-th, or infinity."""
    squares, near = work[_SQUARE], work[_NEAR]
    for t in range(close):
        near[t] = squares[slots[t]]
    # Whole vectors: what is added is never smaller than anything.
    padded = (close + 7) & ~7
    for t in range(close, padded):
        near[t] = np.inf
    for t in range(close):
        smaller = 0
        for other in range(np.uint64(padded)):
            smaller += int(near[other] < near[t])
        # Equal distances have the same rank: the first takes it, the next ones those after it.
        while smaller < len(nearest) and nearest[smaller] >= 0:
            smaller += 1
        if smaller < len(nearest):
            nearest[smaller] = slots[t]
    return squares[nearest[-1]] if nearest[-1] >= 0 else np.inf
