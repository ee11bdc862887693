"""Compiled inner loops of augmentation."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def extent_of(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Least and greatest coordinates and mean (3,) of ``points`` (N, 3), N > 0; NumPy takes ten times as long."""
    lower, upper, total = points[0].copy(), points[0].copy(), np.zeros(3)
    for i in range(len(points)):
        for c in range(3):
            lower[c] = min(lower[c], points[i, c])
            upper[c] = max(upper[c], points[i, c])
            total[c] += points[i, c]
    return lower, upper, total / len(points)


@njit(cache=True, nogil=True)
def displace(points: np.ndarray, noise: np.ndarray, lower: np.ndarray, grain_m: float, strength: float) -> np.ndarray:
    """``points`` (N, 3) moved by ``strength`` times ``noise`` (X, Y, Z, 3), interpolated linearly on each axis.

    Node 0 of the noise is at ``lower``; every point has nodes on all sides.
    """
    moved = np.empty_like(points)
    scale = np.float32(1 / grain_m)
    last = noise.shape[0] - 2, noise.shape[1] - 2, noise.shape[2] - 2
    for i in range(len(points)):
        tx = (points[i, 0] - lower[0]) * scale
        ty = (points[i, 1] - lower[1]) * scale
        tz = (points[i, 2] - lower[2]) * scale
        # Rounded, the last point may come to lie on the last node.
        x, y, z = min(int(tx), last[0]), min(int(ty), last[1]), min(int(tz), last[2])
        tx -= x
        ty -= y
        tz -= z
        for c in range(3):
            low = (1 - ty) * ((1 - tz) * noise[x, y, z, c] + tz * noise[x, y, z + 1, c])
            low += ty * ((1 - tz) * noise[x, y + 1, z, c] + tz * noise[x, y + 1, z + 1, c])
            high = (1 - ty) * ((1 - tz) * noise[x + 1, y, z, c] + tz * noise[x + 1, y, z + 1, c])
            high += ty * ((1 - tz) * noise[x + 1, y + 1, z, c] + tz * noise[x + 1, y + 1, z + 1, c])
            moved[i, c] = points[i, c] + np.float32(strength) * ((1 - tx) * low + tx * high)
    return moved


@njit(cache=True, nogil=True)
def turn_about(rows: np.ndarray, R: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """R (row - centre) + centre for all ``rows`` (N, 3) float32, ``R`` and ``centre`` float64.

    Not a product of matrices: for those the library behind NumPy starts threads, in every process that makes samples.
    """
    turned = np.empty_like(rows)
    for i in range(len(rows)):
        x, y, z = rows[i, 0] - centre[0], rows[i, 1] - centre[1], rows[i, 2] - centre[2]
        for c in range(3):
            turned[i, c] = R[c, 0] * x + R[c, 1] * y + R[c, 2] * z + centre[c]
    return turned


@njit(cache=True, nogil=True)
def outside_balls(points: np.ndarray, centres: np.ndarray, radii_m: np.ndarray) -> np.ndarray:
    """(N,) whether each of ``points`` (N, 3) is in none of the balls."""
    outside = np.ones(len(points), np.bool_)
    for i in range(len(points)):
        for ball in range(len(centres)):
            dx = points[i, 0] - centres[ball, 0]
            dy = points[i, 1] - centres[ball, 1]
            dz = points[i, 2] - centres[ball, 2]
            if dx * dx + dy * dy + dz * dz < radii_m[ball] * radii_m[ball]:
                outside[i] = False
                break
    return outside
