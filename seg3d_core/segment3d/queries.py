"""Where the queries of a scene stand: farthest point sampling of its voxels."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float32, Int32, Int64
from torch import Tensor

from seg3d_core.config import FarthestPointTies
from seg3d_core.errors import InputError
from seg3d_core.segment3d.queries_kernels import sample_farthest

_LARGEST_BLOCK = 512
"""Threads of the released CUDA sampler; scenes with fewer voxels use the largest power of two below their number."""


def query_voxels(voxels: Int32[Tensor, "V 3"], count: int, ties: FarthestPointTies = "released") -> Int64[Tensor, " Q"]:
    """Rows of ``count`` voxels, each the farthest from those before it, from row 0 on.

    Distances are squared in float32 over integer voxel coordinates, so that ties are frequent. ``lowest_index`` gives
    them to the first row, ``released`` to the row that the released CUDA sampler finds (specified by
    ``tie_order``). As there, voxel (0, 0, 0) is never chosen but as the first, and when no voxel is left, row 0 (the
    first that is not the origin) repeats: there are always ``count`` rows.

    Raises:
        InputError: no voxel, or no query.
    """
    if len(voxels) < 1 or count < 1:
        raise InputError(f"{count} queries were asked of {len(voxels)} voxels, both must be at least 1")
    order = tie_order(len(voxels), voxels.device) if ties == "released" else None
    ranked = voxels if order is None else voxels[order]
    rows = _farthest(ranked.float(), count)
    return rows if order is None else order[rows]


def tie_order(count: int, device: torch.device) -> Int64[Tensor, " V"]:
    """Rows in the order in which the released sampler prefers them among equals; row 0 is always first.

    Its ``bs`` threads take the rows ``k % bs`` in turn, and reduce their maxima by halves: the smallest bit-reversed
    ``k % bs`` wins, then the smallest ``k``.
    """
    bits = min(_LARGEST_BLOCK.bit_length(), count.bit_length()) - 1
    row = torch.arange(count, device=device)
    thread = row % 2**bits
    reversed_thread = torch.zeros_like(row)
    for bit in range(bits):
        reversed_thread |= (thread >> bit & 1) << bits - 1 - bit
    return torch.argsort(reversed_thread, stable=True)


def _farthest(points: Float32[Tensor, "V 3"], count: int) -> Int64[Tensor, " Q"]:
    squared = torch.full_like(points[:, 0], torch.inf)
    squared[(points == 0).all(dim=1)] = -torch.inf
    if points.device.type == "cpu":
        columns = np.ascontiguousarray(points.numpy().T)
        return torch.from_numpy(sample_farthest(columns, squared.numpy(), count))
    return farthest_on_device(points, squared, count)


def farthest_on_device(
    points: Float32[Tensor, "V 3"], squared: Float32[Tensor, " V"], count: int
) -> Int64[Tensor, " Q"]:
    """What the compiled CPU loop computes, in tensor operations that never wait for the device."""
    chosen = torch.zeros(count, dtype=torch.int64, device=points.device)
    for i in range(1, count):
        offsets = points - points[chosen[i - 1]]
        x, y, z = offsets.unbind(dim=1)
        squared = torch.minimum(squared, x * x + y * y + z * z)
        chosen[i] = squared.argmax()
    return chosen
