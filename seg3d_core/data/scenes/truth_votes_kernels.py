"""Compiled loops of ``truth_votes``: which pixel of a frame saw a point, and which id most frames saw there."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def sight(
    points: np.ndarray,
    T_camera_world: np.ndarray,
    K: np.ndarray,
    depth_m: np.ndarray,
    tolerance: np.ndarray,
    pixels: np.ndarray,
) -> None:
    """Fill ``pixels`` (N,) with the row-major pixel that sees each point, -1 where none does.

    A pixel sees a point whose distance along the axis differs from its depth by at most tolerance[0] + tolerance[1]
    times that distance.
    """
    height, width = depth_m.shape
    R, t = T_camera_world[:3, :3], T_camera_world[:3, 3]
    for i in range(len(points)):
        pixels[i] = -1
        x, y, z = np.float64(points[i, 0]), np.float64(points[i, 1]), np.float64(points[i, 2])
        depth = R[2, 0] * x + R[2, 1] * y + R[2, 2] * z + t[2]
        if depth <= 0:
            continue
        u = K[0, 0] * (R[0, 0] * x + R[0, 1] * y + R[0, 2] * z + t[0]) / depth + K[0, 2]
        v = K[1, 1] * (R[1, 0] * x + R[1, 1] * y + R[1, 2] * z + t[1]) / depth + K[1, 2]
        if not (-0.5 <= u < width - 0.5 and -0.5 <= v < height - 0.5):
            continue
        row, column = int(np.floor(v + 0.5)), int(np.floor(u + 0.5))
        seen = np.float64(depth_m[row, column])
        if seen > 0 and abs(seen - depth) <= tolerance[0] + tolerance[1] * depth:
            pixels[i] = row * width + column


@njit(cache=True, nogil=True)
def majority(votes: np.ndarray, none: int, winners: np.ndarray) -> None:
    """Fill ``winners`` (N,) with the most frequent value of each row of ``votes`` (N, F), ``none`` not counted.

    Of equally frequent ones the smallest; ``none`` where there are no votes. Rows of ``votes`` are sorted in place.
    """
    for i in range(len(votes)):
        row = votes[i]
        row.sort()
        winners[i] = none
        best, run = 0, 0
        for k in range(len(row)):
            if row[k] == none:
                run = 0
                continue
            run = run + 1 if k > 0 and row[k] == row[k - 1] else 1
            if run > best:
                best = run
                winners[i] = row[k]
