"""Procedural textures, compiled: colour of each hit from the point in its object's frame."""

from __future__ import annotations

import numpy as np
from numba import njit

PLAIN = 0
WOOD = 1
PLANKS = 2
TILES = 3
CHECKER = 4
STRIPES = 5
SPECKLES = 6
FABRIC = 7
KEYS = 8
PICTURE = 9


@njit(cache=True, nogil=True)
def _lattice(x: int, y: int, z: int) -> float:
    """Pseudo-random number in 0..1 of an integer place."""
    mixed = (x * 374761393 + y * 668265263 + z * 2147483647) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 13)) * 1274126177) & 0xFFFFFFFF
    return ((mixed ^ (mixed >> 16)) & 0xFFFF) / 65535.0


@njit(cache=True, nogil=True)
def noise(x: float, y: float, z: float) -> float:
    """Value noise in 0..1: smooth between pseudo-random numbers at integer places."""
    x0, y0, z0 = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
    u, v, w = x - x0, y - y0, z - z0
    u, v, w = u * u * (3 - 2 * u), v * v * (3 - 2 * v), w * w * (3 - 2 * w)
    total = 0.0
    for i in range(2):
        for j in range(2):
            for k in range(2):
                weight = (u if i else 1 - u) * (v if j else 1 - v) * (w if k else 1 - w)
                total += weight * _lattice(x0 + i, y0 + j, z0 + k)
    return total


@njit(cache=True, nogil=True)
def _along(point: np.ndarray, axis: int) -> tuple[float, float, float]:
    """The point as (along, across, across) for an axis."""
    return point[axis], point[(axis + 1) % 3], point[(axis + 2) % 3]


@njit(cache=True, nogil=True)
def _wood(along: float, across: float, deep: float, phase: float) -> float:
    """Share of the dark grain: warped growth rings, long along the grain, and fine fibres."""
    warp = noise(along * 0.06 + phase, across * 0.35, deep * 0.35)
    rings = 0.5 + 0.5 * np.sin(6.2832 * (across * 0.9 + deep * 0.7 + 2.2 * warp))
    fibres = noise(along * 0.25, across * 7.0 + phase, deep * 7.0)
    return float(0.35 * rings * rings + 0.4 * fibres)


@njit(cache=True, nogil=True)
def _planks(x: float, y: float, z: float, width: float, phase: float) -> float:
    """Share of the dark colour on floor boards: joints, a tone per board, grain."""
    row = np.floor(y / width)
    shifted = x / (width * 7) + _lattice(int(row), 3, 7)
    board = np.floor(shifted)
    if y / width - row < 0.025 or shifted - board < 0.004:
        return 1.0
    tone = _lattice(int(row), int(board), 11)
    return 0.45 * tone + 0.4 * _wood(x * 20, y * 20 + 17 * tone, z * 20, phase + 9 * tone)


@njit(cache=True, nogil=True)
def _tiles(x: float, y: float, size: float, phase: float) -> float:
    """Share of the joint's colour on square tiles with a tone each."""
    column, row = np.floor(x / size), np.floor(y / size)
    if x / size - column < 0.02 or y / size - row < 0.02:
        return 1.0
    return 0.2 * _lattice(int(column), int(row), int(phase)) + 0.15 * noise(x * 14, y * 14, phase)


@njit(cache=True, nogil=True)
def _keys(x: float, y: float, size: float) -> float:
    """Share of the cap's colour on a keyboard: caps with gaps."""
    across, deep = x / size, y / size
    across -= np.floor(across)
    deep -= np.floor(deep)
    return 0.0 if across < 0.18 or deep < 0.18 else 1.0


@njit(cache=True, nogil=True)
def _picture(x: float, y: float, z: float, phase: float) -> float:
    """Share of the second colour in a painting: three tones with flowing borders."""
    value = 0.65 * noise(x + phase, y, z + 5) + 0.35 * noise(2.7 * x, 2.7 * y + phase, 2.7 * z)
    return float(np.floor(value * 7) / 5 - 0.2)


@njit(cache=True, nogil=True)
def _share(kind: int, point: np.ndarray, scale: float, axis: int, phase: float) -> float:
    """Share of the second colour, roughly 0..1."""
    along, across, deep = _along(point, axis)
    if kind == WOOD:
        return _wood(along / scale, across / scale, deep / scale, phase)
    if kind == PLANKS:
        return _planks(point[0], point[1], point[2], scale, phase)
    if kind == TILES:
        return _tiles(point[0], point[1], scale, phase)
    if kind == CHECKER:
        # The shift keeps the borders of the pattern off the flat sides of centred boxes.
        cells = (
            np.floor(point[0] / scale + 0.31) + np.floor(point[1] / scale + 0.27) + np.floor(point[2] / scale + 0.37)
        )
        return float(cells - 2 * np.floor(cells / 2))
    if kind == STRIPES:
        cell = np.floor(along / scale + 0.5)
        return float(cell - 2 * np.floor(cell / 2))
    if kind == SPECKLES:
        value = noise(point[0] / scale + phase, point[1] / scale, point[2] / scale)
        return min(1.0, max(0.0, 2.2 * value - 0.7))
    if kind == FABRIC:
        fine = noise(point[0] / scale, point[1] / scale, point[2] / scale + phase)
        return 0.6 * fine + 0.4 * noise(point[0] * 3 + phase, point[1] * 3, point[2] * 3)
    if kind == KEYS:
        return _keys(point[0], point[1], scale)
    if kind == PICTURE:
        return _picture(point[0] / scale, point[1] / scale, point[2] / scale, phase)
    return 0.0


@njit(cache=True, nogil=True)
def _map(T: np.ndarray, point: np.ndarray, mapped: np.ndarray) -> None:
    """Write ``point`` (3,) mapped by ``T`` (3, 4)."""
    for row in range(3):
        mapped[row] = T[row, 0] * point[0] + T[row, 1] * point[1] + T[row, 2] * point[2] + T[row, 3]


@njit(cache=True, nogil=True)
def shade(
    hits: np.ndarray,
    parts: np.ndarray,
    objects: np.ndarray,
    points: np.ndarray,
    uvs: np.ndarray,
    materials: np.ndarray,
    T_object_world: np.ndarray,
    light: np.ndarray,
    rgb: np.ndarray,
) -> None:
    """Fill ``rgb`` (N, 3): texture colour times interpolated light, clipped to 0..1; rows with no hit become 0.

    Args:
        hits: (N,) triangle of each ray, -1 for none.
        parts, objects: (T,) row of ``materials`` and of ``T_object_world`` for each triangle.
        points: (N, 3) hits, world frame.
        uvs: (N, 2) weights of the second and third corner.
        materials: (M, 10) rows of ``Material.row``.
        T_object_world: (O, 3, 4) world to object frame.
        light: (T, 3, 3) light at each triangle's corners, per channel.
        rgb: (N, 3) written.
    """
    local = np.empty(3, np.float64)
    for n in range(len(hits)):
        triangle = hits[n]
        if triangle < 0:
            rgb[n] = 0.0
            continue
        _map(T_object_world[objects[triangle]], points[n], local)
        material = materials[parts[triangle]]
        share = _share(int(material[0]), local, material[7], int(material[8]), material[9])
        share = min(1.0, max(0.0, share))
        u, v = uvs[n, 0], uvs[n, 1]
        for channel in range(3):
            albedo = (1 - share) * material[1 + channel] + share * material[4 + channel]
            corner = light[triangle, :, channel]
            bright = (1 - u - v) * corner[0] + u * corner[1] + v * corner[2]
            rgb[n, channel] = min(1.0, max(0.0, albedo * bright))
