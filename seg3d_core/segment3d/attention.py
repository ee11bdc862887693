"""The three steps of a decoder layer, each added to the queries and normalised after (post-norm).

Attributes are named as in released checkpoints. B scenes, Q queries, K keys, C channels.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional


class PackedAttention(nn.Module):
    """Multi-head attention with the parameters of ``torch.nn.MultiheadAttention``.

    Keys and values are projected apart from the queries, since three decoders share them; and one mask serves all
    heads, where torch's module wants a copy for each.
    """

    def __init__(self, hidden_dim: int, heads: int) -> None:
        super().__init__()
        self._heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * hidden_dim, hidden_dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * hidden_dim))
        self.out_proj = nn.Linear(hidden_dim, hidden_dim)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.xavier_uniform_(self.out_proj.weight)
        nn.init.zeros_(self.out_proj.bias)

    def project(self, x: Float[Tensor, "B K C"], part: int) -> Float[Tensor, "B H K D"]:
        """``x`` as queries (part 0), keys (1) or values (2) of every head."""
        weight, bias = self.in_proj_weight.chunk(3)[part], self.in_proj_bias.chunk(3)[part]
        heads: Tensor = functional.linear(x, weight, bias).reshape(*x.shape[:2], self._heads, -1)
        return heads.transpose(1, 2).contiguous()

    def forward(
        self,
        queries: Float[Tensor, "B Q C"],
        keys: Float[Tensor, "B H K D"],
        values: Float[Tensor, "B H K D"],
        allowed: Bool[Tensor, "B Q K"] | None = None,
    ) -> Float[Tensor, "B Q C"]:
        """Attention of ``queries`` to ``keys``; each query needs at least one key that is ``allowed``."""
        mask = None if allowed is None else allowed[:, None]
        heads = functional.scaled_dot_product_attention(self.project(queries, 0), keys, values, attn_mask=mask)
        merged: Tensor = self.out_proj(heads.transpose(1, 2).flatten(2))
        return merged


class CrossAttention(nn.Module):
    """Queries look at the voxels of a level."""

    def __init__(self, hidden_dim: int, heads: int) -> None:
        super().__init__()
        self.multihead_attn = PackedAttention(hidden_dim, heads)
        self.norm = nn.LayerNorm(hidden_dim)

    def keys_and_values(
        self, memory: Float[Tensor, "B K C"], positions: Float[Tensor, "B K C"]
    ) -> tuple[Float[Tensor, "B H K D"], Float[Tensor, "B H K D"]]:
        """Keys (features with positions) and values (features alone) of the voxels."""
        return self.multihead_attn.project(memory + positions, 1), self.multihead_attn.project(memory, 2)

    def forward(
        self,
        queries: Float[Tensor, "B Q C"],
        query_positions: Float[Tensor, "B Q C"],
        keys: Float[Tensor, "B H K D"],
        values: Float[Tensor, "B H K D"],
        allowed: Bool[Tensor, "B Q K"],
    ) -> Float[Tensor, "B Q C"]:
        """The queries after a look at the ``allowed`` voxels."""
        seen = self.multihead_attn(queries + query_positions, keys, values, allowed)
        updated: Tensor = self.norm(queries + seen)
        return updated


class SelfAttention(nn.Module):
    """Queries look at each other."""

    def __init__(self, hidden_dim: int, heads: int) -> None:
        super().__init__()
        self.self_attn = PackedAttention(hidden_dim, heads)
        self.norm = nn.LayerNorm(hidden_dim)

    def forward(
        self, queries: Float[Tensor, "B Q C"], query_positions: Float[Tensor, "B Q C"]
    ) -> Float[Tensor, "B Q C"]:
        """The queries after a look at all of them."""
        placed = queries + query_positions
        keys, values = self.self_attn.project(placed, 1), self.self_attn.project(queries, 2)
        updated: Tensor = self.norm(queries + self.self_attn(placed, keys, values))
        return updated


class FeedForward(nn.Module):
    """Each query by itself: two linear layers with a ReLU between them."""

    def __init__(self, hidden_dim: int, feedforward_dim: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(hidden_dim, feedforward_dim)
        self.linear2 = nn.Linear(feedforward_dim, hidden_dim)
        self.norm = nn.LayerNorm(hidden_dim)
        nn.init.xavier_uniform_(self.linear1.weight)
        nn.init.xavier_uniform_(self.linear2.weight)

    def forward(self, queries: Float[Tensor, "B Q C"]) -> Float[Tensor, "B Q C"]:
        """The updated queries."""
        updated: Tensor = self.norm(queries + self.linear2(self.linear1(queries).relu()))
        return updated
