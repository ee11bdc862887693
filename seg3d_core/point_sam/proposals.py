"""Segment everything (paper, section 5.2): clicks all over a cloud, three masks each, and the best of them kept."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Bool, Float32

from seg3d_core.config import TilingConfig
from seg3d_core.geometry.voxels import voxelize
from seg3d_core.point_ops.sampling import farthest_points
from seg3d_core.point_sam.patches import FEWEST_PATCHES
from seg3d_core.point_sam.predictor import EncodedScene, PointSam, require_usable, stability_of
from seg3d_core.point_sam_config import PointSamProposalsConfig
from seg3d_core.segment3d.proposals import Proposals
from seg3d_core.segment3d.suppression import suppressed
from seg3d_core.segment3d.tiling import TileProposals, merge_tiles, split_tiles
from seg3d_core.stages import stage
from seg3d_core.types import Cloud, Instances

Progress = Callable[[int, int], object]
"""Told how many tiles are done, and of how many."""


class PointSamProposals:
    """A ``Segmenter`` that clicks everywhere. Deterministic on the CPU.

    Of the masks of all clicks those are kept that the network thinks well of and whose size does not depend on the
    threshold; of masks that overlap, the one with the greater predicted IoU. Instances of different size may lie in
    each other: a drawer in its cabinet.

    Args:
        sam: used for its network and settings.
        config: see ``PointSamProposalsConfig``.
    """

    def __init__(self, sam: PointSam, config: PointSamProposalsConfig | None = None) -> None:
        self.config = config or PointSamProposalsConfig.build({})
        self._sam = sam
        self._tiling = TilingConfig.build({"max_voxels": self.config.tile_voxels, "overlap_m": self.config.overlap_m})
        self.description = f"proposals of {sam.description}"

    def segment(self, cloud: Cloud, progress: Progress | None = None) -> Instances:
        """Instances of ``cloud``, best score first, ids 1..Q; none is a valid result. Scores are predicted IoUs.

        Raises:
            InputError: fewer than 3 points, colours outside 0..1, coordinates out of reach of voxel numbers, or so
                many voxels together that they do not fit into a tile.
        """
        require_usable(cloud)
        with stage("voxelize"):
            voxels = voxelize(cloud.points, self.config.voxel_size_m)
            rgb = None if cloud.rgb is None else cloud.rgb[voxels.first_point]
            seen = Cloud(cloud.points[voxels.first_point], rgb, known_finite=True)
        tiles = []
        split = split_tiles(seen.points, self._tiling)
        for rows in split:
            tiles.append(TileProposals(rows, self._tile(seen.select(rows))))
            if progress is not None:
                progress(len(tiles), len(split))
        with stage("postprocess"):
            found = tiles[0].proposals if len(tiles) == 1 else merge_tiles(tiles, len(seen), self._tiling.join_iou)
            found = suppressed(found, self.config.max_iou)
            found = found.select(np.arange(min(len(found), self.config.max_instances)))
            found = found.on_points(voxels.point_to_voxel)
        return Instances(cloud, found.masks, found.scores, np.arange(1, len(found) + 1, dtype=np.int32))

    def _tile(self, tile: Cloud) -> Proposals:
        """What is found in a cloud that the network can see at once, without duplicates, best first."""
        if len(tile) < FEWEST_PATCHES:
            return Proposals.from_masks(np.zeros((0, len(tile)), np.bool_), np.zeros(0, np.float32))
        scene = self._sam.encode(tile)
        clicks = tile.points[farthest_points(torch.from_numpy(tile.points), min(self.config.clicks, len(tile))).numpy()]
        batches = np.array_split(clicks, -(-len(clicks) // self.config.clicks_at_once))
        found = [self._answers(scene, batch) for batch in batches]
        masks, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
        best_first = np.argsort(-scores, kind="stable")
        return suppressed(Proposals.from_masks(masks[best_first], scores[best_first]), self.config.max_iou)

    def _answers(
        self, scene: EncodedScene, clicks: Float32[np.ndarray, "M 3"]
    ) -> tuple[Bool[np.ndarray, "F N"], Float32[np.ndarray, " F"]]:
        """Masks worth keeping of these clicks, and their predicted IoUs."""
        answer = self._sam.answer_each(scene, clicks)
        logits, ious = answer.mask_logits[0].flatten(0, 1), answer.iou_predictions[0].flatten()
        sizes, stability = (logits > 0).sum(dim=1), stability_of(logits)
        least, most = self.config.min_voxels, self.config.max_share * logits.shape[1]
        good = (ious > self.config.min_iou) & (stability > self.config.min_stability)
        good &= (sizes >= least) & (sizes <= most)
        return (logits[good] > 0).cpu().numpy(), ious[good].float().clamp(0, 1).cpu().numpy()
