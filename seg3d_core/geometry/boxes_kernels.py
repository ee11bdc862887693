"""Compiled loops of ``boxes``: the smallest rectangle around points of a plane."""

from __future__ import annotations

import numpy as np
from numba import njit

_DIRECTIONS = 16
"""Directions whose farthest points sift the others before sorting."""


@njit(cache=True, nogil=True)
def outer_points(plane):  # type: ignore[no-untyped-def]
    """Indices of a superset of the convex hull of (2, N): what the polygon of extreme points does not cover."""
    x, y = plane[0], plane[1]
    extreme = np.zeros(_DIRECTIONS, np.int64)
    for direction in range(_DIRECTIONS):
        angle = 2 * np.pi * direction / _DIRECTIONS
        extreme[direction] = np.argmax(np.cos(angle) * x + np.sin(angle) * y)
    kept = np.empty(x.size, np.int64)
    count = 0
    for index in range(x.size):
        kept[count] = index
        count += not _is_inside(x, y, extreme, index)
    return kept[:count]


@njit(cache=True, nogil=True)
def _is_inside(x, y, corners, index):  # type: ignore[no-untyped-def]
    """Strictly left of every edge of the counter-clockwise polygon; repeated corners have no edge."""
    edges = 0
    for corner in range(len(corners)):
        a, b = corners[corner], corners[(corner + 1) % len(corners)]
        if a == b:
            continue
        edges += 1
        if (x[b] - x[a]) * (y[index] - y[a]) - (y[b] - y[a]) * (x[index] - x[a]) <= 0:
            return False
    return edges > 2


@njit(cache=True, nogil=True)
def _turn(plane, a, b, c):  # type: ignore[no-untyped-def]
    """Positive when c lies left of the line from a to b."""
    return (plane[b, 0] - plane[a, 0]) * (plane[c, 1] - plane[a, 1]) - (plane[b, 1] - plane[a, 1]) * (
        plane[c, 0] - plane[a, 0]
    )


@njit(cache=True, nogil=True)
def convex_hull(plane):  # type: ignore[no-untyped-def]
    """Corners of the convex hull of lexicographically sorted (N, 2), counter-clockwise (Andrew 1979)."""
    count = len(plane)
    hull = np.empty(2 * count + 1, np.int64)
    size = 0
    for index in range(count):
        while size >= 2 and _turn(plane, hull[size - 2], hull[size - 1], index) <= 0:
            size -= 1
        hull[size] = index
        size += 1
    lower = size + 1
    for index in range(count - 2, -1, -1):
        while size >= lower and _turn(plane, hull[size - 2], hull[size - 1], index) <= 0:
            size -= 1
        hull[size] = index
        size += 1
    return plane[hull[: max(size - 1, 1)]]


@njit(cache=True, nogil=True)
def smallest_rectangle(hull):  # type: ignore[no-untyped-def]
    """Direction (cos, sin) of one side of the rectangle of smallest area around a convex polygon (H, 2).

    A smallest rectangle has a side on an edge of the polygon (Freeman & Shapira 1975). A polygon without area gives
    the direction of its longest edge; a single point gives the first axis.
    """
    best_area, best_length = np.inf, -1.0
    best_c, best_s = 1.0, 0.0
    for corner in range(len(hull)):
        edge = hull[(corner + 1) % len(hull)] - hull[corner]
        length = np.hypot(edge[0], edge[1])
        if length == 0:
            continue
        c, s = edge[0] / length, edge[1] / length
        along = c * hull[:, 0] + s * hull[:, 1]
        across = c * hull[:, 1] - s * hull[:, 0]
        area = (along.max() - along.min()) * (across.max() - across.min())
        # Equal areas: the longer edge decides, so that the result does not hang on rounding of a short one.
        if area < best_area * (1 - 1e-9) or (area <= best_area * (1 + 1e-9) and length > best_length):
            best_area, best_length, best_c, best_s = area, length, c, s
    return best_c, best_s


@njit(cache=True, nogil=True)
def upright_box(points, basis):  # type: ignore[no-untyped-def]
    """The turn (cos, sin) about ``basis``' third axis that the smallest box has, and its extent (2, 3) on its axes.

    ``points`` (N, 3) and the extent are relative to the first point: far from the origin, squares of coordinates would
    lose the millimetres. The longer side comes first; of its two directions the one within 90 degrees of the first
    axis is taken.
    """
    local = np.empty((3, len(points)))
    for axis in range(3):
        x, y, z = basis[0, axis], basis[1, axis], basis[2, axis]
        for index in range(len(points)):
            local[axis, index] = (
                x * (np.float64(points[index, 0]) - np.float64(points[0, 0]))
                + y * (np.float64(points[index, 1]) - np.float64(points[0, 1]))
                + z * (np.float64(points[index, 2]) - np.float64(points[0, 2]))
            )
    c, s = _turn_of_box(local)
    extent = np.empty((2, 3))
    along = c * local[0] + s * local[1]
    across = c * local[1] - s * local[0]
    extent[0, 0], extent[1, 0] = along.min(), along.max()
    extent[0, 1], extent[1, 1] = across.min(), across.max()
    extent[0, 2], extent[1, 2] = local[2].min(), local[2].max()
    return c, s, extent


@njit(cache=True, nogil=True)
def _turn_of_box(plane):  # type: ignore[no-untyped-def]
    outer = outer_points(plane)
    second = outer[np.argsort(plane[1][outer])]
    order = second[np.argsort(plane[0][second], kind="mergesort")]  # stable: by the first axis, then by the second
    hull = convex_hull(np.stack((plane[0][order], plane[1][order]), axis=1))
    c, s = smallest_rectangle(hull)
    along = c * hull[:, 0] + s * hull[:, 1]
    across = c * hull[:, 1] - s * hull[:, 0]
    if across.max() - across.min() > along.max() - along.min():
        c, s = -s, c
    if c < 0 or (c == 0 and s < 0):
        c, s = -c, -s
    return c, s
