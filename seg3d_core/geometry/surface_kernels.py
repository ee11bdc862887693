"""Compiled loops of ``surface``: voxel means and exact nearest neighbours on a voxel grid."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def group_means(values: np.ndarray, order: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """(V, C) float32 mean of the rows ``order[starts[v]:starts[v + 1]]`` of ``values``; sums in float64."""
    groups = len(starts) - 1
    channels = values.shape[1]
    means = np.empty((groups, channels), np.float32)
    total = np.empty(channels, np.float64)
    for g in range(groups):
        total[:] = 0.0
        for t in range(starts[g], starts[g + 1]):
            for c in range(channels):
                total[c] += values[order[t], c]
        for c in range(channels):
            means[g, c] = total[c] / (starts[g + 1] - starts[g])
    return means


@njit(cache=True, nogil=True)
def _lower_bound(keys: np.ndarray, key: int) -> int:
    low, high = 0, len(keys)
    while low < high:
        middle = (low + high) // 2
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def _collect_columns(
    cell_keys: np.ndarray, cell_starts: np.ndarray, key: int, ring: int, begins: np.ndarray, ends: np.ndarray
) -> int:
    """Point ranges of the (2 ring + 1)^3 block around a cell: z runs are contiguous in the sorted keys."""
    count = 0
    for dx in range(-ring, ring + 1):
        for dy in range(-ring, ring + 1):
            column = key + (dx << 42) + (dy << 21)
            first = _lower_bound(cell_keys, column - ring)
            last = first
            while last < len(cell_keys) and cell_keys[last] <= column + ring:
                last += 1
            if last > first:
                begins[count] = cell_starts[first]
                ends[count] = cell_starts[last]
                count += 1
    return count


@njit(cache=True, nogil=True)
def _insert(distances: np.ndarray, indices: np.ndarray, filled: int, distance: float, index: int) -> int:
    """Keep the row sorted by (distance, index); ``filled`` entries are in use. Returns the new fill."""
    k = len(distances)
    position = filled
    if filled == k:
        position = k - 1
        if distance > distances[position] or (distance == distances[position] and index > indices[position]):
            return filled
    while position > 0 and (
        distances[position - 1] > distance or (distances[position - 1] == distance and indices[position - 1] > index)
    ):
        distances[position] = distances[position - 1]
        indices[position] = indices[position - 1]
        position -= 1
    distances[position] = distance
    indices[position] = index
    return min(filled + 1, k)


@njit(cache=True, nogil=True)
def _nearest_in(
    points: np.ndarray,
    i: int,
    begins: np.ndarray,
    ends: np.ndarray,
    limit: float,
    distances: np.ndarray,
    indices: np.ndarray,
) -> int:
    """Fill ``distances`` (squared) and ``indices`` with the points in the ranges nearest to point i; their number."""
    filled = 0
    for column in range(len(begins)):
        for j in range(begins[column], ends[column]):
            if j == i:
                continue
            dx = np.float64(points[i, 0]) - points[j, 0]
            dy = np.float64(points[i, 1]) - points[j, 1]
            dz = np.float64(points[i, 2]) - points[j, 2]
            square = dx * dx + dy * dy + dz * dz
            if square <= limit:
                filled = _insert(distances, indices, filled, square, j)
    return filled


@njit(cache=True, nogil=True)
def grid_neighbours(
    points: np.ndarray, cell_keys: np.ndarray, cell_starts: np.ndarray, cell_size: float, k: int, radius: float
) -> np.ndarray:
    """(N, k) nearest other points within ``radius``, nearest first, -1 where there are fewer.

    ``points`` are sorted by cell; ``cell_keys`` are the occupied cells, packed 21 bits per axis with a free border.
    A block of ring r contains everything within r cells of its centre, so rings grow until nothing can be missed.
    """
    indices = np.full((len(points), k), -1, np.int32)
    distances = np.empty(k, np.float64)
    last_ring = int(np.ceil(radius / cell_size))
    begins = np.empty((2 * last_ring + 1) ** 2, np.int64)
    ends = np.empty_like(begins)
    limit = radius * radius
    for c in range(len(cell_keys)):
        pending = cell_starts[c + 1] - cell_starts[c]
        done = np.zeros(pending, np.bool_)
        ring = 1
        while pending > 0:
            columns = _collect_columns(cell_keys, cell_starts, cell_keys[c], ring, begins, ends)
            safe = min(limit, (ring * cell_size) ** 2)
            for i in range(cell_starts[c], cell_starts[c + 1]):
                if done[i - cell_starts[c]]:
                    continue
                filled = _nearest_in(points, i, begins[:columns], ends[:columns], limit, distances, indices[i])
                if ring >= last_ring or (filled == k and distances[k - 1] <= safe):
                    done[i - cell_starts[c]] = True
                    pending -= 1
                else:
                    indices[i, :] = -1
            ring += 1
    return indices
