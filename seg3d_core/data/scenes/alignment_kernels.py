"""Compiled loops of ``alignment``."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def splat(
    depth_m: np.ndarray, rays: np.ndarray, T: np.ndarray, K: np.ndarray, registered_m: np.ndarray, spread: float
) -> None:
    """Fill ``registered_m`` (h, w) with the nearest of the returns that fall on each pixel of the other camera.

    ``rays`` have z = 1 in the first camera's frame, ``T`` maps its points to the other one. A return covers
    ``spread`` px of the other image each way around its centre. 0 = no return.
    """
    height, width = registered_m.shape
    registered_m[:] = 0
    for row in range(depth_m.shape[0]):
        for column in range(depth_m.shape[1]):
            depth = np.float64(depth_m[row, column])
            if not depth > 0:
                continue
            x, y = depth * rays[row, column, 0], depth * rays[row, column, 1]
            z = T[2, 0] * x + T[2, 1] * y + T[2, 2] * depth + T[2, 3]
            if z <= 0:
                continue
            u = K[0, 0] * (T[0, 0] * x + T[0, 1] * y + T[0, 2] * depth + T[0, 3]) / z + K[0, 2]
            v = K[1, 1] * (T[1, 0] * x + T[1, 1] * y + T[1, 2] * depth + T[1, 3]) / z + K[1, 2]
            if not (-1.0 < u < width and -1.0 < v < height):
                continue
            first_row, last_row = int(np.ceil(v - spread)), int(np.floor(v + spread))
            first_column, last_column = int(np.ceil(u - spread)), int(np.floor(u + spread))
            for r in range(max(first_row, 0), min(last_row, height - 1) + 1):
                for c in range(max(first_column, 0), min(last_column, width - 1) + 1):
                    before = registered_m[r, c]
                    if before == 0 or z < before:
                        registered_m[r, c] = z
