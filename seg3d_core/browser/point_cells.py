"""Points of a large cloud by cubic cells: what is near a ray or a place is found without a look at all of them."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from seg3d_core.browser.point_cells_kernels import rows_by_cell
from seg3d_core.geometry.voxels import voxelize

_CELLS = 64
"""The longest side of the cloud is so many cells."""

_LEAST_CELL_M = 1e-3

_SLACK = 1.01
"""Spheres around cells are so much larger than they must be: more than rounding."""


class PointCells:
    """Which points are in which cell.

    Args:
        points: of a cloud, m; at least one.

    Raises:
        InputError: a point is not finite.
    """

    def __init__(self, points: Float32[np.ndarray, "N 3"]) -> None:
        low = points.min(axis=0)
        shifted = points - low
        edge_m = max(float(shifted.max()) / _CELLS, _LEAST_CELL_M)
        cells = voxelize(shifted, edge_m)
        self._rows, self._starts = rows_by_cell(cells.point_to_voxel, len(cells))
        self._centres_m = low + edge_m * (cells.coordinates + 0.5)
        self._radius_m = _SLACK * edge_m * 3**0.5 / 2

    def near_ray(
        self, origin: Float64[np.ndarray, "3"], direction: Float64[np.ndarray, "3"], least_m: float, slope: float
    ) -> Int64[np.ndarray, " R"]:
        """Ascending rows of all points that may be near a ray: within ``least_m`` or ``slope`` times their distance.

        Some that are a little farther are among them; there are none where the ray is none.
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            ahead = direction / np.linalg.norm(direction)
            offsets = self._centres_m - origin
            along = offsets @ ahead
            aside = np.linalg.norm(offsets - along[:, None] * ahead, axis=1)
            reach = np.maximum(least_m, slope * (along + self._radius_m)) + self._radius_m
            return self._rows_of((along > -self._radius_m) & (aside <= reach))

    def near_place(self, place: Float64[np.ndarray, "3"], reach_m: float) -> Int64[np.ndarray, " R"]:
        """Ascending rows of all points within ``reach_m`` of a place (m), and of some that are a little farther."""
        return self._rows_of(np.linalg.norm(self._centres_m - place, axis=1) <= reach_m + self._radius_m)

    def _rows_of(self, cells: Bool[np.ndarray, " C"]) -> Int64[np.ndarray, " R"]:
        parts = [self._rows[self._starts[cell] : self._starts[cell + 1]] for cell in np.flatnonzero(cells)]
        return np.sort(np.concatenate([np.empty(0, np.int64), *parts]))
