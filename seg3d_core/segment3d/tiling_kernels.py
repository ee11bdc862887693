"""Compiled loop that joins index lists."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def unite(
    starts: np.ndarray,
    order: np.ndarray,
    offsets: np.ndarray,
    members: np.ndarray,
    probabilities: np.ndarray,
    num_rows: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Union g is of the subsets ``order[starts[g]:starts[g + 1]]``, each row once with its greatest probability.

    ``probabilities`` (M,) or (0,) where there are none. Returns offsets (G + 1,), members (M',), ascending within a
    union, and where each one's probability is in (M,).
    """
    best = np.full(num_rows, -1, np.int64)
    united = np.empty(len(members), np.int32)
    entries = np.empty(len(members), np.int64)
    new_offsets = np.zeros(len(starts), np.int64)
    at = 0
    for g in range(len(starts) - 1):
        low, high = num_rows, -1
        for i in range(starts[g], starts[g + 1]):
            for m in range(offsets[order[i]], offsets[order[i] + 1]):
                row = members[m]
                if best[row] < 0 or (len(probabilities) and probabilities[m] > probabilities[best[row]]):
                    best[row] = m
                low, high = min(low, row), max(high, row)
        for row in range(low, high + 1):
            if best[row] >= 0:
                united[at], entries[at] = row, best[row]
                best[row] = -1
                at += 1
        new_offsets[g + 1] = at
    return new_offsets, united[:at], entries[:at]
