"""Graph segmentation after the surface graph in numpy and plain Python, to compare with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from plain_region_merging import absorb_slivers, merge_regions

from seg3d_core.baselines.graph import _HALF_SUPPORT_M2, _ranking
from seg3d_core.config import GraphConfig
from seg3d_core.geometry.superpoints import SurfaceGraph, partition, sample_superpoints, surface_graph
from seg3d_core.types import Cloud

SURFACE_M2, FLAT_SHARE, FLAT_COS, COLOUR_K, BRIGHTNESS_WEIGHT = 0.25, 0.8, 0.9, 0.2, 0.7
MAX_ITEM_SHARE, MAX_ITEM_M2 = 0.25, 0.25


def segment(cloud: Cloud, config: GraphConfig) -> tuple[np.ndarray, np.ndarray]:
    """(N,) label of each point and (Q,) scores, as ``GraphSegmenter`` finds them."""
    return objects_of(surface_graph(cloud, config), config)


def objects_of(graph: SurfaceGraph, config: GraphConfig) -> tuple[np.ndarray, np.ndarray]:
    patches = sample_superpoints(graph, config)
    objects = absorb_slivers(graph, merge_regions(graph, patches, config.max_border_bend))
    graph, regions = split_flat_items(graph, objects, config)
    areas = np.bincount(regions) * graph.surface.voxel_size_m**2
    scores = contrast(graph, regions) * areas / (areas + _HALF_SUPPORT_M2)
    ranked = _ranking(areas, scores, config)
    label = np.full(len(areas), -1, np.int32)
    label[ranked] = np.arange(len(ranked), dtype=np.int32)
    return label[regions][graph.surface.point_to_sample], scores[ranked].astype(np.float32)


def split_flat_items(graph: SurfaceGraph, regions: np.ndarray, config: GraphConfig) -> tuple[SurfaceGraph, np.ndarray]:
    """Regions, dense from 0, with the items on large flat ones taken out of them.

    The returned graph's weights hold the colour distance of the two sides where an edge crosses the border of an
    item, so that borders by colour and by shape can be read alike. Without colour nothing changes.
    """
    rgb = graph.surface.rgb
    if rgb is None or config.flat_item_contrast == 0:
        return graph, regions
    colour = opponent(rgb)
    flat = flat_surfaces(graph, regions)
    inside = (regions[graph.a] == regions[graph.b]) & flat[regions[graph.a]]
    a, b = graph.a[inside], graph.b[inside]
    steps = np.linalg.norm(colour[a] - colour[b], axis=1).astype(np.float32)
    patches = partition(replace(graph, a=a, b=b, weights=steps), COLOUR_K, config.min_samples // 2)
    contrast = distance_of_means(colour, patches, a, b)
    joined = merge_regions(replace(graph, a=a, b=b, weights=contrast), patches, config.flat_item_contrast)
    item = is_item(graph, regions, joined, flat, config)[joined]
    labels = np.where(item, regions.max(initial=-1) + 1 + joined, regions)
    labels = np.unique(labels, return_inverse=True)[1].astype(np.int32)
    weights = graph.weights.copy()
    crossing = inside & (labels[graph.a] != labels[graph.b])
    weights[crossing] = distance_of_means(colour, labels, graph.a[crossing], graph.b[crossing])
    return replace(graph, weights=weights), labels


def opponent(rgb: np.ndarray) -> np.ndarray:
    """Brightness, red against green, yellow against blue."""
    red, green, blue = rgb.astype(np.float64).T
    brightness = BRIGHTNESS_WEIGHT * (red + green + blue) / 3
    return np.stack([brightness, red - green, (red + green) / 2 - blue], axis=1)


def flat_surfaces(graph: SurfaceGraph, regions: np.ndarray) -> np.ndarray:
    areas = np.bincount(regions) * graph.surface.voxel_size_m**2
    flat = np.zeros(len(areas), bool)
    for region in np.flatnonzero(areas >= SURFACE_M2):
        members = regions == region
        centred = graph.surface.points[members].astype(np.float64)
        centred -= centred.mean(0)
        normal = np.linalg.eigh(centred.T @ centred)[1][:, 0]
        flat[region] = (np.abs(graph.normals[members] @ normal) > FLAT_COS).mean() >= FLAT_SHARE
    return flat


def distance_of_means(
    colour: np.ndarray,
    labels: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
) -> np.ndarray:
    """Distance between the mean colours of the labels at both ends."""
    counts = np.maximum(np.bincount(labels), 1)
    means = np.stack([np.bincount(labels, channel) / counts for channel in colour.T], axis=1)
    distances: np.ndarray = np.linalg.norm(means[labels[a]] - means[labels[b]], axis=1).astype(np.float32)
    return distances


def is_item(
    graph: SurfaceGraph,
    regions: np.ndarray,
    joined: np.ndarray,
    flat: np.ndarray,
    config: GraphConfig,
) -> np.ndarray:
    """Which colour patches are items: on a flat surface, large enough to see, small against the surface."""
    sample_m2 = graph.surface.voxel_size_m**2
    areas, surfaces = np.bincount(joined) * sample_m2, np.bincount(regions) * sample_m2
    owner = np.zeros(len(areas), np.int64)
    owner[joined] = regions
    largest = np.minimum(MAX_ITEM_M2, MAX_ITEM_SHARE * surfaces[owner])
    fits: np.ndarray = flat[owner] & (areas >= config.min_area_m2) & (areas <= largest)
    return fits


def contrast(graph: SurfaceGraph, regions: np.ndarray) -> np.ndarray:
    """Share (0..1) of each region's border bend in the sum of its border and interior bends."""
    count = int(regions.max(initial=-1)) + 1
    x, y = regions[graph.a], regions[graph.b]
    inner = x == y
    interior = mean(x[inner], graph.weights[inner], count, empty=0.0)
    crossing = np.concatenate([x[~inner], y[~inner]])
    border = mean(crossing, np.tile(graph.weights[~inner], 2), count, empty=1.0)
    total = border + interior
    return border / np.where(total > 0, total, 1.0)


def mean(groups: np.ndarray, values: np.ndarray, count: int, empty: float) -> np.ndarray:
    sums, numbers = np.bincount(groups, values, count), np.bincount(groups, minlength=count)
    return np.where(numbers > 0, sums / np.maximum(numbers, 1), empty)
