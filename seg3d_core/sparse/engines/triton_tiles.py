"""How large the tiles of a layer are: fixed rules, so that the same layer always runs the same way.

Nothing is tuned on the machine. Numbers follow from what tensor cores take (64 rows or more at a time), from 99 KB of
shared memory (the least that GPUs since 2020 give to a program) and from having a program for every processor.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

MIN_DEPTH = 16
"""A product of tensor cores is at least this deep; layers with fewer input channels have a kernel of their own."""

ROWS = (64, 128)
"""Output rows of a tile."""

_WIDTHS = {16: (16, 0), 32: (32, 0), 64: (64, 0), 96: (64, 32), 128: (128, 0)}
"""Output channels of a program, and the powers of two that make them up."""

_GATHER_COST = 32
"""A program that gathers its input for w output channels takes as long as w + 32 of them without gathering."""


@dataclass(frozen=True)
class Tile:
    """Sizes of the work of one program, see ``triton_kernels``, and how the compiler lays it out.

    Attributes:
        rows, width, depth: output rows, output channels, input channels at a time.
        warps: groups of 32 threads.
        stages: steps in flight.
    """

    rows: int
    width: int
    depth: int
    warps: int
    stages: int

    @property
    def wide(self) -> int:
        """The larger power of two in ``width``."""
        return _WIDTHS[self.width][0]

    @property
    def narrow(self) -> int:
        """What else ``width`` has: a power of two or 0."""
        return _WIDTHS[self.width][1]

    def columns(self, out_channels: int) -> int:
        """Programs side by side."""
        return -(-out_channels // self.width)


def rows_of_tile(output_rows: int, processors: int) -> int:
    """Output rows of every tile of a map: 128 reuse a weight more often, 64 make twice as many programs."""
    return ROWS[output_rows >= 2 * ROWS[1] * processors]


def depth_of_tile(in_channels: int, dtype: torch.dtype) -> int:
    """Input channels that are multiplied at a time."""
    if in_channels == MIN_DEPTH or dtype == torch.float32:
        return MIN_DEPTH
    return 64 if in_channels % 64 == 0 else 32


def choose_tile(
    grid: tuple[int, int], in_channels: int, out_channels: int, dtype: torch.dtype, processors: int
) -> Tile:
    """The tile of a layer on a map of ``grid`` = (tiles, rows of each).

    As wide as pays off, but with one program for each processor if any width gives that many.
    """
    tiles, rows = grid
    widths = possible_widths(out_channels, dtype)
    busy = [width for width in widths if tiles * -(-out_channels // width) >= processors] or widths[:1]
    return make_tile(rows, min(busy, key=lambda width: _cost(width, out_channels)), in_channels, dtype)


def possible_widths(out_channels: int, dtype: torch.dtype) -> list[int]:
    """Widths that ``choose_tile`` may give to a layer, ascending."""
    if out_channels <= 16:
        return [16]
    widest = 64 if dtype == torch.float32 else 128
    widths = [width for width in _WIDTHS if 32 <= width <= widest]
    best = min(widths, key=lambda width: _cost(width, out_channels))
    return [width for width in widths if width <= best]


def make_tile(rows: int, width: int, in_channels: int, dtype: torch.dtype) -> Tile:
    """The tile of this size, with a warp for every 16 rows."""
    depth = depth_of_tile(in_channels, dtype)
    return Tile(rows, width, depth, warps=rows // 16, stages=3 if depth == 64 else 4)


def _cost(width: int, out_channels: int) -> int:
    return -(-out_channels // width) * (width + _GATHER_COST)
