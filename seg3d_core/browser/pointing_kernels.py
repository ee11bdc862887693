"""Which point of a cloud is under the cursor: looking at every point twice."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def first_point_near_ray(points, origin, direction, least_m, slope, depth_m):  # type: ignore[no-untyped-def]
    """Row of the point that a ray from ``origin`` along the unit vector ``direction`` means; -1 for none.

    Of the points that are near the ray, that is within ``least_m`` or ``slope`` times their distance, the nearest to
    the origin says where the surface is; of those at most ``depth_m`` behind it, the one nearest to the ray is meant.
    """
    surface_m = np.inf
    for row in range(len(points)):
        along, square = _place(points, row, origin, direction)
        if 0 < along < surface_m and square <= max(least_m, slope * along) ** 2:
            surface_m = along
    best, best_square = -1, np.inf
    for row in range(len(points)):
        along, square = _place(points, row, origin, direction)
        if 0 < along <= surface_m + depth_m and square < best_square and square <= max(least_m, slope * along) ** 2:
            best, best_square = row, square
    return best


@njit(cache=True, nogil=True)
def _place(points, row, origin, direction):  # type: ignore[no-untyped-def]
    """How far along the ray a point is, and how far from it, squared."""
    x, y, z = points[row, 0] - origin[0], points[row, 1] - origin[1], points[row, 2] - origin[2]
    along = x * direction[0] + y * direction[1] + z * direction[2]
    return along, x * x + y * y + z * z - along * along
