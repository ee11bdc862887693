"""The mask decoder of Segment3D: queries look at ever finer levels and become masks.

After Mask3D (Schult et al. 2023): post-norm layers, one set of weights per level used by all decoders, attention
only to voxels that the query's mask of the moment covers. B scenes, Q queries, C channels of the hidden space.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from seg3d_core.segment3d.attention import CrossAttention, FeedForward, SelfAttention
from seg3d_core.segment3d.layout import Scene, present
from seg3d_core.segment3d.positional import FourierEncoding
from seg3d_core.segment3d_config import Segment3DConfig
from seg3d_core.sparse.layers import Convolution


@dataclass(frozen=True, eq=False)
class Prediction:
    """Instances as the queries see them at one point of the decoder.

    Attributes:
        class_logits: (B, Q, classes); index 0 is object, the last is no object.
        mask_embeddings: (B, Q, C) of the queries; a mask is what agrees with one of them.
        mask_features: of each scene (voxels, C) or, in segment mode, (segments, C).
    """

    class_logits: Float[Tensor, "B Q K"]
    mask_embeddings: Float[Tensor, "B Q C"]
    mask_features: list[Float[Tensor, "_ C"]]

    @cached_property
    def mask_logits(self) -> list[Float[Tensor, "Q _"]]:
        """Of each scene (Q, voxels) or (Q, segments); above 0 is inside. Made when first asked for.

        In training only few of them are needed with their gradients.
        """
        return [own @ features.T for own, features in zip(self.mask_embeddings, self.mask_features, strict=True)]


@dataclass(frozen=True, eq=False)
class Level:
    """What queries can look at, at one resolution.

    Attributes:
        features: (V, D) of the backbone.
        positions: (V, C) encodings of the mean places of the voxels.
        mask_features: (V, C) means of the finest mask features within each voxel, without gradient.
        scenes: where each scene is.
    """

    features: Float[Tensor, "V D"]
    positions: Float[Tensor, "V C"]
    mask_features: Float[Tensor, "V C"]
    scenes: list[Scene]


@dataclass(frozen=True, eq=False)
class _Keys:
    """A level as the attention reads it, padded to its largest scene; ``present`` is false in the padding."""

    keys: Float[Tensor, "B H K D"]
    values: Float[Tensor, "B H K D"]
    mask_features: Float[Tensor, "B K C"]
    present: Bool[Tensor, "B K"]


class QueryProjection(nn.Module):
    """From the encoded place of a query to its positional embedding."""

    def __init__(self, hidden_dim: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(hidden_dim, hidden_dim, 1), nn.ReLU(), nn.Conv1d(hidden_dim, hidden_dim, 1), nn.ReLU()
        )

    def forward(self, encoded: Float[Tensor, "B Q C"]) -> Float[Tensor, "B Q C"]:
        """The embeddings."""
        projected: Tensor = self.layers(encoded.transpose(1, 2))
        return projected.transpose(1, 2)


class MaskDecoder(nn.Module):
    """Turns queries into class scores and masks; its attributes are named as in released checkpoints."""

    def __init__(self, config: Segment3DConfig) -> None:
        super().__init__()
        hidden, heads = config.hidden_dim, config.heads
        widths = config.stage_channels[3:7]
        self._decoders = config.decoders
        self._training_keys = config.training_keys
        self.mask_features_head = Convolution(config.stage_channels[7], hidden, 1, bias=True)
        self.query_projection = QueryProjection(hidden)
        self.mask_embed_head = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, hidden))
        self.class_embed_head = nn.Linear(hidden, config.classes)
        self.pos_enc = FourierEncoding(hidden)
        # The list around the lists counts the decoders that do not share: one.
        self.cross_attention = nn.ModuleList([nn.ModuleList(CrossAttention(hidden, heads) for _ in widths)])
        self.self_attention = nn.ModuleList([nn.ModuleList(SelfAttention(hidden, heads) for _ in widths)])
        self.ffn_attention = nn.ModuleList([nn.ModuleList(FeedForward(hidden, config.feedforward_dim) for _ in widths)])
        self.lin_squeeze = nn.ModuleList([nn.ModuleList(nn.Linear(width, hidden) for width in widths)])
        self.decoder_norm = nn.LayerNorm(hidden)

    def decode(
        self,
        levels: Sequence[Level],
        mask_features: list[Float[Tensor, "_ C"]],
        query_positions: Float[Tensor, "B Q C"],
        query_content: Float[Tensor, "B Q C"],
        auxiliary: bool,
    ) -> list[Prediction]:
        """The last prediction, after those before every decoder layer where ``auxiliary`` is set.

        In training, every layer looks at another random choice of at most ``training_keys`` voxels of its level.

        Args:
            levels: the four below full resolution, coarsest first.
            mask_features: of each scene, what mask logits are taken on: voxels or segments.
            query_positions: embeddings of the places of the queries.
            query_content: what the queries are before the first layer.
            auxiliary: whether to keep the predictions on the way.
        """
        predictions = []
        queries = query_content
        all_keys = None if self.training else [self._keys(i, level) for i, level in enumerate(levels)]
        for _ in range(self._decoders):
            for i, level in enumerate(levels):
                if auxiliary:
                    predictions.append(self._predict(queries, mask_features))
                keys = all_keys[i] if all_keys else self._keys(i, level)
                queries = self._layer(i, queries, query_positions, keys)
        return [*predictions, self._predict(queries, mask_features)]

    def _layer(
        self, i: int, queries: Float[Tensor, "B Q C"], positions: Float[Tensor, "B Q C"], keys: _Keys
    ) -> Float[Tensor, "B Q C"]:
        allowed = self._allowed(queries, keys)
        queries = _of_level(self.cross_attention, i)(queries, positions, keys.keys, keys.values, allowed)
        queries = _of_level(self.self_attention, i)(queries, positions)
        updated: Tensor = _of_level(self.ffn_attention, i)(queries)
        return updated

    def _keys(self, i: int, level: Level) -> _Keys:
        scenes = level.scenes
        if self.training:
            scenes = [scene.sample(self._training_keys[i]) for scene in scenes]
        cross_attention = cast(CrossAttention, _of_level(self.cross_attention, i))
        memory = _of_level(self.lin_squeeze, i)(_padded(level.features, scenes))
        keys, values = cross_attention.keys_and_values(memory, _padded(level.positions, scenes))
        return _Keys(keys, values, _padded(level.mask_features, scenes), present(scenes, memory.device))

    @torch.no_grad()
    def _allowed(self, queries: Float[Tensor, "B Q C"], keys: _Keys) -> Bool[Tensor, "B Q K"]:
        """Voxels inside the mask of the moment; all voxels of the scene for a query whose mask is empty.

        The mean of mask logits over a voxel is the logit of the mean mask features, so that features were pooled once
        and no mask of full resolution is needed.
        """
        logits = self._mask_embeddings(queries) @ keys.mask_features.transpose(1, 2)
        allowed = (logits >= 0) & keys.present[:, None]
        empty = ~allowed.any(dim=2, keepdim=True)
        return allowed | (empty & keys.present[:, None])

    def _mask_embeddings(self, queries: Float[Tensor, "B Q C"]) -> Float[Tensor, "B Q C"]:
        embeddings: Tensor = self.mask_embed_head(self.decoder_norm(queries))
        return embeddings

    def _predict(self, queries: Float[Tensor, "B Q C"], mask_features: list[Float[Tensor, "_ C"]]) -> Prediction:
        class_logits = self.class_embed_head(self.decoder_norm(queries))
        return Prediction(class_logits, self._mask_embeddings(queries), mask_features)


def _of_level(shared: nn.ModuleList, i: int) -> nn.Module:
    """The module that all decoders use at level ``i``."""
    return cast(nn.ModuleList, shared[0])[i]


def _padded(values: Float[Tensor, "V D"], scenes: list[Scene]) -> Float[Tensor, "B K D"]:
    """Rows of each scene, those of smaller scenes followed by zeros."""
    if len(scenes) == 1:
        return scenes[0].of(values)[None]
    return pad_sequence([scene.of(values) for scene in scenes], batch_first=True)
