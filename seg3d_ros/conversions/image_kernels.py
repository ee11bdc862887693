"""Compiled pixel loops of ``images``: one pass from the message's bytes to what the core wants."""

from __future__ import annotations

import numpy as np
from numba import njit

_UNIT = (np.arange(256) / 255).astype(np.float32)


@njit(cache=True, nogil=True)
def unit_rgb(data, height, width, step, channels, red, blue, rgb):  # type: ignore[no-untyped-def]
    """Bytes to 0..1; ``red`` and ``blue`` are the places of these channels in a pixel, green is in the middle."""
    green = (red + blue) // 2
    for row in range(height):
        start = row * step
        for column in range(width):
            pixel = start + column * channels
            rgb[row, column, 0] = _UNIT[data[pixel + red]]
            rgb[row, column, 1] = _UNIT[data[pixel + green]]
            rgb[row, column, 2] = _UNIT[data[pixel + blue]]


@njit(cache=True, nogil=True)
def metres_from_millimetres(depth_mm, depth_m):  # type: ignore[no-untyped-def]
    """16-bit millimetres to metres; both flat."""
    for index in range(depth_mm.size):
        depth_m[index] = np.float32(depth_mm[index]) / np.float32(1000)


@njit(cache=True, nogil=True)
def finite_metres(depth, depth_m):  # type: ignore[no-untyped-def]
    """Positive finite depths as they are, everything else (NaN, infinities, negative) becomes 0; both flat."""
    for index in range(depth.size):
        value = depth[index]
        depth_m[index] = value if np.float32(0) < value < np.float32(np.inf) else np.float32(0)


@njit(cache=True, nogil=True)
def bytes_from_unit(values, pixels):  # type: ignore[no-untyped-def]
    """0..1 (clipped, NaN becomes 0) to the nearest of 0..255; both flat."""
    for index in range(values.size):
        value = values[index]
        clipped = np.float32(0)
        if value > np.float32(0):
            clipped = min(value, np.float32(1))
        pixels[index] = np.uint8(clipped * np.float32(255) + np.float32(0.5))
