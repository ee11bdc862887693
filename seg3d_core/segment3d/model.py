"""The network of Segment3D: coloured voxels in, class scores and masks of any number of queries out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from seg3d_core.config import Segment3DConfig
from seg3d_core.errors import InputError
from seg3d_core.segment3d.backbone import Res16UNet34C
from seg3d_core.segment3d.decoder import Level, MaskDecoder, Prediction
from seg3d_core.segment3d.queries import query_voxels
from seg3d_core.sparse.functional import average_pool
from seg3d_core.sparse.tensor import SparseTensor


@dataclass(frozen=True, eq=False)
class NetworkOutput:
    """What the network says about a batch of scenes.

    Attributes:
        prediction: the result.
        auxiliary: predictions before each decoder layer, first to last, for deep supervision; empty unless asked for.
        query_voxels: of each scene (Q,), the voxels (rows within the scene) on which the queries stand.
    """

    prediction: Prediction
    auxiliary: list[Prediction]
    query_voxels: list[Int64[Tensor, " Q"]]


class Segment3DNetwork(MaskDecoder):
    """Segment3D (arXiv 2312.17232, section 3.1); Mask3D without classes of objects.

    Released checkpoints name the parameters of the decoder beside the backbone: the network is a decoder that has a
    backbone. A released state dict without its prefix ``model.`` is one of this network.
    """

    def __init__(self, config: Segment3DConfig) -> None:
        super().__init__(config)
        self.config = config
        self.backbone = Res16UNet34C(config)

    def forward(
        self,
        x: SparseTensor,
        xyz: Float[Tensor, "N 3"],
        voxel_to_segment: Int64[Tensor, " M"] | None = None,
        num_queries: int | None = None,
        auxiliary: bool | None = None,
    ) -> NetworkOutput:
        """Instances of every scene; masks index its voxels in the order of the rows of ``x``, or its segments.

        Args:
            x: normalised colours of the voxels at stride 1; batch indices from 0, none left out.
            xyz: a point of each voxel, m, as precise as the parameters at least; its scale does not matter.
            voxel_to_segment: numbers of the segments of each scene, dense from 0: mask features are averaged over
                them, and masks consist of them (segment mode).
            num_queries: instead of the configured number.
            auxiliary: whether to keep the predictions on the way; by default in training only.

        Raises:
            InputError: ``x`` has no voxels, a scene of the batch has none, or a number of rows or segments is wrong.
        """
        scenes = _scenes(x, xyz)
        queries = [self._query_rows(x, rows, num_queries) for rows in scenes]
        *coarse, fine = self.backbone(x)
        mask_features = self.mask_features_head(fine).features
        on_voxels, targets = mask_features, [mask_features[rows] for rows in scenes]
        if voxel_to_segment is not None:
            on_voxels, targets = _segment_means(mask_features, scenes, voxel_to_segment)
        xyz = xyz.to(self.pos_enc.gauss_B.dtype)
        positions = self._query_positions(xyz, scenes, queries)
        levels = self._levels(coarse, x.replace(xyz), x.replace(on_voxels.detach()))
        keep = self.training if auxiliary is None else auxiliary
        *before, last = self.decode(levels, targets, positions, keep)
        return NetworkOutput(last, before, queries)

    def _query_rows(self, x: SparseTensor, rows: Int64[Tensor, " R"], num_queries: int | None) -> Int64[Tensor, " Q"]:
        count = self.config.num_queries if num_queries is None else num_queries
        return query_voxels(x.coordinates[rows, 1:], count, self.config.farthest_point_ties)

    def _query_positions(
        self, xyz: Float[Tensor, "V 3"], scenes: list[Int64[Tensor, " _"]], queries: list[Int64[Tensor, " Q"]]
    ) -> Float[Tensor, "B Q C"]:
        encoded = []
        for rows, chosen in zip(scenes, queries, strict=True):
            places = xyz[rows]
            encoded.append(self.pos_enc(places[chosen], places.amin(0), places.amax(0)))
        positions: Tensor = self.query_projection(torch.stack(encoded))
        return positions

    def _levels(self, coarse: list[SparseTensor], xyz: SparseTensor, mask_features: SparseTensor) -> list[Level]:
        """The levels below full resolution, coarsest first; places and mask features are means of means."""
        levels = []
        for features in reversed(coarse):
            xyz, mask_features = average_pool(xyz), average_pool(mask_features)
            scenes = _batch_rows(features)
            encoded = self._encoded(xyz.features, scenes)
            levels.append(Level(features.features, encoded, mask_features.features, scenes))
        return levels[::-1]

    def _encoded(self, xyz: Float[Tensor, "V 3"], scenes: list[Int64[Tensor, " _"]]) -> Float[Tensor, "V C"]:
        """Encoded places, each scene in its own box."""
        encoded = xyz.new_empty(len(xyz), self.config.hidden_dim)
        for rows in scenes:
            places = xyz[rows]
            encoded[rows] = self.pos_enc(places, places.amin(0), places.amax(0))
        return encoded


def _scenes(x: SparseTensor, xyz: Tensor) -> list[Int64[Tensor, " _"]]:
    """Rows of each scene of the batch."""
    if len(x) == 0:
        raise InputError("0 voxels, a scene needs at least 1")
    if len(xyz) != len(x):
        raise InputError(f"{len(xyz)} places for {len(x)} voxels")
    scenes = _batch_rows(x)
    empty = [i for i, rows in enumerate(scenes) if len(rows) == 0]
    if empty:
        raise InputError(f"scenes {empty} of a batch of {len(scenes)} have 0 voxels, each needs at least 1")
    return scenes


def _batch_rows(x: SparseTensor) -> list[Int64[Tensor, " _"]]:
    return x.batch_rows(int(x.coordinates[:, 0].max()) + 1)


def _segment_means(
    features: Float[Tensor, "V C"], scenes: list[Int64[Tensor, " _"]], voxel_to_segment: Int64[Tensor, " M"]
) -> tuple[Float[Tensor, "V C"], list[Float[Tensor, "_ C"]]]:
    """Features averaged over segments: on every voxel, and of the segments of each scene."""
    if len(voxel_to_segment) != len(features):
        raise InputError(f"{len(voxel_to_segment)} segment numbers for {len(features)} voxels")
    on_voxels, means = torch.empty_like(features), []
    for rows in scenes:
        segments = voxel_to_segment[rows]
        if int(segments.min()) < 0:
            raise InputError(f"segment number {int(segments.min())}, they count from 0")
        sizes = torch.bincount(segments)
        if not bool(sizes.all()):
            raise InputError(f"segment {int(sizes.argmin())} of {len(sizes)} has 0 voxels, each needs at least 1")
        totals = features.new_zeros(len(sizes), features.shape[1]).index_add(0, segments, features[rows])
        means.append(totals / sizes[:, None])
        on_voxels[rows] = means[-1][segments].detach()
    return on_voxels, means
