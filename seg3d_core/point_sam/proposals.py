"""Segment everything (paper, section 5.2): clicks all over a cloud, three masks each, and the best of them kept."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from seg3d_core.geometry.voxels import voxelize
from seg3d_core.point_sam.clicks_everywhere import propose_masks
from seg3d_core.point_sam.predictor import PointSam, require_usable
from seg3d_core.point_sam_config import PointSamProposalsConfig
from seg3d_core.segment3d.suppression import suppressed
from seg3d_core.segment3d.tiling import TileProposals, merge_tiles, split_tiles
from seg3d_core.segment3d_config import TilingConfig
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
            tiles.append(TileProposals(rows, propose_masks(self._sam, seen.select(rows), self.config)))
            if progress is not None:
                progress(len(tiles), len(split))
        with stage("postprocess"):
            found = tiles[0].proposals if len(tiles) == 1 else merge_tiles(tiles, len(seen), self._tiling.join_iou)
            found = suppressed(found, self.config.max_iou)
            found = found.select(np.arange(min(len(found), self.config.max_instances)))
            found = found.on_points(voxels.point_to_voxel)
        return Instances(cloud, found.masks, found.scores, np.arange(1, len(found) + 1, dtype=np.int32))
