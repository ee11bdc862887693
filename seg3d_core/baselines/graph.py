"""Graph segmentation: instances from the bends of the surface alone, without any training."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int32, Int64

from seg3d_core.baselines.flat_items import split_flat_items
from seg3d_core.baselines.graph_kernels import mean_bends
from seg3d_core.baselines.region_merging import absorb_slivers, merge_regions
from seg3d_core.config import GraphConfig
from seg3d_core.geometry.superpoints import SurfaceGraph, sample_superpoints, surface_graph
from seg3d_core.types import IGNORE, Cloud, Instances

_HALF_SUPPORT_M2 = 0.007
"""Visible surface at which size alone halves the score."""


class GraphSegmenter:
    """Felzenszwalb & Huttenlocher's segmentation, made into objects.

    The surface is over-segmented into patches (``superpoints``), patches join along borders that bend little or
    outward (``region_merging``), what only colour sets apart on large flat surfaces is taken out (``flat_items``), and
    what shows enough surface is an instance: objects, and the floor, walls and table tops that they stand on.
    Instances do not overlap. Deterministic, and indifferent to the order of the points but for the rounding of voxel
    means. Not indifferent to where the cloud lies within the voxel grid: borders move with it by up to a voxel, and an
    ideal box with sharp edges comes apart into its faces in about one of five places.
    """

    def __init__(self, config: GraphConfig) -> None:
        self._config = config

    def segment(self, cloud: Cloud) -> Instances:
        """Instances of ``cloud``, best score first, ids 1..Q; none at all if nothing shows enough surface.

        Scores are border contrast times support. Contrast is b / (b + i), with i the mean bend inside and b the mean
        bend across the border to neighbours: colour difference around a flat item, 1 (a right angle) where nothing
        touches. Support is a / (a + 0.007 m2), with a the visible surface.

        Raises:
            InputError: fewer points than ``neighbours`` + 1, or points out of reach of voxel numbers.
        """
        graph = surface_graph(cloud, self._config)
        patches = sample_superpoints(graph, self._config)
        objects = absorb_slivers(graph, merge_regions(graph, patches, self._config.max_border_bend))
        graph, regions = split_flat_items(graph, objects, self._config)
        areas = np.bincount(regions) * graph.surface.voxel_size_m**2
        scores = _contrast(graph, regions) * areas / (areas + _HALF_SUPPORT_M2)
        ranked = _ranking(areas, scores, self._config)
        label = np.full(len(areas), IGNORE, np.int32)
        label[ranked] = np.arange(len(ranked), dtype=np.int32)
        labels = np.take(np.take(label, regions), graph.surface.point_to_sample)
        return Instances.from_labels(cloud, labels, scores[ranked].astype(np.float32))


def _contrast(graph: SurfaceGraph, regions: Int32[np.ndarray, " S"]) -> Float64[np.ndarray, " R"]:
    """Share (0..1) of each region's border bend in the sum of its border and interior bends."""
    count = int(regions.max(initial=IGNORE)) + 1
    interior, border = mean_bends(regions, count, graph.a, graph.b, graph.weights)
    total = border + interior
    contrast: Float64[np.ndarray, " R"] = border / np.where(total > 0, total, 1.0)
    return contrast


def _ranking(
    areas: Float64[np.ndarray, " R"], scores: Float64[np.ndarray, " R"], config: GraphConfig
) -> Int64[np.ndarray, " Q"]:
    """Regions that become instances, best score first: at most ``max_instances``, the largest ones."""
    large = np.argsort(-areas, kind="stable")[: config.max_instances]
    large = large[areas[large] >= config.min_area_m2]
    return large[np.argsort(-scores[large], kind="stable")]
