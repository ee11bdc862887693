"""Sparse convolution on CUDA as one matrix product per tile of output rows, written in Triton.

A tile is a group of output rows that mostly have the same neighbours. For every kernel row that any of them needs, the
input rows are gathered and multiplied straight into the sum, which stays in registers until bias, residual and ReLU
are done: every feature is written once. Zeros stand in where a row of the tile has no neighbour.

Names of sizes: ``ROWS`` output rows of a tile; ``WIDE`` + ``NARROW`` output channels of a program (two widths, because
Triton knows powers of two alone and 96 is common); ``DEPTH`` input channels multiplied at a time.
Products are exact to their type (float32 is never rounded to TF32) and summed in float32.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit(do_not_specialize=["kernel_volume", "has_residual"])
def convolve_tiles(
    features: tl.tensor,
    weights: tl.tensor,
    bias: tl.tensor,
    residual: tl.tensor,
    result: tl.tensor,
    input_rows: tl.tensor,
    kernel_rows: tl.tensor,
    kernel_row_counts: tl.tensor,
    output_rows: tl.tensor,
    in_channels: tl.tensor,
    out_channels: tl.tensor,
    padded_in: tl.tensor,
    padded_out: tl.tensor,
    kernel_volume: tl.tensor,
    has_residual: tl.tensor,
    floor: tl.tensor,
    ROWS: tl.constexpr,
    WIDE: tl.constexpr,
    NARROW: tl.constexpr,
    DEPTH: tl.constexpr,
    WHOLE: tl.constexpr,
) -> None:
    """One tile, all channels of the input; ``WHOLE`` says that these are a multiple of ``DEPTH``.

    The indices of the next step are read while the current one is multiplied, so that the compiler sees loads that
    depend on nothing of the same step and copies several steps ahead.
    """
    tile = tl.program_id(0)
    lanes = tl.arange(0, ROWS)
    depth = tl.arange(0, DEPTH)
    wide = tl.program_id(1) * (WIDE + NARROW) + tl.arange(0, WIDE)
    wide_sum = tl.zeros((ROWS, WIDE), tl.float32)
    if NARROW > 0:
        narrow = tl.program_id(1) * (WIDE + NARROW) + WIDE + tl.arange(0, NARROW)
        narrow_sum = tl.zeros((ROWS, NARROW), tl.float32)
    sources = input_rows + tile * kernel_volume * ROWS + lanes
    blocks = kernel_rows + tile * kernel_volume
    count = tl.load(kernel_row_counts + tile)
    place = 0
    channel = 0
    source = tl.load(sources)
    block = tl.load(blocks)
    for _ in range(count * (padded_in // DEPTH)):
        mask = (source >= 0)[:, None]
        if not WHOLE:
            mask = mask & (channel + depth < in_channels)[None, :]
        gathered = tl.load(features + source[:, None] * in_channels + (channel + depth)[None, :], mask=mask, other=0.0)
        above = weights + (block * padded_in + channel + depth)[:, None] * padded_out
        wide_sum = tl.dot(gathered, tl.load(above + wide[None, :]), wide_sum, input_precision="ieee")
        if NARROW > 0:
            narrow_sum = tl.dot(gathered, tl.load(above + narrow[None, :]), narrow_sum, input_precision="ieee")
        channel += DEPTH
        place += (channel >= padded_in).to(tl.int32)
        channel = tl.where(channel >= padded_in, 0, channel)
        source = tl.load(sources + place * ROWS, mask=place < count, other=-1)
        block = tl.load(blocks + place, mask=place < count, other=0)
    rows = tl.load(output_rows + tile * ROWS + lanes)
    finish(wide_sum, bias, residual, result, rows, wide, out_channels, has_residual, floor)
    if NARROW > 0:
        finish(narrow_sum, bias, residual, result, rows, narrow, out_channels, has_residual, floor)


@triton.jit(do_not_specialize=["kernel_volume", "has_residual"])
def convolve_few_channels(
    features: tl.tensor,
    weights: tl.tensor,
    bias: tl.tensor,
    residual: tl.tensor,
    result: tl.tensor,
    input_rows: tl.tensor,
    kernel_rows: tl.tensor,
    kernel_row_counts: tl.tensor,
    output_rows: tl.tensor,
    out_channels: tl.tensor,
    padded_out: tl.tensor,
    kernel_volume: tl.tensor,
    has_residual: tl.tensor,
    floor: tl.tensor,
    ROWS: tl.constexpr,
    WIDE: tl.constexpr,
    NARROW: tl.constexpr,
    DEPTH: tl.constexpr,
    IN_CHANNELS: tl.constexpr,
) -> None:
    """One tile of a layer with fewer input channels than a product is deep: several neighbours lie side by side."""
    tile = tl.program_id(0)
    lanes = tl.arange(0, ROWS)
    wide = tl.program_id(1) * (WIDE + NARROW) + tl.arange(0, WIDE)
    wide_sum = tl.zeros((ROWS, WIDE), tl.float32)
    if NARROW > 0:
        narrow = tl.program_id(1) * (WIDE + NARROW) + WIDE + tl.arange(0, NARROW)
        narrow_sum = tl.zeros((ROWS, NARROW), tl.float32)
    sources = input_rows + tile * kernel_volume * ROWS + lanes
    blocks = kernel_rows + tile * kernel_volume
    length = tl.load(kernel_row_counts + tile) * IN_CHANNELS
    for start in range(0, length, DEPTH):
        along = start + tl.arange(0, DEPTH)
        place = along // IN_CHANNELS
        channel = along % IN_CHANNELS
        source = tl.load(sources[:, None] + place[None, :] * ROWS, mask=(along < length)[None, :], other=-1)
        gathered = tl.load(features + source * IN_CHANNELS + channel[None, :], mask=source >= 0, other=0.0)
        block = tl.load(blocks + place, mask=along < length, other=0)
        above = weights + (block * IN_CHANNELS + channel)[:, None] * padded_out
        wide_sum = tl.dot(gathered, tl.load(above + wide[None, :]), wide_sum, input_precision="ieee")
        if NARROW > 0:
            narrow_sum = tl.dot(gathered, tl.load(above + narrow[None, :]), narrow_sum, input_precision="ieee")
    rows = tl.load(output_rows + tile * ROWS + lanes)
    finish(wide_sum, bias, residual, result, rows, wide, out_channels, has_residual, floor)
    if NARROW > 0:
        finish(narrow_sum, bias, residual, result, rows, narrow, out_channels, has_residual, floor)


@triton.jit
def finish(
    total: tl.tensor,
    bias: tl.tensor,
    residual: tl.tensor,
    result: tl.tensor,
    rows: tl.tensor,
    columns: tl.tensor,
    out_channels: tl.tensor,
    has_residual: tl.tensor,
    floor: tl.tensor,
) -> None:
    """Add bias and residual, raise to ``floor`` (0 for ReLU, else minus infinity; NaN stays NaN), write."""
    mask = (rows >= 0)[:, None] & (columns < out_channels)[None, :]
    places = rows[:, None] * out_channels + columns[None, :]
    total += tl.load(bias + columns)[None, :]
    total += tl.load(residual + places, mask=mask & (has_residual != 0), other=0.0).to(tl.float32)
    total = tl.where(total < floor, floor, total)
    tl.store(result + places, total.to(result.dtype.element_ty), mask=mask)
