"""The encoder of Point-SAM as one writes it down first: plain modules, all patches at once.

A peer to measure against. Parameters are named as in ``CloudEncoder`` and ``MaskEncoder``, so that both can have the
same.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from seg3d_core.point_sam_config import PointSamConfig

_EPS = 1e-6


class PlainPointNet(nn.Module):
    """A feature of each patch out of features of its members."""

    def __init__(self, channels: int, hidden: tuple[int, int], out: int) -> None:
        super().__init__()
        self.conv1 = _two_layers(channels, hidden[0], hidden[0])
        self.conv2 = _two_layers(2 * hidden[0], hidden[1], out)

    def forward(self, x: Float[Tensor, "B L K C"]) -> Float[Tensor, "B L D"]:
        """Every member is told the largest features of its patch."""
        x = self.conv1(x)
        whole = x.amax(dim=-2, keepdim=True).expand_as(x)
        patches: Tensor = self.conv2(torch.cat([whole, x], dim=-1)).amax(dim=-2)
        return patches


class _SeparateAttention(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(dim, dim, bias=i != 1) for i in range(3))
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        projected = (self.q_proj(x), self.k_proj(x), self.v_proj(x))
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in projected)
        mixed: Tensor = self.proj(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return mixed


class _FusedAttention(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.q_bias, self.v_bias = nn.Parameter(torch.zeros(dim)), nn.Parameter(torch.zeros(dim))
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        projected = self.qkv(x) + torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        q, k, v = projected.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed: Tensor = self.proj(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return mixed


class _SwiGlu(nn.Module):
    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1_g, self.fc1_x, self.fc2 = nn.Linear(dim, hidden), nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.norm = nn.LayerNorm(hidden, eps=_EPS)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.fc2(self.norm(functional.silu(self.fc1_g(x)) * self.fc1_x(x)))
        return result


class _Mlp(nn.Module):
    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.fc2(functional.gelu(self.fc1(x)))
        return result


class _Block(nn.Module):
    def __init__(self, config: PointSamConfig) -> None:
        super().__init__()
        dim, heads, hidden = config.encoder_dim, config.encoder_heads, config.encoder_feedforward_dim
        gated = config.blocks == "gated"
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=_EPS), nn.LayerNorm(dim, eps=_EPS)
        self.attn = _SeparateAttention(dim, heads) if gated else _FusedAttention(dim, heads)
        self.mlp = _SwiGlu(dim, hidden) if gated else _Mlp(dim, hidden)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        result: Tensor = x + self.mlp(self.norm2(x))
        return result


class PlainEncoder(nn.Module):
    """An embedding of each patch that knows the whole cloud; patches of nearest neighbours, not Voronoi cells."""

    def __init__(self, config: PointSamConfig) -> None:
        super().__init__()
        dim = config.encoder_dim
        point_net = PlainPointNet(6, config.patch_hidden_channels, config.patch_channels)
        self.patch_embed = nn.ModuleDict({"patch_encoder": point_net})
        self.patch_proj = nn.Linear(config.patch_channels, dim)
        self.pos_embed = nn.Sequential(nn.Linear(3, 128), nn.GELU(), nn.Linear(128, dim))
        blocks = nn.Sequential(*(_Block(config) for _ in range(config.encoder_depth)))
        self.transformer = nn.ModuleDict({"blocks": blocks, "fc_norm": nn.LayerNorm(dim, eps=_EPS)})
        self.out_proj = nn.Linear(dim, config.hidden_dim)

    def forward(self, centres: Float[Tensor, "B L 3"], features: Float[Tensor, "B L K 6"]) -> Float[Tensor, "B L C"]:
        """Features of members are their offsets from the centre and their colours (-1..1)."""
        x = self.patch_proj(self.patch_embed["patch_encoder"](features)) + self.pos_embed(centres)
        embeddings: Tensor = self.out_proj(self.transformer["fc_norm"](self.transformer["blocks"](x)))
        return embeddings


def _two_layers(channels: int, hidden: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(channels, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Linear(hidden, out))
