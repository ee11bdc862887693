"""Things that lie flat: magazines on a table, posters on a wall, mats on a floor.

They have no edge that a depth camera sees, only another colour. Colour is looked at on large flat surfaces alone: on
the objects themselves prints and shadows would split what belongs together.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Int32

from seg3d_core.baselines.flat_items_kernels import (
    colour_edges,
    count_facing,
    distances_of_means,
    mean_colours,
    opponent_colours,
    scatter_matrices,
    take_items_out,
    weights_around_items,
)
from seg3d_core.baselines.region_merging import merge_regions
from seg3d_core.config import GraphConfig
from seg3d_core.geometry.superpoints import SurfaceGraph, partition
from seg3d_core.types import IGNORE

_SURFACE_M2 = 0.25
"""A table top, a wall, a floor: smaller surfaces are objects."""

_FLAT_SHARE, _FLAT_COS = 0.8, 0.9
"""A surface is flat when so much of it faces within 26 degrees of its plane's normal."""

_MAX_ITEM_SHARE, _MAX_ITEM_M2 = 0.25, 0.25
"""More of a surface than this is the surface itself in another light."""

_COLOUR_K = 0.2
"""Scale of observation of the colour patches, as ``GraphConfig.k`` but in colour distance."""

_BRIGHTNESS_WEIGHT = 0.7
"""Shadows change brightness more than hue, so brightness counts less."""


def split_flat_items(
    graph: SurfaceGraph, regions: Int32[np.ndarray, " S"], config: GraphConfig
) -> tuple[SurfaceGraph, Int32[np.ndarray, " S"]]:
    """Regions, dense from 0, with the items on large flat ones taken out of them.

    The returned graph's weights hold the colour distance of the two sides where an edge crosses the border of an
    item, so that borders by colour and by shape can be read alike. Without colour nothing changes.
    """
    rgb = graph.surface.rgb
    if rgb is None or config.flat_item_contrast == 0:
        return graph, regions
    colours = opponent_colours(rgb, _BRIGHTNESS_WEIGHT)
    flat = _flat_surfaces(graph, regions)
    inside, a, b, steps = colour_edges(graph.a, graph.b, regions, flat, colours)
    patches = partition(replace(graph, a=a, b=b, weights=steps), _COLOUR_K, config.min_samples // 2)
    contrast = distances_of_means(mean_colours(colours, patches, _number(patches)), patches, a, b)
    joined = merge_regions(replace(graph, a=a, b=b, weights=contrast), patches, config.flat_item_contrast)
    labels = take_items_out(regions, _number(regions), joined, _is_item(graph, regions, joined, flat, config))
    means = mean_colours(colours, labels, _number(labels))
    weights = weights_around_items(graph.weights, inside, graph.a, graph.b, labels, means)
    return replace(graph, weights=weights), labels


def _number(labels: Int32[np.ndarray, " S"]) -> int:
    """Of dense labels."""
    return int(labels.max(initial=IGNORE)) + 1


def _flat_surfaces(graph: SurfaceGraph, regions: Int32[np.ndarray, " S"]) -> Bool[np.ndarray, " R"]:
    sizes = np.bincount(regions)
    flat = sizes * graph.surface.voxel_size_m**2 >= _SURFACE_M2
    across = np.linalg.eigh(scatter_matrices(graph.surface.points, regions, sizes))[1][:, :, 0]
    facing = count_facing(graph.normals, regions, across, _FLAT_COS)
    flat &= facing >= _FLAT_SHARE * sizes
    return flat


def _is_item(
    graph: SurfaceGraph,
    regions: Int32[np.ndarray, " S"],
    joined: Int32[np.ndarray, " S"],
    flat: Bool[np.ndarray, " R"],
    config: GraphConfig,
) -> Bool[np.ndarray, " J"]:
    """Which colour patches are items: on a flat surface, large enough to see, small against the surface."""
    sample_m2 = graph.surface.voxel_size_m**2
    areas, surfaces = np.bincount(joined) * sample_m2, np.bincount(regions) * sample_m2
    owner = np.zeros(len(areas), np.int64)
    owner[joined] = regions
    largest = np.minimum(_MAX_ITEM_M2, _MAX_ITEM_SHARE * surfaces[owner])
    fits: Bool[np.ndarray, " J"] = flat[owner] & (areas >= config.min_area_m2) & (areas <= largest)
    return fits
