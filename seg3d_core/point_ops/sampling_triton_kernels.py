"""Triton kernels of farthest point sampling: one block of threads for each cloud.

A choice needs the one before it, so a cloud cannot be shared among blocks without a launch for every row. Up to
``_RESIDENT`` points stay in registers; larger clouds are read from the second-level cache in every round.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

_RESIDENT = 8192
"""Points whose coordinates and distance fit into the registers of 1024 threads."""

_TILE = 4096
"""Points that a block takes at once of a larger cloud."""

COMPILE_OPTIONS = {"enable_fp_fusion": False}
"""Multiplying and adding in one operation would round once less, and another of two near-equal points would win."""


def sample_with_triton(columns: torch.Tensor, squared: torch.Tensor, first: torch.Tensor, count: int) -> torch.Tensor:
    """``seg3d_core.point_ops.sampling_device.sample_on_device``; ``columns`` and ``squared`` are contiguous."""
    clouds, _, available = columns.shape
    chosen = torch.empty((clouds, count), dtype=torch.int64, device=columns.device)
    resident = available <= _RESIDENT
    kernel = sample_resident if resident else sample_tiled
    block = max(triton.next_power_of_2(available), 64) if resident else _TILE
    warps = min(32, max(1, block // 128))
    arguments = (columns, squared.contiguous(), first, chosen, available, count)
    kernel[(clouds,)](*arguments, BLOCK=block, num_warps=warps, **COMPILE_OPTIONS)
    return chosen


@triton.jit
def sample_resident(columns, squared, first, chosen, available, count, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """The whole cloud at once; coordinates and distances never leave the registers."""
    cloud = tl.program_id(0).to(tl.int64)
    columns += cloud * 3 * available
    row = tl.arange(0, BLOCK)
    inside = row < available
    x = tl.load(columns + row, mask=inside, other=0.0)
    y = tl.load(columns + available + row, mask=inside, other=0.0)
    z = tl.load(columns + 2 * available + row, mask=inside, other=0.0)
    nearest = tl.load(squared + cloud * available + row, mask=inside, other=float("-inf"))
    newest = tl.load(first).to(tl.int32)
    tl.store(chosen + cloud * count, newest.to(tl.int64))
    for i in range(1, count):
        dx = x - tl.load(columns + newest)
        dy = y - tl.load(columns + available + newest)
        dz = z - tl.load(columns + 2 * available + newest)
        nearest = tl.minimum(nearest, (dx * dx + dy * dy) + dz * dz)
        newest = tl.argmax(nearest, axis=0, tie_break_left=True).to(tl.int32)
        tl.store(chosen + cloud * count + i, newest.to(tl.int64))


@triton.jit
def sample_tiled(columns, squared, first, chosen, available, count, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """A tile of the cloud after the other; each lane keeps its own farthest row until the end of the round."""
    cloud = tl.program_id(0).to(tl.int64)
    columns += cloud * 3 * available
    squared += cloud * available
    lane = tl.arange(0, BLOCK)
    newest = tl.load(first).to(tl.int32)
    tl.store(chosen + cloud * count, newest.to(tl.int64))
    for i in range(1, count):
        x = tl.load(columns + newest)
        y = tl.load(columns + available + newest)
        z = tl.load(columns + 2 * available + newest)
        farthest = tl.full((BLOCK,), float("-inf"), tl.float32)
        farthest_row = lane
        for tile in range(0, available, BLOCK):
            row = tile + lane
            inside = row < available
            dx = tl.load(columns + row, mask=inside, other=0.0) - x
            dy = tl.load(columns + available + row, mask=inside, other=0.0) - y
            dz = tl.load(columns + 2 * available + row, mask=inside, other=0.0) - z
            nearest = tl.load(squared + row, mask=inside, other=float("-inf"))
            nearest = tl.minimum(nearest, (dx * dx + dy * dy) + dz * dz)
            tl.store(squared + row, nearest, mask=inside)
            farthest_row = tl.where(nearest > farthest, row, farthest_row)
            farthest = tl.maximum(farthest, nearest)
        # Of the lanes that share the maximum, the lowest row; a lane's own is its first already.
        newest = tl.min(tl.where(farthest == tl.max(farthest, axis=0), farthest_row, available), axis=0)
        tl.store(chosen + cloud * count + i, newest.to(tl.int64))
        # The next round reads what this one has stored.
        tl.debug_barrier()
