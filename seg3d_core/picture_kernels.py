"""Point splatting and depth-edge shading, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit

STEPS = np.array([(-1, 0), (0, 1), (1, 0), (0, -1), (-1, 1), (1, 1), (1, -1), (-1, -1)])
"""Rows and columns to the eight neighbours."""


@njit(cache=True, nogil=True)
def splat(
    pixels: np.ndarray,
    depth_m: np.ndarray,
    radius_px: np.ndarray,
    bulge_m: float,
    nearest: np.ndarray,
    owner: np.ndarray,
) -> None:
    """Draw points as round paraboloids into a depth buffer.

    A splat is deeper by ``bulge_m`` at its rim than in its middle, so that of neighbours on one surface the closest to
    a pixel owns it. Ties go to the lower row.

    Args:
        pixels: (N, 2) middle of each splat, px.
        depth_m: (N,) metres; points at or behind the camera are skipped.
        radius_px: (N,) px.
        bulge_m: metres.
        nearest: (H, W) written; infinite where nothing is.
        owner: (H, W) written; row of the point that is seen, -1 for none.
    """
    height, width = nearest.shape
    nearest[:] = np.inf
    owner[:] = -1
    for n in range(len(depth_m)):
        z, radius = depth_m[n], radius_px[n]
        u, v = pixels[n, 0], pixels[n, 1]
        if not (z > 0 and u > -radius and v > -radius and u < width + radius and v < height + radius):
            continue
        for row in range(max(0, int(np.ceil(v - radius))), min(height, int(np.floor(v + radius)) + 1)):
            for column in range(max(0, int(np.ceil(u - radius))), min(width, int(np.floor(u + radius)) + 1)):
                share = ((column - u) ** 2 + (row - v) ** 2) / (radius * radius)
                if share > 1:
                    continue
                depth = z + bulge_m * share
                if depth < nearest[row, column]:
                    nearest[row, column] = depth
                    owner[row, column] = n


@njit(cache=True, nogil=True)
def close_gaps(
    nearest: np.ndarray, owner: np.ndarray, reach_px: int, closed: np.ndarray, closed_owner: np.ndarray
) -> None:
    """Give pixels that look through a surface's gaps to that surface.

    A pixel is in a gap when in at least seven of eight directions something clearly nearer lies within ``reach_px``;
    it then gets the owner and the depth of the closest of them.

    Args:
        nearest, owner: (H, W) from ``splat``.
        reach_px: widest gap's radius, px.
        closed, closed_owner: (H, W) written.
    """
    height, width = nearest.shape
    for row in range(height):
        for column in range(width):
            here = nearest[row, column]
            limit = here * 0.985
            found, best, best_row, best_column = 0, reach_px + 1, row, column
            for turn in range(8):
                down, right = STEPS[turn, 0], STEPS[turn, 1]
                for step in range(1, reach_px + 1):
                    r, c = row + down * step, column + right * step
                    if not (0 <= r < height and 0 <= c < width):
                        break
                    if nearest[r, c] < limit:
                        found += 1
                        if step < best:
                            best, best_row, best_column = step, r, c
                        break
                if found + 7 - turn < 7:
                    break
            if found < 7:
                best_row, best_column = row, column
            closed[row, column] = nearest[best_row, best_column]
            closed_owner[row, column] = owner[best_row, best_column]


@njit(cache=True, nogil=True)
def edge_shade(nearest: np.ndarray, reach_px: int, strength: float, shade: np.ndarray) -> None:
    """Eye-dome lighting: darken what lies behind its neighbourhood (Boucheny 2009).

    Args:
        nearest: (H, W) depth, infinite for background.
        reach_px: distance of the eight neighbours that are compared, px.
        strength: darkening per doubling of the depth.
        shade: (H, W) written: factor in 0..1; 1 on the background.
    """
    height, width = nearest.shape
    for row in range(height):
        for column in range(width):
            here = nearest[row, column]
            shade[row, column] = 1.0
            if not np.isfinite(here):
                continue
            total = 0.0
            for turn in range(8):
                other_row, other_column = row + reach_px * STEPS[turn, 0], column + reach_px * STEPS[turn, 1]
                if 0 <= other_row < height and 0 <= other_column < width:
                    there = nearest[other_row, other_column]
                    if there < here:
                        total += min(0.25, np.log2(here / there))
            shade[row, column] = np.exp(-strength * total / 8)
