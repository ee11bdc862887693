"""Compiled sums of products over tiles of pairs; see ``pair_tiles`` for what a tile is."""

from __future__ import annotations

import numpy as np
from numba import njit

from seg3d_core.sparse.register_kernels import ROWS, add_outer_products, add_products


@njit(cache=True, nogil=True)
def multiply_tiles(
    features: np.ndarray,
    weights: np.ndarray,
    starts: np.ndarray,
    inputs: np.ndarray,
    outputs: np.ndarray,
    tile_rows: int,
    bias: np.ndarray,
    residual: np.ndarray,
    relu: bool,
    out: np.ndarray,
    first_tile: int,
    last_tile: int,
) -> None:
    """Rows of ``out`` (W, blocks * BLOCK) of the tiles ``first_tile`` to ``last_tile - 1``.

    Args:
        features: (V, Cin).
        weights: (K3, blocks, Cin, BLOCK).
        starts: (tiles * K3 + 1,) where the pairs of each kernel row of each tile begin.
        inputs, outputs: (P,) rows that a pair joins.
        tile_rows: output rows of a tile.
        bias: (Cout,).
        residual: (W, Cout) added to the result, or (0, Cout).
        relu: whether negative results become zero.
        out: overwritten; columns beyond Cout become zero.
        first_tile, last_tile: the part of the work to do.
    """
    volume, blocks, width, block = weights.shape
    for tile in range(first_tile, last_tile):
        first_row, last_row = tile * tile_rows, min((tile + 1) * tile_rows, len(out))
        for row in range(first_row, last_row):
            out[row, : len(bias)] = bias
            out[row, len(bias) :] = 0
            if len(residual):
                for column in range(len(bias)):
                    out[row, column] += residual[row, column]
        for kernel_row in range(volume):
            start, end = starts[tile * volume + kernel_row], starts[tile * volume + kernel_row + 1]
            for i in range(blocks):
                offset = (kernel_row * blocks + i) * width * block
                for first in range(start, end, ROWS):
                    count = min(ROWS, end - first)
                    add_products(
                        features, width, weights, offset, inputs, outputs, first, count, out, out.shape[1], i * block
                    )
        if relu:
            for row in range(first_row, last_row):
                for column in range(out.shape[1]):
                    out[row, column] = max(out[row, column], 0)


@njit(cache=True, nogil=True)
def add_kernel_gradient(
    features: np.ndarray,
    gradient: np.ndarray,
    starts: np.ndarray,
    inputs: np.ndarray,
    outputs: np.ndarray,
    block: int,
    out: np.ndarray,
    first_row: int,
    last_row: int,
) -> None:
    """Add to ``out`` (K3, Cin, Cout) the outer products of all pairs of kernel rows ``first_row`` to ``last_row - 1``.

    Args:
        features: (V, Cin).
        gradient: (W, Cout), Cout a multiple of ``block``.
        starts, inputs, outputs: as in ``multiply_tiles``.
        block: BLOCK of this type.
        out: added to.
        first_row, last_row: the part of the work to do.
    """
    volume, width, columns = out.shape
    for tile in range((len(starts) - 1) // volume):
        for kernel_row in range(first_row, last_row):
            start, end = starts[tile * volume + kernel_row], starts[tile * volume + kernel_row + 1]
            if start == end:
                continue
            for left in range(0, width, ROWS):
                count = min(ROWS, width - left)
                for right in range(0, columns, block):
                    offset = (kernel_row * width + left) * columns + right
                    add_outer_products(
                        features, width, left, gradient, columns, right, inputs, outputs, start, end, count, out, offset
                    )
