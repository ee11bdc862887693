"""Compiled inner loops of image resampling."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def sample_bilinear(image: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Values of ``image`` (H, W, C) float32 at ``pixels`` (h, w, 2) = (u, v); 0 at NaN and beyond half a px outside."""
    height, width, channels = image.shape
    rows, columns, _ = pixels.shape
    out = np.zeros((rows, columns, channels), np.float32)
    for row in range(rows):
        for column in range(columns):
            u = pixels[row, column, 0]
            v = pixels[row, column, 1]
            if not (-0.5 <= u <= width - 0.5 and -0.5 <= v <= height - 0.5):
                continue
            u = min(max(u, np.float32(0)), np.float32(width - 1))
            v = min(max(v, np.float32(0)), np.float32(height - 1))
            left = min(int(u), max(width - 2, 0))
            top = min(int(v), max(height - 2, 0))
            right = min(left + 1, width - 1)
            bottom = min(top + 1, height - 1)
            a = u - np.float32(left)
            b = v - np.float32(top)
            for c in range(channels):
                upper = image[top, left, c] + a * (image[top, right, c] - image[top, left, c])
                lower = image[bottom, left, c] + a * (image[bottom, right, c] - image[bottom, left, c])
                out[row, column, c] = upper + b * (lower - upper)
    return out
