"""Which regions an image of known objects falls into, the way segment-anything sees them: not always the objects."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, Int64
from scipy.ndimage import uniform_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from seg3d_core.labelling.regions import Borders, borders, connected_pieces, renumbered
from seg3d_core.labelling.truth_settings import TruthMasksConfig
from seg3d_core.types import IGNORE

_MOST_CUTS = 4
"""A region is cut into 2 to this many."""

_SHADE_WEIGHT = 3.0
"""Of a difference in shade (0..1) against a way as long as the region is wide, in where a region is cut."""

_SHADE_PX = 9
"""Width of the square over which shades are averaged: cuts should be smooth."""

_LEAST_TOUCHING = 0.5
"""Regions touch if they meet in space along this share of their border."""

_LEAST_BORDER_PX = 8


def objects_and_parts(
    instance: Int32[np.ndarray, "H W"],
    part: Int32[np.ndarray, "H W"] | None,
    config: TruthMasksConfig,
    rng: np.random.Generator,
) -> Int32[np.ndarray, "H W"]:
    """Dense number of the object at each pixel, or of its part where an object comes apart; ``IGNORE`` where none is.

    ``instance`` and ``part`` are positive ids, ``IGNORE`` for none; what has no part is a part of its own.
    """
    objects, ids = renumbered(instance)
    if part is None or not len(ids):
        return objects
    parts, part_ids = renumbered(np.maximum(part, 0))
    fragments, fragment_of = renumbered(np.where(objects >= 0, objects * np.int32(len(part_ids)) + parts, IGNORE))
    areas = np.bincount(fragments.ravel() + 1, minlength=len(fragment_of) + 1)[1:]
    group = _groups(fragment_of // len(part_ids), areas, config, rng)
    grouped = np.append(group, IGNORE).astype(np.int32)[fragments]
    return renumbered(grouped)[0]


def _groups(
    owner: Int64[np.ndarray, " F"], areas: Int64[np.ndarray, " F"], config: TruthMasksConfig, rng: np.random.Generator
) -> Int64[np.ndarray, " F"]:
    """Group of every fragment (a part of an object), drawn for each object: all in one, one apart, or each for itself.

    ``owner`` is the object of each fragment, ascending.
    """
    group = owner.copy()
    free = len(owner) + int(owner.max(initial=0)) + 1
    for one in np.unique(owner):
        own = np.flatnonzero(owner == one)
        chance = rng.random()
        if len(own) > 1 and chance < config.split_share:
            group[own] = free + own
        elif len(own) > 1 and chance < config.split_share + config.part_share:
            apart = rng.choice(own, p=areas[own] / areas[own].sum())
            group[apart] = free + apart
    return group


def scattered(
    labels: Int32[np.ndarray, "H W"], config: TruthMasksConfig, rng: np.random.Generator
) -> Int32[np.ndarray, "H W"]:
    """Of some labels every connected piece becomes a region of its own."""
    pieces, label_of = connected_pieces(labels)
    count = int(label_of.max(initial=IGNORE)) + 1
    is_scattered = rng.random(count) < config.scatter_share
    new = np.where(is_scattered[label_of], count + np.arange(len(label_of)), label_of)
    return renumbered(np.append(new, IGNORE).astype(np.int32)[pieces])[0]


def cut(
    regions: Int32[np.ndarray, "H W"],
    rgb: Float32[np.ndarray, "H W 3"] | None,
    config: TruthMasksConfig,
    rng: np.random.Generator,
) -> Int32[np.ndarray, "H W"]:
    """Some large regions fall into 2 to 4: around pixels drawn from them, near in place and in shade."""
    areas = np.bincount(regions.ravel() + 1)[1:]
    chosen = np.flatnonzero((areas >= config.cut_from_px) & (rng.random(len(areas)) < config.cut_share))
    if not len(chosen):
        return regions
    shade = np.zeros(regions.shape, np.float32) if rgb is None else uniform_filter(rgb.mean(axis=2), _SHADE_PX)
    result, free = regions.copy(), len(areas)
    for one in chosen:
        rows, columns = np.nonzero(regions == one)
        width_px = np.sqrt(len(rows))
        features = np.stack([rows / width_px, columns / width_px, _SHADE_WEIGHT * shade[rows, columns]], axis=1)
        nearest = _nearest_seed(features, int(rng.integers(2, _MOST_CUTS + 1)), rng)
        result[rows, columns] = np.where(nearest == 0, one, free + nearest)
        free += _MOST_CUTS
    return renumbered(result)[0]


def _nearest_seed(
    features: Float64[np.ndarray, "N F"], count: int, rng: np.random.Generator
) -> Int64[np.ndarray, " N"]:
    seeds = features[rng.choice(len(features), count, replace=False)]
    distances = [np.square(features - seed).sum(axis=1) for seed in seeds]
    nearest: Int64[np.ndarray, " N"] = np.argmin(distances, axis=0)
    return nearest


def merged(
    regions: Int32[np.ndarray, "H W"],
    rgb: Float32[np.ndarray, "H W 3"] | None,
    depth_m: Float32[np.ndarray, "H W"],
    config: TruthMasksConfig,
    rng: np.random.Generator,
) -> Int32[np.ndarray, "H W"]:
    """Some regions that touch in space, and hardly differ in colour, become one."""
    count = int(regions.max(initial=IGNORE)) + 1
    if config.merge_share == 0 or count < 2:
        return regions
    found = borders(regions, depth_m, config.touch_m)
    chance = config.merge_share * np.exp(-_contrast(found, regions, rgb) / config.merge_contrast)
    joined = (found.touching >= _LEAST_TOUCHING) & (found.length_px >= _LEAST_BORDER_PX)
    joined &= rng.random(len(chance)) < chance
    graph = coo_array((joined[joined], (found.first[joined], found.second[joined])), (count, count))
    return _relabelled(regions, connected_components(graph, directed=False)[1])


def _contrast(
    found: Borders, regions: Int32[np.ndarray, "H W"], rgb: Float32[np.ndarray, "H W 3"] | None
) -> Float64[np.ndarray, " P"]:
    """Distance of the mean colours (0..1 per channel) of each pair; 0 in images without colour."""
    if rgb is None:
        return np.zeros(len(found.first))
    flat = regions.ravel() + 1
    areas = np.bincount(flat)
    sums = [np.bincount(flat, rgb[:, :, channel].ravel()) for channel in range(3)]
    means = (np.stack(sums, axis=1) / np.maximum(areas, 1)[:, None])[1:]
    distance: Float64[np.ndarray, " P"] = np.linalg.norm(means[found.first] - means[found.second], axis=1)
    return distance


def kept(regions: Int32[np.ndarray, "H W"], keep: Bool[np.ndarray, " R"]) -> Int32[np.ndarray, "H W"]:
    """The regions without those that are not to be kept; numbers stay."""
    return _relabelled(regions, np.where(keep, np.arange(len(keep)), IGNORE))


def _relabelled(regions: Int32[np.ndarray, "H W"], new: np.ndarray) -> Int32[np.ndarray, "H W"]:
    relabelled: Int32[np.ndarray, "H W"] = np.append(new, IGNORE).astype(np.int32)[regions]
    return relabelled
