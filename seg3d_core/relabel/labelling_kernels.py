"""How many points instances have, and what differs between two states: looking at every point twice."""

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


@njit(cache=True, nogil=True)
def count_ids(ids):  # type: ignore[no-untyped-def]
    """How often each id from 0 to the largest is there; numpy's own way copies them into longer numbers first."""
    largest = -1
    for number in ids:
        largest = max(largest, number)
    counts = np.zeros(largest + 1, np.int64)
    for number in ids:
        counts[number] += 1
    return counts
