"""What every point operation refuses, in words."""

from __future__ import annotations

import torch
from torch import Tensor

from seg3d_core.errors import InputError


def require_points(what: str, points: Tensor) -> None:
    """Points are float32 (..., N, 3), at least one, and finite. Looking at their values waits for the device.

    Raises:
        InputError: they are not; ``what`` names them in the message.
    """
    if points.dtype != torch.float32:
        raise InputError(f"{what} are {points.dtype}, must be torch.float32")
    if points.ndim < 2 or points.shape[-1] != 3 or points.shape[-2] < 1:
        raise InputError(f"{what} have shape {tuple(points.shape)}, must be (..., N, 3) with N at least 1")
    finite = points.isfinite().all(dim=-1)
    if not finite.all():
        raise InputError(
            f"{int((~finite).sum())} of {finite.numel()} {what} are NaN or infinite, the first is row "
            f"{(~finite).nonzero()[0].tolist()}"
        )


def require_one_device(what: str, one: Tensor, name: str, other: Tensor) -> None:
    """Both tensors are in the same memory.

    Raises:
        InputError: they are not; ``what`` and ``name`` name them in the message.
    """
    if one.device != other.device:
        raise InputError(f"{what} are on {one.device}, {name} on {other.device}; both must be on one device")
