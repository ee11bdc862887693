"""Compiled pixel loops of ``images``: one pass from the message's bytes to what the core wants."""

from __future__ import annotations

import numpy as np
from numba import njit

_UNIT = np.float32(1 / 255)
_U1, _U2, _U3 = np.uint64(1), np.uint64(2), np.uint64(3)

# Indices are unsigned, because the test for negative (from the end) indices keeps the loops from being vectorised.


@njit(cache=True, nogil=True)
def unit_rgb(data, height, width, step, channels, red, blue, rgb):  # type: ignore[no-untyped-def]
    """Bytes to 0..1 in the flat ``rgb`` (3 H W); ``red`` and ``blue`` are their places in a pixel, green is between."""
    for row in range(np.uint64(height)):
        start, to = row * np.uint64(step), row * np.uint64(width) * _U3
        if channels == 3 and red == 0:
            _copy_row(data, start, np.uint64(width) * _U3, rgb, to)
        else:
            _reorder_row(data, start, np.uint64(width), np.uint64(channels), np.uint64(red), np.uint64(blue), rgb, to)


@njit(cache=True, nogil=True)
def _copy_row(data, start, size, rgb, to):  # type: ignore[no-untyped-def]
    for index in range(size):
        rgb[to + index] = np.float32(data[start + index]) * _UNIT


@njit(cache=True, nogil=True)
def _reorder_row(data, start, width, channels, red, blue, rgb, to):  # type: ignore[no-untyped-def]
    green = (red + blue) // _U2
    for column in range(width):
        pixel, place = start + column * channels, to + column * _U3
        rgb[place] = np.float32(data[pixel + red]) * _UNIT
        rgb[place + _U1] = np.float32(data[pixel + green]) * _UNIT
        rgb[place + _U2] = np.float32(data[pixel + blue]) * _UNIT


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
