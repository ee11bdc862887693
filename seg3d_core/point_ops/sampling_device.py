"""Farthest point sampling on an accelerator: one Triton kernel, or tensor operations where there is no Triton."""

from __future__ import annotations

import functools
import importlib.util
import logging
import os
import shutil

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

logger = logging.getLogger(__name__)

_COMPILERS = ("cc", "gcc", "clang")
_OLDEST_CAPABILITY = (8, 0)


def sample_on_device(
    columns: Float32[Tensor, "B 3 N"], squared: Float32[Tensor, "B N"], first: Int64[Tensor, "1"], count: int
) -> Int64[Tensor, "B count"]:
    """``count`` rows of each cloud, ``first`` and then always the farthest; the lowest row wins ties.

    ``squared`` is overwritten: infinity for candidates, minus infinity for rows that are never taken. Never waits for
    the device.
    """
    if columns.device.type == "cuda" and _has_triton(columns.device):
        from seg3d_core.point_ops.sampling_triton_kernels import sample_with_triton

        return sample_with_triton(columns, squared, first, count)
    return sample_with_torch(columns, squared, first, count)


def sample_with_torch(
    columns: Float32[Tensor, "B 3 N"], squared: Float32[Tensor, "B N"], first: Int64[Tensor, "1"], count: int
) -> Int64[Tensor, "B count"]:
    """``sample_on_device`` in tensor operations, eight of them for each row."""
    chosen = first.repeat(len(columns), count)
    for i in range(1, count):
        newest = columns.gather(2, chosen[:, None, i - 1 : i].expand(-1, 3, -1))
        # One operation at a time: fused ones would round differently.
        x, y, z = (columns - newest).square_().unbind(dim=1)
        torch.minimum(squared, x + y + z, out=squared)
        chosen[:, i] = squared.argmax(dim=1)
    return chosen


@functools.cache
def _has_triton(device: torch.device) -> bool:
    """Whether Triton can build and run kernels for the device; where not, the log says once what is missing."""
    missing = None
    capability = torch.cuda.get_device_capability(device)
    if importlib.util.find_spec("triton") is None:
        missing = "Triton is not installed"
    elif capability < _OLDEST_CAPABILITY:
        missing = f"Triton's kernels are tested for compute capability 8.0 and later, {device} has {capability}"
    elif not os.environ.get("CC") and not any(map(shutil.which, _COMPILERS)):
        missing = f"Triton needs a C compiler, and none of {', '.join(_COMPILERS)} is on the path"
    if missing is not None:
        logger.warning("farthest points on %s take longer, with the same result: %s", device, missing)
    return missing is None
