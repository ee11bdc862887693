"""Things that lie flat: magazines on a table, posters on a wall, mats on a floor.

They have no edge that a depth camera sees, only another colour. Colour is looked at on large flat surfaces alone: on
the objects themselves prints and shadows would split what belongs together.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32

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
    colour = _opponent(rgb)
    flat = _flat_surfaces(graph, regions)
    inside = (regions[graph.a] == regions[graph.b]) & flat[regions[graph.a]]
    a, b = graph.a[inside], graph.b[inside]
    steps = np.linalg.norm(colour[a] - colour[b], axis=1).astype(np.float32)
    patches = partition(replace(graph, a=a, b=b, weights=steps), _COLOUR_K, config.min_samples // 2)
    contrast = _distance_of_means(colour, patches, a, b)
    joined = merge_regions(replace(graph, a=a, b=b, weights=contrast), patches, config.flat_item_contrast)
    item = _is_item(graph, regions, joined, flat, config)[joined]
    labels = np.where(item, regions.max(initial=IGNORE) + 1 + joined, regions)
    labels = np.unique(labels, return_inverse=True)[1].astype(np.int32)
    weights = graph.weights.copy()
    crossing = inside & (labels[graph.a] != labels[graph.b])
    weights[crossing] = _distance_of_means(colour, labels, graph.a[crossing], graph.b[crossing])
    return replace(graph, weights=weights), labels


def _opponent(rgb: Float32[np.ndarray, "S 3"]) -> Float64[np.ndarray, "S 3"]:
    """Brightness, red against green, yellow against blue."""
    red, green, blue = rgb.astype(np.float64).T
    brightness = _BRIGHTNESS_WEIGHT * (red + green + blue) / 3
    return np.stack([brightness, red - green, (red + green) / 2 - blue], axis=1)


def _flat_surfaces(graph: SurfaceGraph, regions: Int32[np.ndarray, " S"]) -> Bool[np.ndarray, " R"]:
    areas = np.bincount(regions) * graph.surface.voxel_size_m**2
    flat = np.zeros(len(areas), bool)
    for region in np.flatnonzero(areas >= _SURFACE_M2):
        members = regions == region
        centred = graph.surface.points[members].astype(np.float64)
        centred -= centred.mean(0)
        normal = np.linalg.eigh(centred.T @ centred)[1][:, 0]
        flat[region] = (np.abs(graph.normals[members] @ normal) > _FLAT_COS).mean() >= _FLAT_SHARE
    return flat


def _distance_of_means(
    colour: Float64[np.ndarray, "S 3"],
    labels: Int32[np.ndarray, " S"],
    a: Int32[np.ndarray, " E"],
    b: Int32[np.ndarray, " E"],
) -> Float32[np.ndarray, " E"]:
    """Distance between the mean colours of the labels at both ends."""
    counts = np.maximum(np.bincount(labels), 1)
    means = np.stack([np.bincount(labels, channel) / counts for channel in colour.T], axis=1)
    distances: Float32[np.ndarray, " E"] = np.linalg.norm(means[labels[a]] - means[labels[b]], axis=1).astype(
        np.float32
    )
    return distances


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
