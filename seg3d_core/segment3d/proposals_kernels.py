"""Compiled loops over index lists: subset f holds ``members[offsets[f]:offsets[f + 1]]``."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def fill_masks(offsets: np.ndarray, members: np.ndarray, num_rows: int) -> np.ndarray:
    """Dense masks (F, num_rows)."""
    masks = np.zeros((len(offsets) - 1, num_rows), np.bool_)
    for f in range(len(masks)):
        for m in range(offsets[f], offsets[f + 1]):
            masks[f, members[m]] = True
    return masks


@njit(cache=True, nogil=True)
def gather(offsets: np.ndarray, picked: np.ndarray, new_offsets: np.ndarray) -> np.ndarray:
    """Where the members of the ``picked`` subsets are, (new_offsets[-1],)."""
    entries = np.empty(new_offsets[-1], np.int64)
    for i in range(len(picked)):
        for m in range(new_offsets[i + 1] - new_offsets[i]):
            entries[new_offsets[i] + m] = offsets[picked[i]] + m
    return entries


@njit(cache=True, nogil=True)
def expand(
    offsets: np.ndarray, members: np.ndarray, starts: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Subsets of points; row r has ``points[starts[r]:starts[r + 1]]``.

    Returns offsets (F + 1,), the old member (M',) that each new one comes from, and the new members (M',).
    """
    new_offsets = np.zeros_like(offsets)
    for f in range(len(offsets) - 1):
        size = 0
        for m in range(offsets[f], offsets[f + 1]):
            size += starts[members[m] + 1] - starts[members[m]]
        new_offsets[f + 1] = new_offsets[f] + size
    entries = np.empty(new_offsets[-1], np.int64)
    expanded = np.empty(new_offsets[-1], np.int32)
    at = 0
    for m in range(len(members)):
        for p in range(starts[members[m]], starts[members[m] + 1]):
            entries[at] = m
            expanded[at] = points[p]
            at += 1
    return new_offsets, entries, expanded
