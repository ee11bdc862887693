"""Compiled loops of density-based clustering."""

from __future__ import annotations

import numpy as np
from numba import njit

_NO_MEMBER = -2

_SPARSE = 100
"""Rows to look through for each member, at most."""


@njit(cache=True, nogil=True)
def neighbour_lists(points: np.ndarray, keys: np.ndarray, radius_m: float) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of ``points`` (V, 3) within ``radius_m``, each point its own neighbour too.

    ``keys`` are the cells of the points, edge ``radius_m`` or more (21 bits per axis, z lowest), both ascending.
    Returns offsets (V + 1,) and indices (E,) int32: neighbours of v are indices[offsets[v]:offsets[v + 1]].
    """
    xyz = points.astype(np.float64)
    offsets = np.zeros(len(keys) + 1, np.int64)
    indices = np.empty(32 * len(keys), np.int32)
    first = np.zeros(9, np.int64)
    last = np.zeros(9, np.int64)
    start = 0
    while start < len(keys):
        end = start + 1
        while end < len(keys) and keys[end] == keys[start]:
            end += 1
        candidates = 0
        for column in range(9):
            # Three cells above one another have consecutive keys. The bounds only ever move on.
            key = keys[start] + ((column // 3 - 1) << 42) + ((column % 3 - 1) << 21)
            while first[column] < len(keys) and keys[first[column]] < key - 1:
                first[column] += 1
            last[column] = max(last[column], first[column])
            while last[column] < len(keys) and keys[last[column]] <= key + 1:
                last[column] += 1
            candidates += last[column] - first[column]
        needed = offsets[start] + candidates * (end - start)
        if needed > len(indices):
            larger = np.empty(max(needed, 2 * len(indices)), np.int32)
            larger[: offsets[start]] = indices[: offsets[start]]
            indices = larger
        for i in range(start, end):
            at = offsets[i]
            for column in range(9):
                for j in range(first[column], last[column]):
                    x = xyz[i, 0] - xyz[j, 0]
                    y = xyz[i, 1] - xyz[j, 1]
                    z = xyz[i, 2] - xyz[j, 2]
                    indices[at] = j
                    at += x * x + y * y + z * z <= radius_m * radius_m
            offsets[i + 1] = at
        start = end
    return offsets, indices[: offsets[-1]].copy()


@njit(cache=True, nogil=True)
def cluster_subsets(
    members: np.ndarray, bounds: np.ndarray, offsets: np.ndarray, indices: np.ndarray, min_samples: int
) -> np.ndarray:
    """Cluster of each of ``members`` (M,) in its subset ``members[bounds[f]:bounds[f + 1]]``, -1 for noise."""
    label_at = np.full(len(offsets) - 1, _NO_MEMBER, np.int32)
    is_core = np.zeros(len(offsets) - 1, np.bool_)
    stack = np.empty(len(offsets) - 1, np.int64)
    labels = np.empty(len(members), np.int32)
    for f in range(len(bounds) - 1):
        subset = members[bounds[f] : bounds[f + 1]]
        first, last = len(label_at), -1
        for v in subset:
            label_at[v] = -1
            first, last = min(first, v), max(last, v)
        if last - first < _SPARSE * len(subset):
            # In the order of memory, not of the subset: twice as fast.
            for v in range(first, last + 1):
                if label_at[v] == -1:
                    is_core[v] = _has_company(v, offsets, indices, label_at, min_samples)
        else:
            for v in subset:
                is_core[v] = _has_company(v, offsets, indices, label_at, min_samples)
        label = 0
        for seed in subset:
            if is_core[seed] and label_at[seed] == -1:
                _flood(seed, label, offsets, indices, label_at, is_core, stack)
                label += 1
        for i in range(len(subset)):
            labels[bounds[f] + i] = label_at[subset[i]]
        for v in subset:
            label_at[v] = _NO_MEMBER
    return labels


@njit(cache=True, nogil=True)
def _has_company(v: int, offsets: np.ndarray, indices: np.ndarray, label_at: np.ndarray, min_samples: int) -> bool:
    """Whether at least ``min_samples`` members are near ``v``."""
    count = 0
    for edge in range(offsets[v], offsets[v + 1]):
        count += label_at[indices[edge]] != _NO_MEMBER
        if count >= min_samples:
            return True
    return False


@njit(cache=True, nogil=True)
def _flood(
    seed: int,
    label: int,
    offsets: np.ndarray,
    indices: np.ndarray,
    label_at: np.ndarray,
    is_core: np.ndarray,
    stack: np.ndarray,
) -> None:
    """Label everything that core members reach from ``seed``."""
    label_at[seed] = label
    stack[0] = seed
    waiting = 1
    while waiting > 0:
        waiting -= 1
        v = stack[waiting]
        for edge in range(offsets[v], offsets[v + 1]):
            w = indices[edge]
            if label_at[w] == -1:
                label_at[w] = label
                if is_core[w]:
                    stack[waiting] = w
                    waiting += 1


@njit(cache=True, nogil=True)
def group_subsets(labels: np.ndarray, bounds: np.ndarray, drop: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clusters with more than ``drop`` members, in order of subset and label.

    Returns where each starts (C + 1,), the subset it is of (C,), and where its members were (M',).
    """
    entries = np.empty(len(labels), np.int64)
    starts = np.zeros(len(labels) + 1, np.int64)
    subset = np.empty(len(labels), np.int64)
    found = 0
    for f in range(len(bounds) - 1):
        last = -1
        for i in range(bounds[f], bounds[f + 1]):
            last = max(last, labels[i])
        sizes = np.zeros(last + 1, np.int64)
        for i in range(bounds[f], bounds[f + 1]):
            if labels[i] >= 0:
                sizes[labels[i]] += 1
        place = np.full(last + 1, -1, np.int64)
        for label in range(last + 1):
            if sizes[label] > drop:
                place[label] = starts[found]
                subset[found] = f
                starts[found + 1] = starts[found] + sizes[label]
                found += 1
        for i in range(bounds[f], bounds[f + 1]):
            if labels[i] >= 0 and place[labels[i]] >= 0:
                entries[place[labels[i]]] = i
                place[labels[i]] += 1
    return starts[: found + 1].copy(), subset[:found].copy(), entries[: starts[found]].copy()
