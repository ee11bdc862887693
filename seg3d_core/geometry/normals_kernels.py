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
def patch_moments(points: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """(N, 9) float64 means of x, y, z, xx, xy, xz, yy, yz, zz over each point and its neighbours (-1 = none).

    Relative to the first point: far from the origin the products would otherwise lose the surface in rounding.
    """
    count, k = neighbours.shape
    moments = np.zeros((count, 9), np.float64)
    for i in range(count):
        row = moments[i]
        used = 0
        for t in range(-1, k):
            j = i if t < 0 else neighbours[i, t]
            if j < 0:
                continue
            x = np.float64(points[j, 0]) - points[0, 0]
            y = np.float64(points[j, 1]) - points[0, 1]
            z = np.float64(points[j, 2]) - points[0, 2]
            used += 1
            row[0] += x
            row[1] += y
            row[2] += z
            row[3] += x * x
            row[4] += x * y
            row[5] += x * z
            row[6] += y * y
            row[7] += y * z
            row[8] += z * z
        row /= used
    return moments


@njit(cache=True, nogil=True)
def widen(moments: np.ndarray, neighbours: np.ndarray, passes: np.ndarray) -> np.ndarray:
    """Moments over wider patches: in every pass after the first, the mean over a point and its neighbours."""
    for step in range(2, passes.max() + 1):
        wider = np.empty_like(moments)
        for i in range(len(moments)):
            if passes[i] < step:
                wider[i] = moments[i]
            else:
                _mean_around(moments, neighbours, i, wider)
        moments = wider
    return moments


@njit(cache=True, nogil=True)
def _mean_around(moments: np.ndarray, neighbours: np.ndarray, i: int, wider: np.ndarray) -> None:
    """Row i of ``wider``: the mean of the moments of a point and its neighbours, summed up in registers."""
    x, y, z, xx, xy, xz, yy, yz, zz = moments[i]
    used = 1
    for t in range(neighbours.shape[1]):
        j = neighbours[i, t]
        if j >= 0:
            used += 1
            x += moments[j, 0]
            y += moments[j, 1]
            z += moments[j, 2]
            xx += moments[j, 3]
            xy += moments[j, 4]
            xz += moments[j, 5]
            yy += moments[j, 6]
            yz += moments[j, 7]
            zz += moments[j, 8]
    wider[i, 0], wider[i, 1], wider[i, 2] = x / used, y / used, z / used
    wider[i, 3], wider[i, 4], wider[i, 5] = xx / used, xy / used, xz / used
    wider[i, 6], wider[i, 7], wider[i, 8] = yy / used, yz / used, zz / used


@njit(cache=True, nogil=True)
def moment_normals(moments: np.ndarray) -> np.ndarray:
    """(N, 3) float32 normal of the plane that fits each patch; zero where none is defined."""
    normals = np.empty((len(moments), 3), np.float32)
    normal = np.empty(3, np.float64)
    for i in range(len(moments)):
        x, y, z, xx, xy, xz, yy, yz, zz = moments[i]
        _smallest_eigenvector(xx - x * x, xy - x * y, xz - x * z, yy - y * y, yz - y * z, zz - z * z, normal)
        normals[i, 0], normals[i, 1], normals[i, 2] = normal[0], normal[1], normal[2]
    return normals


@njit(cache=True, nogil=True)
def smooth(normals: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """(N, 3) float32 unit mean of normals over each point and its neighbours (-1 = none); zero where they cancel."""
    count, k = neighbours.shape
    smoothed = np.empty_like(normals)
    for i in range(count):
        x, y, z = np.float64(normals[i, 0]), np.float64(normals[i, 1]), np.float64(normals[i, 2])
        for t in range(k):
            j = neighbours[i, t]
            if j < 0:
                continue
            x += normals[j, 0]
            y += normals[j, 1]
            z += normals[j, 2]
        length = np.sqrt(x * x + y * y + z * z)
        scale = 1.0 / length if length > 1e-6 else 0.0
        smoothed[i, 0], smoothed[i, 1], smoothed[i, 2] = x * scale, y * scale, z * scale
    return smoothed
