"""Compiled loop of ``regions``."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def _root(parents, one):  # type: ignore[no-untyped-def]
    while parents[one] != one:
        parents[one] = parents[parents[one]]
        one = parents[one]
    return one


@njit(cache=True, nogil=True)
def connect(labels, regions):  # type: ignore[no-untyped-def]
    """regions (H, W) = number of the piece, side by side with pixels of the same label (H, W); negative ones stay -1.

    Pieces are numbered from 0 in the order of their first pixels; returns how many there are.
    """
    height, width = labels.shape
    parents = np.empty(height * width, np.int32)
    count = 0
    for row in range(height):
        for column in range(width):
            label = labels[row, column]
            regions[row, column] = -1
            if label < 0:
                continue
            above = regions[row - 1, column] if row > 0 and labels[row - 1, column] == label else -1
            left = regions[row, column - 1] if column > 0 and labels[row, column - 1] == label else -1
            if above < 0 and left < 0:
                parents[count] = count
                regions[row, column] = count
                count += 1
            elif above >= 0 and left >= 0 and above != left:
                a, b = _root(parents, above), _root(parents, left)
                # The smaller number stays: pieces keep the order of their first pixels.
                parents[max(a, b)] = min(a, b)
                regions[row, column] = min(a, b)
            else:
                regions[row, column] = max(above, left)
    dense = np.empty(count, np.int32)
    pieces = 0
    for one in range(count):
        root = _root(parents, one)
        if root == one:
            dense[one] = pieces
            pieces += 1
        else:
            dense[one] = dense[root]
    for row in range(height):
        for column in range(width):
            if regions[row, column] >= 0:
                regions[row, column] = dense[regions[row, column]]
    return pieces
