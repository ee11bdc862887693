"""Where a voxel is, told to the attention: random Fourier features of its place in the scene."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn


class FourierEncoding(nn.Module):
    """Sine and cosine of random projections of positions, scaled to the unit cube (Tancik et al. 2020).

    The projection ``gauss_B`` is drawn once from N(0, gauss_scale) and belongs to the checkpoint.
    """

    gauss_B: Tensor  # noqa: N815  (the released name)

    def __init__(self, hidden_dim: int, gauss_scale: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("gauss_B", torch.randn(3, hidden_dim // 2) * gauss_scale)

    def forward(
        self, xyz: Float[Tensor, "V 3"], low: Float[Tensor, "3"], high: Float[Tensor, "3"]
    ) -> Float[Tensor, "V C"]:
        """Encodings of ``xyz`` (any unit) in the box from ``low`` to ``high``: all sines, then all cosines.

        Along an axis without extent (planar clouds, a single voxel) every position counts as ``low``.
        """
        extent = high - low
        unit = (xyz - low) / torch.where(extent > 0, extent, torch.ones_like(extent))
        # Half precision would lose small steps in many turns.
        with torch.autocast(xyz.device.type, enabled=False):
            turns = (2 * math.pi * unit) @ self.gauss_B
        return torch.cat([turns.sin(), turns.cos()], dim=1)
