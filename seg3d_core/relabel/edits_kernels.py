"""What differs between two states of the labels: looking at every point twice."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def changed_rows(before, after):  # type: ignore[no-untyped-def]
    """Ascending rows where two arrays of ids differ, and the ids there of the second one."""
    count = 0
    for row in range(len(before)):
        count += before[row] != after[row]
    rows, ids = np.empty(count, np.int64), np.empty(count, np.int32)
    place = 0
    for row in range(len(before)):
        if before[row] != after[row]:
            rows[place], ids[place] = row, after[row]
            place += 1
    return rows, ids
