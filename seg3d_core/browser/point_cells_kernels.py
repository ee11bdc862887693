"""Points in the order of their cells: looking at every point twice."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def rows_by_cell(point_to_cell, cell_count):  # type: ignore[no-untyped-def]
    """Rows of cell 0, then of cell 1, ..., ascending in each; and where each cell begins, with the end of the last."""
    starts = np.zeros(cell_count + 1, np.int64)
    for cell in point_to_cell:
        starts[cell + 1] += 1
    for cell in range(cell_count):
        starts[cell + 1] += starts[cell]
    rows, free = np.empty(len(point_to_cell), np.int64), starts[:-1].copy()
    for row in range(len(point_to_cell)):
        cell = point_to_cell[row]
        rows[free[cell]] = row
        free[cell] += 1
    return rows, starts
