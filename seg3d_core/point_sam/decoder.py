"""From an encoded cloud and prompts to masks, and to how good each is likely to be."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, product

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from seg3d_core.point_ops.interpolation import interpolate
from seg3d_core.point_sam.fused import FusedUpscaling
from seg3d_core.point_sam.linear import Linear, without_gradients
from seg3d_core.point_sam.patches import rows_at_once
from seg3d_core.point_sam.two_way import TwoWayTransformer
from seg3d_core.point_sam_config import PointSamConfig

MASK_TOKENS = 4
"""The first is for the mask that several clicks agree on, the others for the candidates that a single click leaves."""

_POINTS_AT_ONCE = 1024
"""1 MB of features; it bounds the memory of a click on a large cloud, too."""


@dataclass(frozen=True, eq=False)
class PointTable:
    """From which patches each point takes its features.

    Attributes:
        rows: (B, N, 3) the three nearest centres, nearest first.
        weights: (B, N, 3) add up to 1.
    """

    rows: Int64[Tensor, "B N 3"]
    weights: Float[Tensor, "B N 3"]


@dataclass(frozen=True, eq=False)
class MaskPrediction:
    """Masks of M prompts in each of B clouds, C candidates of each, in the order of the network's tokens.

    Attributes:
        mask_logits: (B, M, C, N) a point belongs to the object where they are above 0.
        iou_predictions: (B, M, C) the network's estimate of each mask's IoU; near 0..1, but not bounded.
    """

    mask_logits: Float[Tensor, "B M C N"]
    iou_predictions: Float[Tensor, "B M C"]


class Mlp(nn.Module):
    """Linear layers with ReLU between."""

    def __init__(self, channels: list[int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Linear(before, after) for before, after in pairwise(channels))

    def forward(self, x: Float[Tensor, "*B C"]) -> Float[Tensor, "*B D"]:
        """Each row by itself."""
        *inner, last = self.layers
        for layer in inner:
            x = layer(x, "relu")
        result: Tensor = last(x)
        return result


class MaskDecoder(nn.Module):
    """Two-way transformer, features of every point, and one small network per mask token that weighs them."""

    def __init__(self, config: PointSamConfig) -> None:
        super().__init__()
        dim = config.hidden_dim
        self.transformer = TwoWayTransformer(config)
        self.iou_token = nn.Embedding(1, dim)
        self.mask_tokens = nn.Embedding(MASK_TOKENS, dim)
        self.output_hypernetworks_mlps = nn.ModuleList(Mlp([dim] * 4) for _ in range(MASK_TOKENS))
        self.output_upscaling = nn.Sequential(
            Linear(dim, dim), nn.LayerNorm(dim), nn.GELU(), Linear(dim, dim), nn.GELU()
        )
        self.iou_prediction_head = Mlp([dim, config.iou_hidden_dim, config.iou_hidden_dim, MASK_TOKENS])

    def forward(
        self,
        prompts: Float[Tensor, "B M P C"],
        patches: Float[Tensor, "B #M L C"],
        places: Float[Tensor, "B L C"],
        table: PointTable,
        multimask: bool,
    ) -> MaskPrediction:
        """Masks of each prompt.

        Args:
            prompts: tokens of the clicks.
            patches: embeddings of the patches, with what the mask prompts say added.
            places: positional encodings of the patches.
            table: of the points that masks are made of.
            multimask: three candidates, as for a single click, instead of one mask.
        """
        batch, sets, _, dim = prompts.shape
        own = torch.cat([self.iou_token.weight, self.mask_tokens.weight]).expand(batch, sets, -1, dim)
        tokens, patches = self.transformer(
            torch.cat([own, prompts], dim=2).flatten(0, 1),
            patches.expand(-1, sets, -1, -1).flatten(0, 1),
            places[:, None].expand(-1, sets, -1, -1).flatten(0, 1),
        )
        chosen = range(1, MASK_TOKENS) if multimask else range(1)
        tokens = tokens.reshape(batch, sets, -1, dim)
        weights = torch.stack([self.output_hypernetworks_mlps[i](tokens[:, :, 1 + i]) for i in chosen], dim=2)
        ious = self.iou_prediction_head(tokens[:, :, 0])
        logits = self.weigh_points(weights, patches.reshape(batch, sets, -1, dim), table)
        return MaskPrediction(logits, ious[..., chosen.start : chosen.stop])

    def weigh_points(
        self, weights: Float[Tensor, "B M T C"], patches: Float[Tensor, "B M L C"], table: PointTable
    ) -> Float[Tensor, "B M T N"]:
        """Products of T weights with the features of every point; some points at a time.

        The first layer of these features is linear and the weights of the table add up to 1: it may as well come
        before the interpolation, on patches, which are far fewer than points.
        """
        widened = self.output_upscaling[0](patches)
        if without_gradients(widened):
            return self._weigh_fused(weights, widened, table)
        at_once = rows_at_once(_POINTS_AT_ONCE, widened.device)
        tables = (table.rows, table.weights.to(widened.dtype))
        parts = zip(*(torch.split(values, at_once, dim=1) for values in tables), strict=True)
        features = (interpolate(widened, rows[:, None], shares[:, None]) for rows, shares in parts)
        return torch.cat([weights @ self.output_upscaling[1:](some).mT for some in features], dim=-1)

    def _weigh_fused(
        self, weights: Float[Tensor, "B M T C"], widened: Float[Tensor, "B M L C"], table: PointTable
    ) -> Float[Tensor, "B M T N"]:
        upscale = FusedUpscaling.of(self.output_upscaling)
        batch, sets, count, _ = weights.shape
        logits = weights.new_empty(batch, sets, count, table.rows.shape[1])
        for b, m in product(range(batch), range(sets)):
            for start in range(0, logits.shape[-1], upscale.rows_at_once):
                some = slice(start, start + upscale.rows_at_once)
                features = upscale(widened[b, m], table.rows[b, some], table.weights[b, some])
                torch.mm(weights[b, m], features.mT, out=logits[b, m, :, some])
        return logits
