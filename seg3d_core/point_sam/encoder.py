"""The transformer over the patches of a cloud: EVA02's gated blocks (tiny to Large) or EVA's plain ones (Giant)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from seg3d_core.point_sam.linear import Linear, linear
from seg3d_core.point_sam.patches import PatchEmbedding, PatchGroups
from seg3d_core.point_sam.voronoi import CellEmbedding, Cells
from seg3d_core.point_sam_config import PointSamConfig
from seg3d_core.stages import stage

_EPS = 1e-6
"""Of the norms in the transformer; those outside have PyTorch's default."""

_POSITION_CHANNELS = 128


def attend(
    queries: Float[Tensor, "B T C"], keys: Float[Tensor, "B S C"], values: Float[Tensor, "B S C"], heads: int
) -> Float[Tensor, "B T C"]:
    """Softmax attention in ``heads`` equal shares of the channels."""
    q, k, v = (x.reshape(*x.shape[:2], heads, -1).transpose(1, 2) for x in (queries, keys, values))
    return functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class SeparateAttention(nn.Module):
    """Self-attention with a projection each for queries, keys (without bias) and values."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = Linear(dim, dim)
        self.k_proj = Linear(dim, dim, bias=False)
        self.v_proj = Linear(dim, dim)
        self.proj = Linear(dim, dim)

    def forward(self, x: Float[Tensor, "B L C"]) -> Float[Tensor, "B L C"]:
        """Every token after a look at all."""
        mixed: Tensor = self.proj(attend(self.q_proj(x), self.k_proj(x), self.v_proj(x), self.heads))
        return mixed


class FusedAttention(nn.Module):
    """Self-attention with one matrix for queries, keys and values; the bias of the keys is zero and is not stored."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = Linear(dim, 3 * dim, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(dim))
        self.v_bias = nn.Parameter(torch.zeros(dim))
        self.proj = Linear(dim, dim)

    def forward(self, x: Float[Tensor, "B L C"]) -> Float[Tensor, "B L C"]:
        """Every token after a look at all."""
        bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        queries, keys, values = linear(x, self.qkv.weight, bias).chunk(3, dim=-1)
        mixed: Tensor = self.proj(attend(queries, keys, values, self.heads))
        return mixed


class GatedMlp(nn.Module):
    """SwiGLU with a norm over the hidden channels."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1_g = Linear(dim, hidden)
        self.fc1_x = Linear(dim, hidden)
        self.norm = nn.LayerNorm(hidden, eps=_EPS)
        self.fc2 = Linear(hidden, dim)

    def forward(self, x: Float[Tensor, "B L C"]) -> Float[Tensor, "B L C"]:
        """Each token by itself."""
        result: Tensor = self.fc2(self.norm(self.fc1_g(x, "swish") * self.fc1_x(x)))
        return result


class PlainMlp(nn.Module):
    """Two layers with GELU between."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = Linear(dim, hidden)
        self.fc2 = Linear(hidden, dim)

    def forward(self, x: Float[Tensor, "B L C"]) -> Float[Tensor, "B L C"]:
        """Each token by itself."""
        result: Tensor = self.fc2(self.fc1(x, "gelu"))
        return result


class Block(nn.Module):
    """Attention and MLP, each with its norm before and its input added after."""

    def __init__(self, config: PointSamConfig) -> None:
        super().__init__()
        dim, heads, hidden = config.encoder_dim, config.encoder_heads, config.encoder_feedforward_dim
        gated = config.blocks == "gated"
        self.norm1 = nn.LayerNorm(dim, eps=_EPS)
        self.attn = SeparateAttention(dim, heads) if gated else FusedAttention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=_EPS)
        self.mlp = GatedMlp(dim, hidden) if gated else PlainMlp(dim, hidden)

    def forward(self, x: Float[Tensor, "B L C"]) -> Float[Tensor, "B L C"]:
        """The tokens after this block."""
        x = x + self.attn(self.norm1(x))
        result: Tensor = x + self.mlp(self.norm2(x))
        return result


class Transformer(nn.Module):
    """The blocks one after the other, and a norm; without class token, rotary or learned positions."""

    def __init__(self, config: PointSamConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.encoder_depth))
        self.fc_norm = nn.LayerNorm(config.encoder_dim, eps=_EPS)

    def forward(self, x: Float[Tensor, "B L C"]) -> Float[Tensor, "B L C"]:
        """The tokens after all blocks."""
        for block in self.blocks:
            x = block(x)
        result: Tensor = self.fc_norm(x)
        return result


class CloudEncoder(nn.Module):
    """An embedding of each patch that knows the whole cloud."""

    def __init__(self, config: PointSamConfig) -> None:
        super().__init__()
        dim = config.encoder_dim
        self.patch_embed = (
            CellEmbedding(config.cell_channels, config.patch_channels)
            if config.tokenizer == "voronoi"
            else PatchEmbedding(config.patch_hidden_channels, config.patch_channels)
        )
        self.patch_proj = Linear(config.patch_channels, dim)
        self.pos_embed = nn.Sequential(Linear(3, _POSITION_CHANNELS), nn.GELU(), Linear(_POSITION_CHANNELS, dim))
        self.transformer = Transformer(config)
        self.out_proj = Linear(dim, config.hidden_dim)

    def forward(self, groups: PatchGroups | Cells, rgb: Float[Tensor, "B N 3"]) -> Float[Tensor, "B L C"]:
        """Embeddings of the patches; colours in -1..1, positions in the normalised cloud."""
        with stage("patches"):
            patches = self.patch_embed(groups, rgb)
        with stage("transformer"):
            positions = self.pos_embed(groups.centres.to(self.patch_proj.weight.dtype))
            embeddings: Tensor = self.out_proj(self.transformer(self.patch_proj(patches) + positions))
        return embeddings
