"""Compiled loop of ``reprojection``: how one depth image agrees with what another camera saw."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def compare(
    points: np.ndarray, T_other_world: np.ndarray, K: np.ndarray, depth_m: np.ndarray, tolerance: np.ndarray
) -> tuple[int, int, int]:
    """Points (N, 3) world against another camera's depth: in view with a return, agreeing, and too near.

    A point agrees if the depths differ by at most tolerance[0] + tolerance[1] z^2. It is too near if it lies farther
    than that in front of what the other camera saw there: that camera looked through it. What lies behind is hidden
    and says nothing. The nearest of the 3x3 returns around the pixel is taken, for borders move by a pixel.
    """
    height, width = depth_m.shape
    R, t = T_other_world[:3, :3], T_other_world[:3, 3]
    in_view, agreeing, too_near = 0, 0, 0
    for i in range(len(points)):
        x, y, z = np.float64(points[i, 0]), np.float64(points[i, 1]), np.float64(points[i, 2])
        depth = R[2, 0] * x + R[2, 1] * y + R[2, 2] * z + t[2]
        if depth <= 0.1:
            continue
        column = int(np.floor(K[0, 0] * (R[0, 0] * x + R[0, 1] * y + R[0, 2] * z + t[0]) / depth + K[0, 2] + 0.5))
        row = int(np.floor(K[1, 1] * (R[1, 0] * x + R[1, 1] * y + R[1, 2] * z + t[1]) / depth + K[1, 2] + 0.5))
        if not (1 <= row < height - 1 and 1 <= column < width - 1) or not depth_m[row, column] > 0:
            continue
        in_view += 1
        allowed = tolerance[0] + tolerance[1] * depth * depth
        nearest, gap = np.inf, np.inf
        for r in range(row - 1, row + 2):
            for c in range(column - 1, column + 2):
                seen = np.float64(depth_m[r, c])
                if seen > 0:
                    nearest = min(nearest, seen)
                    gap = min(gap, abs(seen - depth))
        if gap <= allowed:
            agreeing += 1
        elif depth < nearest:
            too_near += 1
    return in_view, agreeing, too_near
