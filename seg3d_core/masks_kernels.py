"""Compiled passes over the masks of ``Instances``, which are the largest thing in a result."""

from __future__ import annotations

import numpy as np
from numba import njit

_BLOCK = 4096
"""Points whose labels stay in the first-level cache while all masks pass over them."""


@njit(cache=True, nogil=True)
def paint(masks, order, labels):  # type: ignore[no-untyped-def]
    """labels (N,) = the last row in ``order`` whose mask (Q, N) covers the point; others are left as they are."""
    for start in range(0, labels.size, _BLOCK):
        part = labels[start : start + _BLOCK]
        for row in order:
            mask, label = masks[row, start : start + _BLOCK], np.int32(row)
            for index in range(np.uint64(part.size)):
                part[index] = label if mask[index] else part[index]
