"""Weights in fewer bits, in the file alone: networks compute in what they are loaded into."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from seg3d_core.errors import CheckpointError

Precision = Literal["float32", "float16"]


def in_precision(name: str, value: Tensor, precision: Precision) -> Tensor:
    """``value`` in that number type.

    Raises:
        CheckpointError: it has numbers too large for float16.
    """
    if precision == "float32":
        return value
    half = value.detach().half()
    if not torch.isfinite(half).all():
        largest, end = float(value.detach().abs().max()), torch.finfo(torch.float16).max
        raise CheckpointError(f"{name} has values up to {largest:g}, float16 ends at {end:g}")
    return half
