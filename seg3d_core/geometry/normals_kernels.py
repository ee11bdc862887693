"""Compiled loops of ``normals``."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def _smallest_eigenvector(xx: float, xy: float, xz: float, yy: float, yz: float, zz: float, out: np.ndarray) -> None:
    """Unit eigenvector of the smallest eigenvalue of a symmetric 3x3 matrix; zeros where it is not unique.

    Eigenvalue by the trigonometric solution of the characteristic polynomial (Smith 1961), eigenvector as the
    longest cross product of two rows of A - lambda I.
    """
    out[:] = 0.0
    mean = (xx + yy + zz) / 3
    spread = (xx - mean) ** 2 + (yy - mean) ** 2 + (zz - mean) ** 2 + 2 * (xy * xy + xz * xz + yz * yz)
    if spread <= 0.0:
        return
    p = np.sqrt(spread / 6)
    a, b, c = (xx - mean) / p, (yy - mean) / p, (zz - mean) / p
    d, e, f = xy / p, xz / p, yz / p
    half = (a * (b * c - f * f) - d * (d * c - f * e) + e * (d * f - b * e)) / 2
    smallest = 2 * np.cos(np.arccos(min(1.0, max(-1.0, half))) / 3 + 2 * np.pi / 3)
    a, b, c = a - smallest, b - smallest, c - smallest
    rows = ((a, d, e), (d, b, f), (e, f, c))
    best = 0.0
    for first, second in ((0, 1), (0, 2), (1, 2)):
        u, v = rows[first], rows[second]
        x = u[1] * v[2] - u[2] * v[1]
        y = u[2] * v[0] - u[0] * v[2]
        z = u[0] * v[1] - u[1] * v[0]
        square = x * x + y * y + z * z
        if square > best:
            best = square
            out[0], out[1], out[2] = x, y, z
    # The scaled matrix has entries of order one: a cross product this short means a double eigenvalue.
    if best < 1e-10:
        out[:] = 0.0
    else:
        out /= np.sqrt(best)


@njit(cache=True, nogil=True)
def plane_normals(points: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """(N, 3) float32 normal of the plane through each point and its neighbours (-1 = none)."""
    count, k = neighbours.shape
    normals = np.empty((count, 3), np.float32)
    normal = np.empty(3, np.float64)
    for i in range(count):
        # Relative to the point itself: far from the origin the sums would otherwise lose the surface in rounding.
        ox, oy, oz = np.float64(points[i, 0]), np.float64(points[i, 1]), np.float64(points[i, 2])
        n = 1
        sx = sy = sz = xx = xy = xz = yy = yz = zz = 0.0
        for t in range(k):
            j = neighbours[i, t]
            if j < 0:
                continue
            x, y, z = points[j, 0] - ox, points[j, 1] - oy, points[j, 2] - oz
            n += 1
            sx += x
            sy += y
            sz += z
            xx += x * x
            xy += x * y
            xz += x * z
            yy += y * y
            yz += y * z
            zz += z * z
        sx, sy, sz = sx / n, sy / n, sz / n
        xx, xy, xz = xx / n - sx * sx, xy / n - sx * sy, xz / n - sx * sz
        yy, yz, zz = yy / n - sy * sy, yz / n - sy * sz, zz / n - sz * sz
        _smallest_eigenvector(xx, xy, xz, yy, yz, zz, normal)
        normals[i, 0], normals[i, 1], normals[i, 2] = normal[0], normal[1], normal[2]
    return normals


@njit(cache=True, nogil=True)
def smooth(normals: np.ndarray, neighbours: np.ndarray, oriented: bool) -> np.ndarray:
    """(N, 3) float32 unit mean of normals over each point and its neighbours (-1 = none); zero where they cancel.

    Without orientation neighbours are first turned to the side of the point's own normal.
    """
    count, k = neighbours.shape
    smoothed = np.empty_like(normals)
    for i in range(count):
        x, y, z = np.float64(normals[i, 0]), np.float64(normals[i, 1]), np.float64(normals[i, 2])
        for t in range(k):
            j = neighbours[i, t]
            if j < 0:
                continue
            sign = 1.0
            if not oriented:
                dot = normals[i, 0] * normals[j, 0] + normals[i, 1] * normals[j, 1] + normals[i, 2] * normals[j, 2]
                sign = 1.0 if dot >= 0 else -1.0
            x += sign * normals[j, 0]
            y += sign * normals[j, 1]
            z += sign * normals[j, 2]
        length = np.sqrt(x * x + y * y + z * z)
        scale = 1.0 / length if length > 1e-6 else 0.0
        smoothed[i, 0], smoothed[i, 1], smoothed[i, 2] = x * scale, y * scale, z * scale
    return smoothed
