"""Which point is seen in which pixel of a frame, and its colour there: looking at every point and pixel once."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def rows_in_view(points, T_camera_world, low, high, nearest_m):  # type: ignore[no-untyped-def]
    """Rows of points (m, world) that lie ahead of a camera, between ``low`` and ``high`` in (x/z, y/z)."""
    found = np.empty(len(points), np.int64)
    count = 0
    for row in range(len(points)):
        x, y, z = points[row, 0], points[row, 1], points[row, 2]
        ahead = T_camera_world[2, 0] * x + T_camera_world[2, 1] * y + T_camera_world[2, 2] * z + T_camera_world[2, 3]
        if ahead <= nearest_m:
            continue
        right = T_camera_world[0, 0] * x + T_camera_world[0, 1] * y + T_camera_world[0, 2] * z + T_camera_world[0, 3]
        if not low[0] * ahead <= right <= high[0] * ahead:
            continue
        down = T_camera_world[1, 0] * x + T_camera_world[1, 1] * y + T_camera_world[1, 2] * z + T_camera_world[1, 3]
        if low[1] * ahead <= down <= high[1] * ahead:
            found[count] = row
            count += 1
    return found[:count].copy()


@njit(cache=True, nogil=True)
def number_by_pixel(pixels, depths_m, chosen, frame_depth_m, radius, tolerance):  # type: ignore[no-untyped-def]
    """(H, W) number of the last of the ``chosen`` points that the frame sees in each pixel, -1 for none.

    A point is a square of 2 ``radius`` + 1 pixels around its own. It is seen where the frame has its depth but for
    ``tolerance``, which is a share of the depth and no less than that in metres.
    """
    height, width = frame_depth_m.shape
    numbers = np.full((height, width), -1, np.int64)
    for number in chosen:
        depth = depths_m[number]
        least = tolerance * max(depth, 1.0)
        u, v = pixels[number, 0], pixels[number, 1]
        for down in range(max(v - radius, 0), min(v + radius + 1, height)):
            for across in range(max(u - radius, 0), min(u + radius + 1, width)):
                if abs(frame_depth_m[down, across] - depth) <= least:
                    numbers[down, across] = number
    return numbers


@njit(cache=True, nogil=True)
def paint_pixels(picture, numbers, rgb, share):  # type: ignore[no-untyped-def]
    """Mix the colour of its point, with ``share`` of it, into each pixel of a picture (0..255) that has one."""
    height, width = numbers.shape
    for down in range(height):
        for across in range(width):
            number = numbers[down, across]
            if number >= 0:
                for channel in range(3):
                    mixed = (1 - share) * picture[down, across, channel] + share * rgb[number, channel]
                    picture[down, across, channel] = np.uint8(np.rint(mixed))
