"""Depth camera errors, compiled: one pass over the image for shadows and one for everything else."""

from __future__ import annotations

import numpy as np
from numba import njit

EDGE_BEND = 0.04
"""Inverse depth is linear on a plane, however tilted; a bend by more than this share of it is a depth edge."""


@njit(cache=True, nogil=True)
def shadow(depth_m: np.ndarray, focal_baseline: float, is_dark: np.ndarray) -> None:
    """Mark what a projector to the right of the camera does not light: bands left of near things.

    A pixel u at depth z is lit by the projector's column u - f b / z. Going left, columns must fall; a pixel whose
    column is not left of all columns to its right has something nearer in the projector's way.

    Args:
        depth_m: (H, W) exact depth; 0 = none.
        focal_baseline: focal length times baseline, px m.
        is_dark: (H, W) bool, written.
    """
    height, width = depth_m.shape
    for row in range(height):
        leftmost = np.inf
        for step in range(width):
            column = width - 1 - step
            z = depth_m[row, column]
            is_dark[row, column] = False
            if z <= 0:
                continue
            projector_column = column - focal_baseline / z
            # Half a pixel of grace: a continuous surface seen at a grazing angle shadows nothing.
            is_dark[row, column] = projector_column > leftmost + 0.5
            leftmost = min(leftmost, projector_column)


@njit(cache=True, nogil=True)
def degrade(
    depth_m: np.ndarray,
    rays: np.ndarray,
    is_dark: np.ndarray,
    raw: np.ndarray,
    axial: np.ndarray,
    settings: tuple[float, ...],
    noisy_m: np.ndarray,
) -> None:
    """Write what the sensor reports.

    Args:
        depth_m: (H, W) exact depth; 0 = none.
        rays: (H, W, 3) directions with z = 1.
        is_dark: (H, W) bool, pixels without the projector's light.
        raw: (H, W) random bits: 16 that decide over dropouts, 24 each for where a pixel really measures.
        axial: (H, W) standard normal numbers.
        settings: base, growth, best distance, lateral deviation (px), disparity step / (f b), nearest, farthest, cosine
            of the grazing angle, dropout beside edges, dropout anywhere.
        noisy_m: (H, W) written; 0 = no return.
    """
    base, growth, best, lateral, step, nearest, farthest, grazing, edge_dropout, dropout = settings
    height, width = depth_m.shape
    for row in range(height):
        for column in range(width):
            noisy_m[row, column] = 0.0
            bits = raw[row, column]
            v = min(height - 1, max(0, int(np.round(row + lateral * _triangular(bits >> 16)))))
            u = min(width - 1, max(0, int(np.round(column + lateral * _triangular(bits >> 40)))))
            z = depth_m[v, u]
            if z < nearest or z > farthest or is_dark[v, u]:
                continue
            loss = max(dropout, _loss(depth_m, rays, v, u, grazing, edge_dropout))
            if (bits & 0xFFFF) < loss * 65536:
                continue
            sigma = base + growth * (z - best) ** 2
            value = z + sigma * axial[row, column]
            if step > 0:
                value = _quantised(value, step)
            noisy_m[row, column] = value if nearest <= value <= farthest else 0.0


@njit(cache=True, nogil=True)
def _loss(depth_m: np.ndarray, rays: np.ndarray, v: int, u: int, grazing: float, edge_dropout: float) -> float:
    """Share of returns lost at a pixel: beside an edge, or where the surface is hit at a grazing angle."""
    height, width = depth_m.shape
    if not (0 < u < width - 1 and 0 < v < height - 1):
        return 0.0
    z = depth_m[v, u]
    if _is_bent(depth_m[v, u - 1], z, depth_m[v, u + 1]) or _is_bent(depth_m[v - 1, u], z, depth_m[v + 1, u]):
        return float(edge_dropout)
    # From no loss at 1.5 times the cosine of the limit over one half there to all at half of it.
    return float(min(1.0, max(0.0, 1.5 - _incidence(depth_m, rays, v, u) / grazing)))


@njit(cache=True, nogil=True)
def _quantised(depth_m: float, step: float) -> float:
    """The depth whose disparity is the nearest multiple of a step; 0 where that is none."""
    disparity = np.round(1.0 / (depth_m * step))
    return 1.0 / (disparity * step) if disparity > 0 else 0.0


@njit(cache=True, nogil=True)
def _triangular(bits: int) -> float:
    """Sum of two uniform numbers from 24 random bits, centred, with deviation 1: a bell without tails."""
    return (((bits & 0xFFF) + ((bits >> 12) & 0xFFF)) / 4095.0 - 1.0) * 2.449489742783178


@njit(cache=True, nogil=True)
def _is_bent(before: float, here: float, after: float) -> bool:
    """Whether three depths in a row are not on one plane; also where a neighbour has none."""
    if before <= 0 or after <= 0:
        return True
    return abs(here / before + here / after - 2.0) > EDGE_BEND


@njit(cache=True, nogil=True)
def _incidence(depth_m: np.ndarray, rays: np.ndarray, v: int, u: int) -> float:
    """Cosine between the ray and the surface normal from the four neighbours."""
    ax = depth_m[v, u + 1] * rays[v, u + 1, 0] - depth_m[v, u - 1] * rays[v, u - 1, 0]
    ay = depth_m[v, u + 1] * rays[v, u + 1, 1] - depth_m[v, u - 1] * rays[v, u - 1, 1]
    az = depth_m[v, u + 1] - depth_m[v, u - 1]
    bx = depth_m[v + 1, u] * rays[v + 1, u, 0] - depth_m[v - 1, u] * rays[v - 1, u, 0]
    by = depth_m[v + 1, u] * rays[v + 1, u, 1] - depth_m[v - 1, u] * rays[v - 1, u, 1]
    bz = depth_m[v + 1, u] - depth_m[v - 1, u]
    nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    length = np.sqrt(nx * nx + ny * ny + nz * nz)
    ray = np.sqrt(rays[v, u, 0] ** 2 + rays[v, u, 1] ** 2 + 1.0)
    if length == 0:
        return 0.0
    return float(abs(nx * rays[v, u, 0] + ny * rays[v, u, 1] + nz) / (length * ray))
