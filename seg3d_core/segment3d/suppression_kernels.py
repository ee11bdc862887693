"""Compiled loops over overlapping subsets: subset f holds ``members[offsets[f]:offsets[f + 1]]``, best first."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def degrees(members: np.ndarray, num_rows: int) -> np.ndarray:
    """How many subsets hold each row, (num_rows,)."""
    counts = np.zeros(num_rows, np.int64)
    for row in members:
        counts[row] += 1
    return counts


@njit(cache=True, nogil=True)
def suppress_by_rows(
    offsets: np.ndarray, members: np.ndarray, degree: np.ndarray, max_iou: float, max_containment: float
) -> np.ndarray:
    """Which subsets stay (F,): rows know the subsets that stayed so far, and count for the next one."""
    count = len(offsets) - 1
    kept = np.zeros(count, np.bool_)
    ends = np.cumsum(degree) - degree
    starts = ends.copy()
    owners = np.empty(len(members), np.int32)
    shared = np.zeros(count, np.int64)
    for f in range(count):
        subset = members[offsets[f] : offsets[f + 1]]
        for row in subset:
            for i in range(starts[row], ends[row]):
                shared[owners[i]] += 1
        kept[f] = _stays(f, kept, shared, offsets, max_iou, max_containment)
        shared[:f] = 0
        if kept[f]:
            for row in subset:
                owners[ends[row]] = f
                ends[row] += 1
    return kept


@njit(cache=True, nogil=True)
def suppress_by_bits(
    offsets: np.ndarray, members: np.ndarray, num_rows: int, max_iou: float, max_containment: float
) -> np.ndarray:
    """The same with one bit for every row of every subset: quicker where each row is in many."""
    count = len(offsets) - 1
    words = np.zeros((count, (num_rows + 63) // 64), np.uint64)
    kept = np.zeros(count, np.bool_)
    shared = np.zeros(count, np.int64)
    for f in range(count):
        for row in members[offsets[f] : offsets[f + 1]]:
            words[f, row >> 6] |= np.uint64(1) << np.uint64(row & 63)
        for g in range(f):
            shared[g] = _common_bits(words[f], words[g]) if kept[g] else 0
        kept[f] = _stays(f, kept, shared, offsets, max_iou, max_containment)
    return kept


@njit(cache=True, nogil=True)
def _common_bits(a: np.ndarray, b: np.ndarray) -> int:
    total = np.uint64(0)
    for i in range(len(a)):
        # Sums of neighbouring bits, pairs and nibbles; the multiplication adds the bytes.
        x = a[i] & b[i]
        x -= (x >> np.uint64(1)) & np.uint64(0x5555555555555555)
        x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
        x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
        total += (x * np.uint64(0x0101010101010101)) >> np.uint64(56)
    return int(total)


@njit(cache=True, nogil=True)
def _stays(
    f: int, kept: np.ndarray, shared: np.ndarray, offsets: np.ndarray, max_iou: float, max_containment: float
) -> bool:
    size = offsets[f + 1] - offsets[f]
    for g in range(f):
        if kept[g]:
            either = size + offsets[g + 1] - offsets[g] - shared[g]
            if shared[g] > max_iou * either or shared[g] > max_containment * size:
                return False
    return True


@njit(cache=True, nogil=True)
def assign(
    offsets: np.ndarray, members: np.ndarray, values: np.ndarray, degree: np.ndarray, least: np.ndarray
) -> np.ndarray:
    """Which of ``members`` their subset keeps (M,): each row is kept by the subset with the greatest of its ``values``.

    Of equal values the one of the smaller subset wins, then of the earlier. While a subset keeps fewer than
    ``least[f]`` members, the last such one is dropped and its rows go to the next.
    """
    starts, row_owners, row_values = _owners_of_rows(offsets, members, values, degree)
    sizes = np.diff(offsets)
    dropped = np.zeros(len(sizes), np.bool_)
    left = np.zeros(len(sizes), np.int64)
    winner = np.empty(len(degree), np.int32)
    for row in range(len(degree)):
        winner[row] = _winner(starts[row], starts[row + 1], row_owners, row_values, sizes, dropped)
        if winner[row] >= 0:
            left[winner[row]] += 1
    for f in range(len(sizes) - 1, -1, -1):
        # Rows of a dropped subset only add to what others have: nothing that was enough becomes too little.
        if left[f] >= least[f]:
            continue
        dropped[f] = True
        for row in members[offsets[f] : offsets[f + 1]]:
            if winner[row] == f:
                winner[row] = _winner(starts[row], starts[row + 1], row_owners, row_values, sizes, dropped)
                if winner[row] >= 0:
                    left[winner[row]] += 1
    keep = np.empty(len(members), np.bool_)
    for f in range(len(sizes)):
        for m in range(offsets[f], offsets[f + 1]):
            keep[m] = winner[members[m]] == f
    return keep


@njit(cache=True, nogil=True)
def _owners_of_rows(
    offsets: np.ndarray, members: np.ndarray, values: np.ndarray, degree: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Subsets that hold row r, ascending, and their values: places ``starts[r]`` to ``starts[r + 1]``."""
    starts = np.zeros(len(degree) + 1, np.int64)
    starts[1:] = np.cumsum(degree)
    ends = starts[:-1].copy()
    row_owners = np.empty(len(members), np.int32)
    row_values = np.empty(len(members), values.dtype)
    for f in range(len(offsets) - 1):
        for m in range(offsets[f], offsets[f + 1]):
            row_owners[ends[members[m]]] = f
            row_values[ends[members[m]]] = values[m]
            ends[members[m]] += 1
    return starts, row_owners, row_values


@njit(cache=True, nogil=True)
def _winner(
    start: int, end: int, row_owners: np.ndarray, row_values: np.ndarray, sizes: np.ndarray, dropped: np.ndarray
) -> int:
    """The subset of the greatest value that is not dropped, -1 for none."""
    best = -1
    for i in range(start, end):
        if dropped[row_owners[i]] or (best >= 0 and row_values[i] < row_values[best]):
            continue
        if best < 0 or row_values[i] > row_values[best] or sizes[row_owners[i]] < sizes[row_owners[best]]:
            best = i
    return -1 if best < 0 else row_owners[best]
