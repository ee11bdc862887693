"""The network of Segment3D: coloured voxels in, class scores and masks of any number of queries out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from seg3d_core.segment3d.backbone import Res16UNet34C
from seg3d_core.segment3d.decoder import Level, MaskDecoder, Prediction
from seg3d_core.segment3d.layout import Layout, Scene, Segments, lay_out
from seg3d_core.segment3d_config import Segment3DConfig
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


class SceneDecoder(MaskDecoder):
    """All of Segment3D behind its backbone."""

    def __init__(self, config: Segment3DConfig) -> None:
        super().__init__(config)
        self.config = config

    def predict(
        self, layout: Layout, levels: list[SparseTensor], xyz: Float[Tensor, "N 3"], auxiliary: bool
    ) -> NetworkOutput:
        """Instances of every scene of ``layout`` from the features of the levels, coarsest first."""
        *coarse, fine = levels
        mask_features = self.mask_features_head(fine).features
        on_voxels, targets = mask_features, [scene.of(mask_features) for scene in layout.levels[0]]
        if layout.segments is not None:
            on_voxels, targets = _segment_means(mask_features, layout.levels[0], layout.segments)
        xyz = xyz.to(self.pos_enc.gauss_B.dtype)
        positions = self._query_positions(xyz, layout)
        content = self._query_content(mask_features, layout)
        looked_at = self._levels(layout, coarse, fine.replace(xyz), fine.replace(on_voxels.detach()))
        *before, last = self.decode(looked_at, targets, positions, content, auxiliary)
        return NetworkOutput(last, before, layout.query_voxels)

    def _query_positions(self, xyz: Float[Tensor, "V 3"], layout: Layout) -> Float[Tensor, "B Q C"]:
        encoded = []
        for scene, chosen in zip(layout.levels[0], layout.query_voxels, strict=True):
            places = scene.of(xyz)
            encoded.append(self.pos_enc(places[chosen], places.amin(0), places.amax(0)))
        positions: Tensor = self.query_projection(torch.stack(encoded))
        return positions

    def _query_content(self, mask_features: Float[Tensor, "V C"], layout: Layout) -> Float[Tensor, "B Q C"]:
        """What the queries start as: nothing, or what is seen where they stand."""
        scenes = zip(layout.levels[0], layout.query_voxels, strict=True)
        content = torch.stack([scene.of(mask_features)[chosen] for scene, chosen in scenes])
        return content if self.config.query_content == "mask_features" else torch.zeros_like(content)

    def _levels(
        self, layout: Layout, coarse: list[SparseTensor], xyz: SparseTensor, mask_features: SparseTensor
    ) -> list[Level]:
        """The levels below full resolution, coarsest first; places and mask features are means of means."""
        levels = []
        for features, scenes in zip(reversed(coarse), layout.levels[1:], strict=True):
            xyz, mask_features = average_pool(xyz), average_pool(mask_features)
            encoded = self._encoded(xyz.features, scenes)
            levels.append(Level(features.features, encoded, mask_features.features, scenes))
        return levels[::-1]

    def _encoded(self, xyz: Float[Tensor, "V 3"], scenes: list[Scene]) -> Float[Tensor, "V C"]:
        """Encoded places, each scene in its own box."""
        encoded = xyz.new_empty(len(xyz), self.config.hidden_dim)
        for scene in scenes:
            places = scene.of(xyz)
            encoded[scene.rows] = self.pos_enc(places, places.amin(0), places.amax(0))
        return encoded


class Segment3DNetwork(SceneDecoder):
    """Segment3D (arXiv 2312.17232, section 3.1); Mask3D without classes of objects.

    Released checkpoints name the parameters of the decoder beside the backbone: the network is a decoder that has a
    backbone. A released state dict without its prefix ``model.`` is one of this network.
    """

    def __init__(self, config: Segment3DConfig) -> None:
        super().__init__(config)
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
        layout = lay_out(x, xyz, self.config, voxel_to_segment, num_queries)
        keep = self.training if auxiliary is None else auxiliary
        return self.predict(layout, self.backbone(x), xyz, keep)


def _segment_means(
    features: Float[Tensor, "V C"], scenes: list[Scene], segments: Segments
) -> tuple[Float[Tensor, "V C"], list[Float[Tensor, "_ C"]]]:
    """Features averaged over segments: on every voxel, and of the segments of each scene."""
    on_voxels, means = torch.empty_like(features), []
    for scene, numbers, sizes in zip(scenes, segments.numbers, segments.sizes, strict=True):
        totals = features.new_zeros(len(sizes), features.shape[1]).index_add(0, numbers, scene.of(features))
        means.append(totals / sizes[:, None])
        on_voxels[scene.rows] = means[-1][numbers].detach()
    return on_voxels, means
