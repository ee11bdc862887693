"""Compiled loops of ``association``: the voxels of instances, and sorted sets of them."""

from __future__ import annotations

import numpy as np
from numba import njit

_STRETCH = 256
"""Points of a mask that are passed over together."""


@njit(cache=True, nogil=True)
def voxels_of_labels(
    labels: np.ndarray, count: int, order: np.ndarray, starts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sorted numbers of the voxels of every label 0..``count`` - 1, one after another, and (Q + 1,) where each begin.

    ``order`` sorts the points by voxel, ``starts`` is where each voxel's begin in it; labels below 0 are none.
    """
    last = np.full(count, -1, np.int64)
    begins = np.zeros(count + 2, np.int64)
    voxels = np.empty(0, np.int64)
    # The first pass counts, the second one writes.
    for is_writing in (False, True):
        for voxel in range(len(starts) - 1):
            for t in range(starts[voxel], starts[voxel + 1]):
                label = labels[order[t]]
                if label < 0 or last[label] == voxel:
                    continue
                last[label] = voxel
                if is_writing:
                    voxels[begins[label + 1]] = voxel
                    begins[label + 1] += 1
                else:
                    begins[label + 2] += 1
        if not is_writing:
            for label in range(2, count + 2):
                begins[label] += begins[label - 1]
            voxels = np.empty(begins[count + 1], np.int64)
            for label in range(count):
                last[label] = -1
    return voxels, begins[: count + 1]


@njit(cache=True, nogil=True)
def voxels_of_masks(masks: np.ndarray, point_to_voxel: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """As ``voxels_of_labels``, for masks (Q, N) that may overlap; ``point_to_voxel`` is 0..``count`` - 1."""
    begins = np.zeros(len(masks) + 1, np.int64)
    voxels = np.empty(count, np.int64)
    is_touched = np.zeros(count, np.bool_)
    for row in range(len(masks)):
        _touch(masks[row], point_to_voxel, is_touched)
        found = begins[row]
        if found + count > len(voxels):
            wider = np.empty(2 * (found + count), np.int64)
            for place in range(found):
                wider[place] = voxels[place]
            voxels = wider
        for voxel in range(count):
            if is_touched[voxel]:
                voxels[found] = voxel
                found += 1
                is_touched[voxel] = False
        begins[row + 1] = found
    return voxels[: begins[-1]], begins


@njit(cache=True, nogil=True)
def _touch(mask: np.ndarray, point_to_voxel: np.ndarray, is_touched: np.ndarray) -> None:
    for start in range(0, mask.size, _STRETCH):
        part = mask[start : start + _STRETCH]
        # Most of a mask is empty: looked at by vectors, and passed over.
        is_covered = False
        for index in range(np.uint64(part.size)):
            is_covered |= part[index]
        if is_covered:
            for index in range(part.size):
                if part[index]:
                    is_touched[point_to_voxel[start + index]] = True


@njit(cache=True, nogil=True)
def merge_disjoint(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Union of two sorted sets that have nothing in common."""
    merged = np.empty(len(a) + len(b), np.int64)
    i = j = 0
    for place in range(len(merged)):
        if j == len(b) or (i < len(a) and a[i] < b[j]):
            merged[place] = a[i]
            i += 1
        else:
            merged[place] = b[j]
            j += 1
    return merged
