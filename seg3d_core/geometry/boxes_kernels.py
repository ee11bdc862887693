"""Compiled loops of ``boxes``: the smallest rectangle around points of a plane."""

from __future__ import annotations

import numpy as np
from numba import njit

_DIRECTIONS = 16
"""Directions whose farthest points sift the others before sorting."""

_FEW = 256
"""So few points are sorted rather than sifted again."""

_BLOCK = 512
"""Points that are held against all edges while they are in the first-level cache."""


@njit(cache=True, nogil=True)
def outer_points(plane):  # type: ignore[no-untyped-def]
    """Indices of a superset of the convex hull of (2, N): what a polygon of extreme points does not cover."""
    directions = np.empty((2, _DIRECTIONS))
    for direction in range(_DIRECTIONS):
        angle = 2 * np.pi * direction / _DIRECTIONS
        directions[0, direction], directions[1, direction] = np.cos(angle), np.sin(angle)
    coarse = _extreme_points(plane, directions)
    outer = _outside(plane, coarse)
    if len(outer) < _FEW:
        return outer
    # Long and narrow sets, as walls are from above, have most points beside it: one step of quickhull fits them.
    rest = np.stack((plane[0][outer], plane[1][outer]))
    fine = np.empty((2, 2 * _DIRECTIONS))
    for corner in range(_DIRECTIONS):
        along = coarse[:, (corner + 1) % _DIRECTIONS] - coarse[:, corner]
        directions[0, corner], directions[1, corner] = along[1], -along[0]
    between = _extreme_points(rest, directions)
    for corner in range(_DIRECTIONS):
        has_edge = directions[0, corner] != 0 or directions[1, corner] != 0
        fine[:, 2 * corner] = coarse[:, corner]
        fine[:, 2 * corner + 1] = between[:, corner] if has_edge else coarse[:, corner]
    return outer[_outside(rest, fine)]


@njit(cache=True, nogil=True)
def _extreme_points(plane, directions):  # type: ignore[no-untyped-def]
    """(2, D) the first of the farthest points in each direction."""
    farthest, extreme = np.full(_DIRECTIONS, -np.inf), np.zeros(_DIRECTIONS, np.int64)
    for index in range(np.uint64(plane.shape[1])):
        x, y = plane[0, index], plane[1, index]
        # All directions at once are a few vectors.
        for direction in range(np.uint64(_DIRECTIONS)):
            far = directions[0, direction] * x + directions[1, direction] * y
            is_farther = far > farthest[direction]
            farthest[direction] = far if is_farther else farthest[direction]
            extreme[direction] = np.int64(index) if is_farther else extreme[direction]
    return np.stack((plane[0][extreme], plane[1][extreme]))


@njit(cache=True, nogil=True)
def _outside(plane, polygon):  # type: ignore[no-untyped-def]
    """Indices of the points that are not inside of the polygon."""
    kept = np.empty(plane.shape[1], np.int64)
    inside = np.empty(_BLOCK, np.bool_)
    count = 0
    for start in range(0, plane.shape[1], _BLOCK):
        size = min(_BLOCK, plane.shape[1] - start)
        _find_inside(plane, polygon, start, inside[:size])
        for index in range(size):
            kept[count] = start + index
            count += not inside[index]
    return kept[:count]


@njit(cache=True, nogil=True)
def _find_inside(plane, polygon, start, inside):  # type: ignore[no-untyped-def]
    """Which points from ``start`` on lie strictly left of every edge of the counter-clockwise polygon (2, C).

    Repeated corners have no edge; with fewer than three edges nothing is inside.
    """
    x, y = plane[0, start : start + inside.size], plane[1, start : start + inside.size]
    inside[:] = True
    edges = 0
    for corner in range(polygon.shape[1]):
        after = (corner + 1) % polygon.shape[1]
        ax, ay = polygon[0, corner], polygon[1, corner]
        dx, dy = polygon[0, after] - ax, polygon[1, after] - ay
        if dx == 0 and dy == 0:
            continue
        edges += 1
        for index in range(np.uint64(inside.size)):
            inside[index] &= dx * (y[index] - ay) - dy * (x[index] - ax) > 0
    if edges <= 2:
        inside[:] = False


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
    extent[0, 0], extent[1, 0] = _range_along(c, local[0], s, local[1])
    extent[0, 1], extent[1, 1] = _range_along(c, local[1], -s, local[0])
    extent[0, 2], extent[1, 2] = _range_along(1.0, local[2], 0.0, local[2])
    return c, s, extent


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
def _range_along(a, x, b, y):  # type: ignore[no-untyped-def]
    """The least and the greatest a x + b y; all are finite, and only so can they be compared by vectors."""
    low, high = np.inf, -np.inf
    for index in range(np.uint64(x.size)):
        value = a * x[index] + b * y[index]
        low, high = min(low, value), max(high, value)
    return low, high


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


@njit(cache=True, nogil=True)
def upright_boxes(points, starts, basis):  # type: ignore[no-untyped-def]
    """``upright_box`` of each group ``points[starts[q] : starts[q + 1]]``: turns (Q, 2) and extents (Q, 2, 3)."""
    count = len(starts) - 1
    turns, extents = np.empty((count, 2)), np.empty((count, 2, 3))
    for group in range(count):
        turns[group, 0], turns[group, 1], extents[group] = upright_box(points[starts[group] : starts[group + 1]], basis)
    return turns, extents
