"""Compiled inner loops of voxelisation: packed 64-bit keys and a hash table over them."""

from __future__ import annotations

import numpy as np
from numba import njit

_OFFSET = 1 << 20
_MASK = (1 << 21) - 1
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@njit(cache=True, nogil=True)
def pack_points(points: np.ndarray, voxel_size_m: float) -> tuple[np.ndarray, int]:
    """Keys (N,) int64 of ``points`` (N, 3), and the first point that has none (-1 when all have)."""
    n = len(points)
    keys = np.empty(n, np.int64)
    for i in range(n):
        x = np.floor(points[i, 0] / voxel_size_m) + _OFFSET
        y = np.floor(points[i, 1] / voxel_size_m) + _OFFSET
        z = np.floor(points[i, 2] / voxel_size_m) + _OFFSET
        if not (0 <= x <= _MASK and 0 <= y <= _MASK and 0 <= z <= _MASK):
            return keys, i
        keys[i] = (np.int64(x) << 42) | (np.int64(y) << 21) | np.int64(z)
    return keys, -1


@njit(cache=True, nogil=True)
def unpack_keys(keys: np.ndarray) -> np.ndarray:
    """Voxel coordinates (V, 3) int32 of ``keys`` (V,) int64."""
    coordinates = np.empty((len(keys), 3), np.int32)
    for i in range(len(keys)):
        coordinates[i, 0] = (keys[i] >> 42) - _OFFSET
        coordinates[i, 1] = ((keys[i] >> 21) & _MASK) - _OFFSET
        coordinates[i, 2] = (keys[i] & _MASK) - _OFFSET
    return coordinates


@njit(cache=True, nogil=True)
def group_keys(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Group (N,) int32 of each key, numbered by first appearance, and the first member (V,) int64 of each group.

    An open-addressing table of group numbers, at most half full; neighbouring points mostly share their voxel, so the
    previous group is tried before the table.
    """
    n = len(keys)
    bits = 4
    while (1 << bits) < 2 * n:
        bits += 1
    shift = np.uint64(64 - bits)
    mask = (1 << bits) - 1
    table = np.full(1 << bits, np.int32(-1))
    group = np.empty(n, np.int32)
    first = np.empty(n, np.int64)
    known = np.empty(n, np.int64)
    count = 0
    for i in range(n):
        key = keys[i]
        if i > 0 and key == keys[i - 1]:
            group[i] = group[i - 1]
            continue
        slot = np.int64((np.uint64(key) * _GOLDEN) >> shift)
        while table[slot] >= 0 and known[table[slot]] != key:
            slot = (slot + 1) & mask
        if table[slot] < 0:
            table[slot] = count
            known[count] = key
            first[count] = i
            count += 1
        group[i] = table[slot]
    return group, first[:count].copy()
