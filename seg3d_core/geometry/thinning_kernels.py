"""Compiled nearest neighbours among points that have a voxel each to themselves."""

from __future__ import annotations

import numpy as np
from numba import njit

_MIX = np.uint64(0x9E3779B97F4A7C15)


@njit(cache=True, nogil=True)
def nearest_of_voxels(points: np.ndarray, kept: np.ndarray, voxel: np.ndarray, size: float) -> np.ndarray:
    """Which of ``kept`` (K, 3) is nearest to each of ``points`` (N, 3); (N,) int64.

    Every kept point is alone in its voxel floor(point / size), and point i is in the voxel of kept point ``voxel[i]``.
    So the nearest is at most the diagonal of a voxel away, not more than two voxels along any axis.
    """
    cells, owners = _table(kept, size)
    nearest = np.empty(len(points), np.int64)
    for i in range(len(points)):
        p = points[i]
        x, y, z = _cell(p[0], size), _cell(p[1], size), _cell(p[2], size)
        best = int(voxel[i])
        squared = _squared(p, kept[best])
        # What is not within reach is at least this far.
        for reach in (1, 2):
            if squared <= (_to_border(p, x, y, z, size) + (reach - 1) * size) ** 2:
                break
            best, squared = _search(p, kept, cells, owners, x, y, z, size, reach, best, squared)
        nearest[i] = best
    return nearest


@njit(cache=True, nogil=True)
def _search(
    p: np.ndarray,
    kept: np.ndarray,
    cells: np.ndarray,
    owners: np.ndarray,
    x: int,
    y: int,
    z: int,
    size: float,
    reach: int,
    best: int,
    squared: float,
) -> tuple[int, float]:
    """The nearest among the cells that are ``reach`` away along some axis, if nearer than ``best``."""
    for i in range(x - reach, x + reach + 1):
        from_x = _gap(p[0], i, size)
        if from_x >= squared:
            continue
        for j in range(y - reach, y + reach + 1):
            from_xy = from_x + _gap(p[1], j, size)
            if from_xy >= squared:
                continue
            inner = abs(i - x) < reach and abs(j - y) < reach
            for k in range(z - reach, z + reach + 1, 2 * reach if inner else 1):
                if from_xy + _gap(p[2], k, size) >= squared:
                    continue
                other = _owner(cells, owners, i, j, k)
                if other >= 0:
                    distance = _squared(p, kept[other])
                    if distance < squared:
                        best, squared = other, distance
    return best, squared


@njit(cache=True, nogil=True)
def _table(kept: np.ndarray, size: float) -> tuple[np.ndarray, np.ndarray]:
    """Open addressing: (S, 3) cells and (S,) the kept point in each, -1 where a place is free."""
    slots = 1
    while slots < 2 * len(kept):
        slots *= 2
    cells = np.empty((slots, 3), np.int32)
    owners = np.full(slots, -1, np.int32)
    for i in range(len(kept)):
        x, y, z = _cell(kept[i, 0], size), _cell(kept[i, 1], size), _cell(kept[i, 2], size)
        slot = _slot(x, y, z, slots)
        while owners[slot] >= 0:
            slot = (slot + 1) & (slots - 1)
        cells[slot, 0], cells[slot, 1], cells[slot, 2] = x, y, z
        owners[slot] = i
    return cells, owners


@njit(cache=True, nogil=True)
def _owner(cells: np.ndarray, owners: np.ndarray, x: int, y: int, z: int) -> int:
    slot = _slot(x, y, z, len(owners))
    while owners[slot] >= 0:
        if cells[slot, 0] == x and cells[slot, 1] == y and cells[slot, 2] == z:
            return int(owners[slot])
        slot = (slot + 1) & (len(owners) - 1)
    return -1


@njit(cache=True, nogil=True)
def _slot(x: int, y: int, z: int, slots: int) -> int:
    mixed = (np.uint64(x) * np.uint64(73856093)) ^ (np.uint64(y) * np.uint64(19349663)) ^ (np.uint64(z) * _MIX)
    return int(np.int64((mixed * _MIX) >> np.uint64(33))) & (slots - 1)


@njit(cache=True, nogil=True)
def _cell(value: float, size: float) -> int:
    return int(np.floor(value / size))


@njit(cache=True, nogil=True)
def _gap(value: float, cell: int, size: float) -> float:
    """Squared distance along one axis from a coordinate to a cell."""
    below, above = cell * size - value, value - (cell + 1) * size
    gap = max(below, above, 0.0)
    return gap * gap


@njit(cache=True, nogil=True)
def _to_border(p: np.ndarray, x: int, y: int, z: int, size: float) -> float:
    """Distance from a point to the nearest side of its cell."""
    nearest = size
    for value, cell in ((p[0], x), (p[1], y), (p[2], z)):
        nearest = min(nearest, value - cell * size, (cell + 1) * size - value)
    return nearest


@njit(cache=True, nogil=True)
def _squared(p: np.ndarray, q: np.ndarray) -> float:
    dx, dy, dz = np.float64(p[0]) - q[0], np.float64(p[1]) - q[1], np.float64(p[2]) - q[2]
    squared: float = dx * dx + dy * dy + dz * dz
    return squared
