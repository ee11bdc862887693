"""The two-way transformer of Segment Anything: tokens look at the cloud, and the cloud looks back at the tokens."""

from __future__ import annotations

from typing import cast

from jaxtyping import Float
from torch import Tensor, nn

from seg3d_core.point_sam.encoder import attend
from seg3d_core.point_sam.linear import Linear
from seg3d_core.point_sam_config import PointSamConfig


class ProjectedAttention(nn.Module):
    """Attention from one set of vectors to another, in ``inner`` channels."""

    def __init__(self, dim: int, inner: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = Linear(dim, inner)
        self.k_proj = Linear(dim, inner)
        self.v_proj = Linear(dim, inner)
        self.out_proj = Linear(inner, dim)

    def forward(
        self, queries: Float[Tensor, "B T C"], keys: Float[Tensor, "B S C"], values: Float[Tensor, "B S C"]
    ) -> Float[Tensor, "B T C"]:
        """What each query takes from the values."""
        taken: Tensor = self.out_proj(attend(self.q_proj(queries), self.k_proj(keys), self.v_proj(values), self.heads))
        return taken


class TwoLayers(nn.Module):
    """Two layers with ReLU between."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.lin1 = Linear(dim, hidden)
        self.lin2 = Linear(hidden, dim)

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        """Each token by itself."""
        result: Tensor = self.lin2(self.lin1(x, "relu"))
        return result


class TwoWayLayer(nn.Module):
    """Tokens among themselves, tokens to cloud, each token by itself, cloud to tokens; a norm after each."""

    def __init__(self, config: PointSamConfig) -> None:
        super().__init__()
        dim, heads = config.hidden_dim, config.decoder_heads
        self.self_attn = ProjectedAttention(dim, dim, heads)
        self.norm1 = nn.LayerNorm(dim)
        self.cross_attn_token_to_image = ProjectedAttention(dim, dim // 2, heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = TwoLayers(dim, config.decoder_feedforward_dim)
        self.norm3 = nn.LayerNorm(dim)
        self.cross_attn_image_to_token = ProjectedAttention(dim, dim // 2, heads)
        self.norm4 = nn.LayerNorm(dim)

    def forward(
        self,
        tokens: Float[Tensor, "B T C"],
        cloud: Float[Tensor, "B L C"],
        token_places: Float[Tensor, "B T C"],
        cloud_places: Float[Tensor, "B L C"],
    ) -> tuple[Float[Tensor, "B T C"], Float[Tensor, "B L C"]]:
        """Tokens and cloud after this layer; ``tokens`` have been among themselves (``among_tokens``) already."""
        keys = cloud + cloud_places
        tokens = self.norm2(tokens + self.cross_attn_token_to_image(tokens + token_places, keys, cloud))
        tokens = self.norm3(tokens + self.mlp(tokens))
        cloud = self.norm4(cloud + self.cross_attn_image_to_token(keys, tokens + token_places, tokens))
        return tokens, cloud

    def first_among_tokens(self, tokens: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        """Self-attention of the first layer: tokens are their own places, and are replaced."""
        result: Tensor = self.norm1(self.self_attn(tokens, tokens, tokens))
        return result

    def among_tokens(self, tokens: Float[Tensor, "B T C"], places: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        """Self-attention of every other layer."""
        placed = tokens + places
        result: Tensor = self.norm1(tokens + self.self_attn(placed, placed, tokens))
        return result


class TwoWayTransformer(nn.Module):
    """The layers, and a last look of the tokens at the cloud."""

    def __init__(self, config: PointSamConfig) -> None:
        super().__init__()
        dim = config.hidden_dim
        self.layers = nn.ModuleList(TwoWayLayer(config) for _ in range(config.decoder_depth))
        self.final_attn_token_to_image = ProjectedAttention(dim, dim // 2, config.decoder_heads)
        self.norm_final_attn = nn.LayerNorm(dim)

    def forward(
        self, places: Float[Tensor, "B T C"], cloud: Float[Tensor, "B L C"], cloud_places: Float[Tensor, "B L C"]
    ) -> tuple[Float[Tensor, "B T C"], Float[Tensor, "B L C"]]:
        """Tokens and cloud after all layers; the tokens that go in say all along what they ask for (``places``)."""
        tokens = places
        for i, layer in enumerate(cast("list[TwoWayLayer]", self.layers)):
            tokens = layer.among_tokens(tokens, places) if i else layer.first_among_tokens(tokens)
            tokens, cloud = layer(tokens, cloud, places, cloud_places)
        looked = self.final_attn_token_to_image(tokens + places, cloud + cloud_places, cloud)
        return self.norm_final_attn(tokens + looked), cloud
