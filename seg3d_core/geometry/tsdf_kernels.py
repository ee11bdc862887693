"""Compiled inner loops of fusion: which blocks a depth image touches, and the surface inside blocks.

A block is a cube of 8x8x8 voxels under a packed key (see voxels_kernels). Its values lie in row ``buffer`` of the value
arrays; within the row, voxel (x, y, z) is element (z * 8 + y) * 8 + x, as in Open3D's VoxelBlockGrid.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_OFFSET = 1 << 20
_MASK = (1 << 21) - 1
_TILE = 11


@njit(cache=True, nogil=True)
def touch_blocks(
    depth_m: np.ndarray, rays: np.ndarray, T: np.ndarray, block_m: float, truncation_m: float, steps: int, stride: int
) -> tuple[np.ndarray, bool]:
    """Keys (n,) int64 of the blocks within the truncation distance of the depth, unsorted and with repetitions.

    ``depth_m`` is 0 where there is no return. False when a block is too far from the origin for a key.
    """
    height, width = depth_m.shape
    keys = np.empty(((height - 1) // stride + 1) * ((width - 1) // stride + 1) * (steps + 1), np.int64)
    # In blocks, and from the corner of the first key's block.
    R = T[:3, :3] / block_m
    ox, oy, oz = T[0, 3] / block_m + _OFFSET, T[1, 3] / block_m + _OFFSET, T[2, 3] / block_m + _OFFSET
    n = 0
    previous = np.int64(-1)
    for row in range(0, height, stride):
        for column in range(0, width, stride):
            depth = np.float64(depth_m[row, column])
            if not depth > 0:
                continue
            x, y = rays[row, column, 0], rays[row, column, 1]
            dx = R[0, 0] * x + R[0, 1] * y + R[0, 2]
            dy = R[1, 0] * x + R[1, 1] * y + R[1, 2]
            dz = R[2, 0] * x + R[2, 1] * y + R[2, 2]
            for step in range(steps + 1):
                z = max(depth + truncation_m * (2.0 * step / steps - 1.0), 0.0)
                bx, by, bz = ox + dx * z, oy + dy * z, oz + dz * z
                if not (1 <= bx < _MASK and 1 <= by < _MASK and 1 <= bz < _MASK):
                    return keys[:0], False
                key = (np.int64(bx) << 42) | (np.int64(by) << 21) | np.int64(bz)
                if key != previous:
                    keys[n] = key
                    n += 1
                    previous = key
    return keys[:n], True


@njit(cache=True, nogil=True)
def neighbour_rows(keys: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """(M, 27) int32: rows in the sorted ``keys`` of the blocks around each of ``centres`` (M,); -1 where there is none.

    Entry (dx + 1) * 9 + (dy + 1) * 3 + dz + 1. Keys count up along z, so one search serves the three of a column.
    """
    rows = np.full((len(centres), 27), np.int32(-1))
    for i in range(len(centres)):
        for column in range(9):
            first = centres[i] + ((column // 3 - 1) << 42) + ((column % 3 - 1) << 21) - 1
            row = np.searchsorted(keys, first)
            while row < len(keys) and keys[row] <= first + 2:
                rows[i, column * 3 + (keys[row] - first)] = row
                row += 1
    return rows


@njit(cache=True, nogil=True)
def extract_surface(
    tsdf: np.ndarray,
    weight: np.ndarray,
    colour: np.ndarray,
    around: np.ndarray,
    keys: np.ndarray,
    voxel_size_m: float,
    min_weight: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The surface inside blocks ``keys`` (M,): where the distance changes sign between neighbouring voxels.

    Both voxels must have been seen at least ``min_weight`` times. ``around`` (M, 27) int32 holds the buffers of and
    around each block, -1 for none. Returns points (m), colours (0..1), unit normals, (n, 3) float32 each, block by
    block in the order of the voxels; and their number per block (M,) int64. Normals are the gradient of the distance,
    which grows towards the sensor.
    """
    points = np.empty((4096, 3), np.float32)
    colours = np.empty((4096, 3), np.float32)
    normals = np.empty((4096, 3), np.float32)
    counts = np.zeros(len(keys), np.int64)
    distance = np.empty((_TILE, _TILE, _TILE), np.float32)
    seen = np.empty((_TILE, _TILE, _TILE), np.float32)
    enough = max(np.float32(min_weight), np.float32(1e-6))
    n = 0
    for block in range(len(keys)):
        start = n
        near = around[block]
        _fill_tile(tsdf, weight, near, distance, seen)
        if n + 1536 > len(points):
            points, colours, normals = _longer(points), _longer(colours), _longer(normals)
        for voxel in range(512):
            x, y, z = voxel & 7, (voxel >> 3) & 7, voxel >> 6
            if seen[z + 1, y + 1, x + 1] < enough:
                continue
            is_behind = distance[z + 1, y + 1, x + 1] < 0
            for axis in range(3):
                ox, oy, oz = x + (axis == 0), y + (axis == 1), z + (axis == 2)
                is_other_behind = distance[oz + 1, oy + 1, ox + 1] < 0
                if seen[oz + 1, oy + 1, ox + 1] < enough or is_behind == is_other_behind:
                    continue
                part = _cross(distance, x, y, z, ox, oy, oz, normals[n])
                if _faces(normals[n], axis, 1.0 if is_behind else -1.0):
                    _place(points[n], keys[block], x, y, z, axis, part, voxel_size_m)
                    _mix(colours[n], colour, near, voxel, ox, oy, oz, part)
                    n += 1
        counts[block] = n - start
    return points[:n], colours[:n], normals[:n], counts


@njit(cache=True, nogil=True)
def _cross(distance: np.ndarray, x: int, y: int, z: int, ox: int, oy: int, oz: int, normal: np.ndarray) -> float:
    """Where (0..1) between two voxels the distance is zero; its gradient there goes to ``normal``."""
    first = distance[z + 1, y + 1, x + 1]
    part = first / (first - distance[oz + 1, oy + 1, ox + 1])
    for c in range(3):
        slope = _slope(distance, x, y, z, c)
        normal[c] = slope + part * (_slope(distance, ox, oy, oz, c) - slope)
    return float(part)


@njit(cache=True, nogil=True)
def _place(point: np.ndarray, key: int, x: int, y: int, z: int, axis: int, part: float, voxel_size_m: float) -> None:
    """Write the place (m) that lies ``part`` of the way from a block's voxel to the next one along ``axis``."""
    point[0] = (((key >> 42) - _OFFSET) * 8 + x + part * (axis == 0)) * voxel_size_m
    point[1] = ((((key >> 21) & _MASK) - _OFFSET) * 8 + y + part * (axis == 1)) * voxel_size_m
    point[2] = (((key & _MASK) - _OFFSET) * 8 + z + part * (axis == 2)) * voxel_size_m


@njit(cache=True, nogil=True)
def _mix(
    rgb: np.ndarray, colour: np.ndarray, near: np.ndarray, voxel: int, ox: int, oy: int, oz: int, part: float
) -> None:
    """Write the colour (0..1) that lies ``part`` of the way from ``voxel`` to the one at (ox, oy, oz)."""
    other = near[((ox + 8) >> 3) * 9 + ((oy + 8) >> 3) * 3 + ((oz + 8) >> 3)]
    other_voxel = ((oz & 7) * 8 + (oy & 7)) * 8 + (ox & 7)
    for c in range(3):
        mixed = (1 - part) * colour[near[13], voxel, c] + part * colour[other, other_voxel, c]
        rgb[c] = min(max(mixed / 255, 0.0), 1.0)


@njit(cache=True, nogil=True)
def _fill_tile(tsdf: np.ndarray, weight: np.ndarray, near: np.ndarray, distance: np.ndarray, seen: np.ndarray) -> None:
    """Copy voxels -1..9 of a block and its neighbours (buffers ``near``) to [z + 1, y + 1, x + 1]; NaN where unseen."""
    for z in range(-1, _TILE - 1):
        for y in range(-1, _TILE - 1):
            row = ((z & 7) * 8 + (y & 7)) * 8
            for x in range(-1, _TILE - 1):
                buffer = near[((x + 8) >> 3) * 9 + ((y + 8) >> 3) * 3 + ((z + 8) >> 3)]
                times = weight[buffer, row + (x & 7)] if buffer >= 0 else np.float32(0)
                seen[z + 1, y + 1, x + 1] = times
                distance[z + 1, y + 1, x + 1] = tsdf[buffer, row + (x & 7)] if times > 0 else np.nan


@njit(cache=True, nogil=True)
def _slope(distance: np.ndarray, x: int, y: int, z: int, axis: int) -> float:
    """Difference of the distance per voxel along an axis, from observed voxels only; 0 where neither side was seen."""
    dx, dy, dz = int(axis == 0), int(axis == 1), int(axis == 2)
    here = distance[z + 1, y + 1, x + 1]
    above = distance[z + 1 + dz, y + 1 + dy, x + 1 + dx] - here
    below = here - distance[z + 1 - dz, y + 1 - dy, x + 1 - dx]
    if np.isnan(above):
        return 0.0 if np.isnan(below) else float(below)
    return float(above) if np.isnan(below) else float(above + below) / 2


@njit(cache=True, nogil=True)
def _faces(normal: np.ndarray, axis: int, sign: float) -> bool:
    """Make ``normal`` unit length; whether it faces along ``axis`` in the direction ``sign`` of its crossing.

    Edges that run nearly along the surface cross it by chance, wherever noise changes the sign, and an edge that runs
    the other way crosses nothing but noise; the edges across the surface are beside them and sample it evenly.
    """
    length = np.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2)
    largest = max(abs(normal[0]), abs(normal[1]), abs(normal[2]))
    if sign * normal[axis] < 0.5 * largest or length < 1e-6:
        return False
    normal /= length
    return True


@njit(cache=True, nogil=True)
def _longer(rows: np.ndarray) -> np.ndarray:
    longer = np.empty((2 * len(rows), 3), rows.dtype)
    longer[: len(rows)] = rows
    return longer


@njit(cache=True, nogil=True)
def gather_runs(old: np.ndarray, fresh: np.ndarray, starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Runs of rows of ``old`` and ``fresh`` (n, 3) one after the other.

    Run i has ``counts[i]`` rows from ``starts[i]`` of ``fresh``, or from ``-1 - starts[i]`` of ``old`` when negative.
    """
    out = np.empty((counts.sum(), 3), old.dtype)
    n = 0
    for i in range(len(counts)):
        for row in range(counts[i]):
            if starts[i] < 0:
                out[n] = old[-1 - starts[i] + row]
            else:
                out[n] = fresh[starts[i] + row]
            n += 1
    return out
