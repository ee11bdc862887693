"""What the user says, as vectors: clicks, and the mask of an earlier answer."""

from __future__ import annotations

import math
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from seg3d_core.point_sam.patches import PatchGroups, PatchPointNet


class PositionalEncoding(nn.Module):
    """Sines and cosines of random projections of a place (Fourier features)."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(3, channels // 2))

    def forward(self, xyz: Float[Tensor, "*B 3"]) -> Float[Tensor, "*B C"]:
        """Encodings in the number type of the places, float32 or better.

        The projections are of many turns, so that 16 bits would leave their phases to chance: they are made without
        matrix products, which autocast and TF32 shorten.
        """
        matrix = self.positional_encoding_gaussian_matrix.to(xyz.dtype)
        x, y, z = xyz.unsqueeze(-1).unbind(-2)
        phases = 2 * math.pi * (x * matrix[0] + y * matrix[1] + z * matrix[2])
        return torch.cat([phases.sin(), phases.cos()], dim=-1)


class PointEncoder(nn.Module):
    """A token of each click: where it is, and whether it is on the object or beside it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pe_layer = PositionalEncoding(channels)
        # Of clicks on the background, and of clicks on the object.
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, channels) for _ in range(2))

    def forward(self, points: Float[Tensor, "*B P 3"], is_foreground: Bool[Tensor, "*B P"]) -> Float[Tensor, "*B P C"]:
        """Tokens of clicks in the normalised cloud."""
        background, foreground = self._meanings()
        return self.encode_places(points) + torch.where(is_foreground[..., None], foreground, background)

    def encode_places(self, points: Float[Tensor, "*B 3"]) -> Float[Tensor, "*B C"]:
        """Encoded places in the number type of the parameters."""
        encoded: Tensor = self.pe_layer(points)
        return encoded.to(self._meanings()[0].dtype)

    def _meanings(self) -> list[Tensor]:
        return [cast(nn.Embedding, embedding).weight for embedding in self.point_embeddings]


class MaskEncoder(nn.Module):
    """What a mask says about each patch.

    The first layer is linear in the offset of a point and in its logit: the offsets' part is the same for every mask.
    """

    def __init__(self, hidden_channels: tuple[int, int], channels: int) -> None:
        super().__init__()
        self.patch_encoder = PatchPointNet(4, hidden_channels, channels)
        self.no_mask_embed = nn.Embedding(1, channels)

    def encode_offsets(self, groups: PatchGroups) -> Float[Tensor, "B L K H"]:
        """The part of the first layer that depends on the cloud alone."""
        first = self.patch_encoder.first
        return functional.linear(groups.offsets.to(first.weight.dtype), first.weight[:, :3], first.bias)

    def forward(
        self, offsets: Float[Tensor, "B L K H"], groups: PatchGroups, mask_logits: Float[Tensor, "B M N"]
    ) -> Float[Tensor, "B M L C"]:
        """Embeddings of masks given as logits; ``offsets`` is what ``encode_offsets`` made of ``groups``."""
        logits = groups.members(mask_logits.to(self.patch_encoder.first.weight.dtype))
        embedded: Tensor = self.patch_encoder.after_first(offsets[:, None], logits)
        return embedded

    def without_mask(self) -> Float[Tensor, "C"]:
        """The embedding of every patch where there is no mask."""
        embedded: Tensor = self.no_mask_embed.weight[0]
        return embedded
