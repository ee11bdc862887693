"""Compiled stable sorting of integer keys, and the groups of equal ones: several times faster than numpy's."""

from __future__ import annotations

import numpy as np
from numba import njit

_DIGIT = 11
"""Bits sorted in one pass; the counters of a pass fit the first-level cache."""

_AXIS = (1 << 21) - 1


@njit(cache=True, nogil=True)
def radix_order(keys: np.ndarray) -> np.ndarray:
    """(N,) int32 order that sorts non-negative int64 ``keys``, equal ones as they stand; one pass per 11 bits."""
    count = len(keys)
    order = np.arange(count).astype(np.int32)
    highest = np.int64(0)
    for i in range(count):
        highest = max(highest, keys[i])
    now, then = keys.copy(), np.empty(count, np.int64)
    next_order = np.empty(count, np.int32)
    shift = 0
    while shift < 63 and highest >> shift > 0:
        begins = np.zeros((1 << _DIGIT) + 1, np.int64)
        for i in range(count):
            begins[((now[i] >> shift) & ((1 << _DIGIT) - 1)) + 1] += 1
        for digit in range(1 << _DIGIT):
            begins[digit + 1] += begins[digit]
        for i in range(count):
            digit = (now[i] >> shift) & ((1 << _DIGIT) - 1)
            place = begins[digit]
            begins[digit] += 1
            then[place] = now[i]
            next_order[place] = order[i]
        now, then = then, now
        order, next_order = next_order, order
        shift += _DIGIT
    return order


@njit(cache=True, nogil=True)
def compact_keys(keys: np.ndarray) -> np.ndarray:
    """Voxel keys of 21 bits per axis packed into as few bits as their extent needs; they sort the same."""
    lowest, highest, bits = np.zeros(3, np.int64), np.zeros(3, np.int64), np.zeros(3, np.int64)
    for axis in range(3):
        lowest[axis] = _AXIS
    for i in range(len(keys)):
        for axis in range(3):
            place = (keys[i] >> (21 * (2 - axis))) & _AXIS
            lowest[axis] = min(lowest[axis], place)
            highest[axis] = max(highest[axis], place)
    for axis in range(3):
        while (highest[axis] - lowest[axis]) >> bits[axis] > 0:
            bits[axis] += 1
    compact = np.empty(len(keys), np.int64)
    for i in range(len(keys)):
        x = (keys[i] >> 42) - lowest[0]
        y = ((keys[i] >> 21) & _AXIS) - lowest[1]
        z = (keys[i] & _AXIS) - lowest[2]
        compact[i] = (((x << bits[1]) | y) << bits[2]) | z
    return compact


@njit(cache=True, nogil=True)
def group_starts(keys: np.ndarray, order: np.ndarray) -> np.ndarray:
    """(V + 1,) int64 where each run of equal keys begins in ``order``, which sorts them, and the end."""
    starts = np.empty(len(order) + 1, np.int64)
    groups = 0
    for t in range(len(order)):
        if t == 0 or keys[order[t]] != keys[order[t - 1]]:
            starts[groups] = t
            groups += 1
    starts[groups] = len(order)
    return starts[: groups + 1].copy()


@njit(cache=True, nogil=True)
def group_of_each(order: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """(N,) int32 number of the group that each member of ``order`` stands in."""
    groups = np.empty(len(order), np.int32)
    for group in range(len(starts) - 1):
        for t in range(starts[group], starts[group + 1]):
            groups[order[t]] = group
    return groups


@njit(cache=True, nogil=True)
def count_distinct(keys: np.ndarray) -> int:
    """How many different non-negative int64 ``keys`` there are; a hash table that grows with the number found."""
    table = _empty_table(1024)
    count = 0
    for i in range(len(keys)):
        if i > 0 and keys[i] == keys[i - 1]:
            continue
        slot = _slot(table, keys[i])
        if table[slot] < 0:
            table[slot] = keys[i]
            count += 1
            if 2 * count > len(table):
                wider = _empty_table(2 * len(table))
                for key in table:
                    if key >= 0:
                        wider[_slot(wider, key)] = key
                table = wider
    return count


@njit(cache=True, nogil=True)
def _empty_table(size: int) -> np.ndarray:
    table = np.empty(size, np.int64)
    for slot in range(size):
        table[slot] = -1
    return table


@njit(cache=True, nogil=True)
def _slot(table: np.ndarray, key: np.int64) -> np.int64:
    """Where ``key`` is in an open-addressing table of 2^n places, or the free place where it belongs."""
    slot = np.int64((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)) & (len(table) - 1)
    while table[slot] >= 0 and table[slot] != key:
        slot = (slot + 1) & (len(table) - 1)
    return slot
