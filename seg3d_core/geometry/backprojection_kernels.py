"""Compiled inner loop of backprojection."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def lift_pixels(
    depth_m: np.ndarray,
    rgb: np.ndarray,
    rays: np.ndarray,
    T: np.ndarray,
    min_depth_m: float,
    max_depth_m: float,
    stride: int,
    points: np.ndarray,
    colours: np.ndarray,
    source: np.ndarray,
) -> int:
    """Write point, colour and row-major index of the pixels in range; returns their number.

    One pass that reads each pixel once and writes each point once. ``rgb`` (0, 0, 3) stands for no colour.
    """
    height, width = depth_m.shape
    coloured = rgb.size > 0
    n = 0
    for row in range(0, height, stride):
        for column in range(0, width, stride):
            z = depth_m[row, column]
            if not (z > 0 and min_depth_m <= z <= max_depth_m):
                continue
            cx = rays[row, column, 0] * np.float64(z)
            cy = rays[row, column, 1] * np.float64(z)
            if np.isnan(cx + cy):
                continue
            points[n, 0] = T[0, 0] * cx + T[0, 1] * cy + T[0, 2] * z + T[0, 3]
            points[n, 1] = T[1, 0] * cx + T[1, 1] * cy + T[1, 2] * z + T[1, 3]
            points[n, 2] = T[2, 0] * cx + T[2, 1] * cy + T[2, 2] * z + T[2, 3]
            if coloured:
                colours[n, 0] = rgb[row, column, 0]
                colours[n, 1] = rgb[row, column, 1]
                colours[n, 2] = rgb[row, column, 2]
            source[n] = row * width + column
            n += 1
    return n
