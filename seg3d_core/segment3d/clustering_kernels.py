"""Compiled loops of density-based clustering."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def neighbour_lists(
    points: np.ndarray, keys: np.ndarray, order: np.ndarray, radius_m: float
) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of ``points`` (V, 3) within ``radius_m``, each point its own neighbour too.

    ``keys`` are ascending cell keys of edge ``radius_m`` or more (21 bits per axis, z lowest), ``order`` the points in
    that order. Returns offsets (V + 1,) and indices (E,) int32: neighbours of v are indices[offsets[v]:offsets[v + 1]].
    """
    offsets = np.zeros(len(points) + 1, np.int64)
    _visit(points, keys, order, radius_m, offsets, np.empty(0, np.int32))
    offsets = np.cumsum(offsets)
    indices = np.empty(offsets[-1], np.int32)
    _visit(points, keys, order, radius_m, offsets, indices)
    return offsets, indices


@njit(cache=True, nogil=True)
def _visit(
    points: np.ndarray, keys: np.ndarray, order: np.ndarray, radius_m: float, offsets: np.ndarray, indices: np.ndarray
) -> None:
    """Without room in ``indices``, count the neighbours of v in offsets[v + 1]; else write them from offsets[v] on."""
    counting = len(indices) == 0
    first = np.empty(9, np.int64)
    last = np.empty(9, np.int64)
    start = 0
    while start < len(keys):
        end = start + 1
        while end < len(keys) and keys[end] == keys[start]:
            end += 1
        for column in range(9):
            # Three cells above one another have consecutive keys.
            key = keys[start] + ((column // 3 - 1) << 42) + ((column % 3 - 1) << 21)
            first[column] = np.searchsorted(keys, key - 1)
            last[column] = np.searchsorted(keys, key + 1, side="right")
        for i in range(start, end):
            v = order[i]
            found = 0
            for column in range(9):
                for j in range(first[column], last[column]):
                    w = order[j]
                    x = np.float64(points[v, 0]) - points[w, 0]
                    y = np.float64(points[v, 1]) - points[w, 1]
                    z = np.float64(points[v, 2]) - points[w, 2]
                    if x * x + y * y + z * z <= radius_m * radius_m:
                        if not counting:
                            indices[offsets[v] + found] = w
                        found += 1
            if counting:
                offsets[v + 1] = found
        start = end


@njit(cache=True, nogil=True)
def cluster_members(
    members: np.ndarray, offsets: np.ndarray, indices: np.ndarray, min_samples: int, slots: np.ndarray
) -> np.ndarray:
    """Cluster of each of ``members`` (M,), -1 for noise; ``slots`` (V,) int32 is scratch, -1 before and after."""
    for i in range(len(members)):
        slots[members[i]] = i
    core = np.zeros(len(members), np.bool_)
    for i in range(len(members)):
        count = 0
        for edge in range(offsets[members[i]], offsets[members[i] + 1]):
            count += slots[indices[edge]] >= 0
        core[i] = count >= min_samples
    labels = np.full(len(members), -1, np.int32)
    stack = np.empty(len(members), np.int64)
    label = 0
    for seed in range(len(members)):
        if not core[seed] or labels[seed] >= 0:
            continue
        labels[seed] = label
        stack[0] = seed
        waiting = 1
        while waiting > 0:
            waiting -= 1
            i = stack[waiting]
            for edge in range(offsets[members[i]], offsets[members[i] + 1]):
                j = slots[indices[edge]]
                if j >= 0 and labels[j] < 0:
                    labels[j] = label
                    if core[j]:
                        stack[waiting] = j
                        waiting += 1
        label += 1
    for i in range(len(members)):
        slots[members[i]] = -1
    return labels
