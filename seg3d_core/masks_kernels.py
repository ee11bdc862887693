"""Compiled passes over the masks of ``Instances``, which are the largest thing in a result."""

from __future__ import annotations

import numpy as np
from numba import njit

_BLOCK = 4096
"""Points whose labels stay in the first-level cache while all masks pass over them."""

_STRETCH = 256
"""Points of a mask that are passed over together."""


@njit(cache=True, nogil=True)
def paint(masks, order, labels):  # type: ignore[no-untyped-def]
    """labels (N,) = the last row in ``order`` whose mask (Q, N) covers the point; others are left as they are."""
    for start in range(0, labels.size, _BLOCK):
        part = labels[start : start + _BLOCK]
        for row in order:
            mask, label = masks[row, start : start + _BLOCK], np.int32(row)
            for index in range(np.uint64(part.size)):
                part[index] = label if mask[index] else part[index]


@njit(cache=True, nogil=True)
def fill_masks(labels, masks, partition):  # type: ignore[no-untyped-def]
    """Make ``masks`` (Q, N), all False, true where ``labels`` (N,) name their row; ``partition`` = labels, none as -1.

    Pages of memory that no mask reaches are never touched: most of them, as points of an instance lie together.
    """
    for index in range(labels.size):
        label = labels[index]
        partition[index] = max(label, -1)
        if label >= 0:
            masks[label, index] = True


@njit(cache=True, nogil=True)
def gather(mask, points, found):  # type: ignore[no-untyped-def]
    """Copy the rows of ``points`` (N, 3) that ``mask`` (N,) covers to the front of ``found``; returns how many."""
    count = 0
    for start in range(0, mask.size, _STRETCH):
        part = mask[start : start + _STRETCH]
        # Most of a mask is empty: looked at by vectors, and passed over.
        covered = False
        for index in range(np.uint64(part.size)):
            covered |= part[index]
        if covered:
            for index in range(part.size):
                if part[index]:
                    for axis in range(3):
                        found[count, axis] = points[start + index, axis]
                    count += 1
    return count
