"""Point splatting and depth-edge shading, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def splat(pixels, depth_m, radius_px, bulge_m, nearest, owner):
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
def edge_shade(nearest, reach_px, strength, shade):
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
                other_row = row + reach_px * (turn // 3 - 1 if turn < 4 else (turn + 1) // 3 - 1)
                other_column = column + reach_px * (turn % 3 - 1 if turn < 4 else (turn + 1) % 3 - 1)
                if 0 <= other_row < height and 0 <= other_column < width:
                    there = nearest[other_row, other_column]
                    if there < here:
                        total += min(0.25, np.log2(here / there))
            shade[row, column] = np.exp(-strength * total / 8)
