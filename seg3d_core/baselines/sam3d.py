"""SAM3D: instances of a scene from 2-D masks of its frames, merged pair by pair, without any training.

Yang et al., "SAM3D: Segment Anything in 3D Scenes" (arXiv 2306.03908), its method section, step by step, with the
numbers of the released code where the paper has none: masks are lifted with depth and thinned to one point a voxel;
clouds of neighbouring frames are merged (bidirectional merging), then clouds of neighbouring pairs, and so on
(bottom-up merging), and the last one is brought to the scene's cloud, on which superpoints may correct it (ensemble
with an over-segmentation). Any 2-D masks will do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int32, Int64
from scipy.spatial import cKDTree

from seg3d_core.baselines.mask_overlaps import best_overlaps, compacted, group_sizes, without_small
from seg3d_core.config import GraphConfig
from seg3d_core.errors import InputError
from seg3d_core.evaluation_config import Sam3dConfig
from seg3d_core.geometry.backprojection import backproject
from seg3d_core.geometry.superpoints import cloud_superpoints
from seg3d_core.geometry.voxels import voxelize
from seg3d_core.types import IGNORE, Cloud, Instances, RgbdFrame


@dataclass(frozen=True, eq=False)
class MaskedFrame:
    """A frame and its 2-D masks.

    Attributes:
        frame: posed.
        mask_ids: (H, W) number of the mask at each pixel, any numbers from 0; ``IGNORE`` for none.

    Raises:
        InputError: the frame has no pose, or ids and depth are of different sizes.
    """

    frame: RgbdFrame
    mask_ids: Int32[np.ndarray, "H W"]

    def __post_init__(self) -> None:
        if self.frame.T_world_camera is None:
            raise InputError("a frame without a pose: its masks cannot be merged with others")
        if self.mask_ids.shape != self.frame.depth_m.shape:
            raise InputError(f"masks are {self.mask_ids.shape}, depth is {self.frame.depth_m.shape}, rows and columns")


@dataclass(frozen=True, eq=False)
class MaskedPoints:
    """Points, at most one a voxel, and the mask that each is in.

    Attributes:
        points: (P, 3) metres, world.
        labels: (P,) dense from 0, ``IGNORE`` for none.
    """

    points: Float32[np.ndarray, "P 3"]
    labels: Int32[np.ndarray, " P"]


def merge_masks(frames: Iterable[MaskedFrame], cloud: Cloud, config: Sam3dConfig) -> Instances:
    """Instances of ``cloud`` from the 2-D masks of the frames it was made from; largest first, all of score 1.

    Frames are read one after the other; no more than a logarithm of them is kept.

    Args:
        frames: in the order of time.
        cloud: of the scene, in the world frame of the poses.
        config: see ``Sam3dConfig``.

    Raises:
        InputError: no frame has a return, or as ``backproject``, ``voxelize`` and ``cloud_superpoints``.
    """
    whole = without_small_masks(_merged_tree(frames, config), config.min_voxels)
    labels = on_cloud(whole, cloud, config.cloud_reach_m)
    if config.smoothing != "none":
        superpoints = cloud_superpoints(cloud, GraphConfig.build({}))
        if config.smoothing == "ensemble":
            labels = ensemble(labels, superpoints, config.min_overlap)
        else:
            labels = majority(labels, superpoints)
    return Instances.from_labels(cloud, _largest_first(labels))


def lift(masked: MaskedFrame, voxel_size_m: float) -> MaskedPoints:
    """The first pixel with depth in every voxel, with its mask.

    Raises:
        InputError: as ``backproject`` and ``voxelize``.
    """
    seen = backproject(masked.frame, 0.0, float("inf"))
    assert seen.source_index is not None
    chosen = voxelize(seen.points, voxel_size_m).first_point
    labels = masked.mask_ids.reshape(-1)[seen.source_index[chosen]]
    return MaskedPoints(seen.points[chosen], compacted(labels))


def merged(a: MaskedPoints, b: MaskedPoints, config: Sam3dConfig) -> MaskedPoints:
    """Bidirectional merging: masks of ``b`` that overlap one of ``a`` take its id, then those of ``a`` one of ``b``'s.

    Points without a mask take that of the nearest point of the other cloud. A voxel of both keeps the point of ``a``.
    """
    a, b = without_small_masks(a, config.min_voxels), without_small_masks(b, config.min_voxels)
    reach_m = config.reach_voxels * config.voxel_size_m
    b = MaskedPoints(b.points, _taken_over(b, a, reach_m, config.min_overlap))
    a = MaskedPoints(a.points, _taken_over(a, b, reach_m, config.min_overlap))
    points, labels = np.concatenate([a.points, b.points]), np.concatenate([a.labels, b.labels])
    chosen = voxelize(points, config.voxel_size_m).first_point
    return MaskedPoints(points[chosen], compacted(labels[chosen]))


def without_small_masks(masked: MaskedPoints, min_voxels: int) -> MaskedPoints:
    """Masks of fewer points are none."""
    return MaskedPoints(masked.points, without_small(masked.labels, min_voxels))


def on_cloud(masked: MaskedPoints, cloud: Cloud, reach_m: float) -> Int32[np.ndarray, " N"]:
    """Mask of the nearest point for every point of ``cloud``; ``IGNORE`` beyond ``reach_m``."""
    if len(masked.points) == 0:
        return np.full(len(cloud), IGNORE, np.int32)
    rows = _nearest(masked.points, cloud.points, reach_m)
    return np.asarray(np.append(masked.labels, np.int32(IGNORE))[rows])


def ensemble(
    labels: Int32[np.ndarray, " N"], superpoints: Int32[np.ndarray, " N"], min_overlap: float
) -> Int32[np.ndarray, " N"]:
    """Superpoints join the mask that they overlap most, by the rule of merging; the others are masks themselves."""
    names = best_overlaps(superpoints, labels, group_sizes(labels), min_overlap)
    free = np.int32(labels.max(initial=IGNORE) + 1)
    names = np.where(names >= 0, names, free + np.arange(len(names), dtype=np.int32))
    return np.asarray(names[superpoints], np.int32)


def majority(labels: Int32[np.ndarray, " N"], superpoints: Int32[np.ndarray, " N"]) -> Int32[np.ndarray, " N"]:
    """Superpoints are in the mask that has more than half of their points, or in none."""
    sizes = group_sizes(superpoints)
    most = best_overlaps(superpoints, labels, group_sizes(labels), min_overlap=0.0)
    agreeing = np.bincount(superpoints[(labels == most[superpoints]) & (labels >= 0)], minlength=len(sizes))
    return np.asarray(np.where(2 * agreeing > sizes, most, IGNORE)[superpoints], np.int32)


def _merged_tree(frames: Iterable[MaskedFrame], config: Sam3dConfig) -> MaskedPoints:
    """Pairs of frames, pairs of pairs, ...; an odd one out waits for its partner in the round after.

    Kept as the digits of a binary counter: two of a height become one of the next at once.
    """
    waiting: list[tuple[int, MaskedPoints]] = []
    for frame in frames:
        lifted, height = lift(frame, config.voxel_size_m), 0
        if len(lifted.points) == 0:
            continue
        while waiting and waiting[-1][0] == height:
            lifted, height = merged(waiting.pop()[1], lifted, config), height + 1
        waiting.append((height, lifted))
    if not waiting:
        raise InputError("none of the frames has a return: there are no masks to merge")
    whole = waiting.pop()[1]
    while waiting:
        whole = merged(waiting.pop()[1], whole, config)
    return whole


def _taken_over(own: MaskedPoints, other: MaskedPoints, reach_m: float, min_overlap: float) -> Int32[np.ndarray, " P"]:
    """Labels of ``own`` in the numbers of ``other`` where masks are the same, and in numbers of their own elsewhere.

    A mask of ``own`` is the mask of ``other`` that it has most points in common with, if they are at least
    ``min_overlap`` of the smaller of the two.
    """
    rows = _nearest(other.points, own.points, reach_m)
    theirs = np.append(other.labels, np.int32(IGNORE))[rows]
    free = np.int32(other.labels.max(initial=IGNORE) + 1)
    names = best_overlaps(own.labels, theirs, group_sizes(other.labels), min_overlap)
    names = np.where(names >= 0, names, free + np.arange(len(names), dtype=np.int32))
    named = np.append(names, np.int32(IGNORE))[own.labels]
    return np.asarray(np.where(own.labels >= 0, named, theirs), np.int32)


def _nearest(
    points: Float32[np.ndarray, "P 3"], queries: Float32[np.ndarray, "M 3"], reach_m: float
) -> Int64[np.ndarray, " M"]:
    """Row of the nearest point, or the number of points where none is within reach."""
    _, rows = cKDTree(points).query(queries, distance_upper_bound=np.nextafter(reach_m, np.inf))
    return np.asarray(rows, np.int64)


def _largest_first(labels: Int32[np.ndarray, " N"]) -> Int32[np.ndarray, " N"]:
    """The same groups, dense from 0, larger ones first; equal ones in the order of their numbers."""
    dense = compacted(labels)
    order = np.argsort(-group_sizes(dense), kind="stable")
    rank = np.empty(len(order) + 1, np.int32)
    rank[order], rank[-1] = np.arange(len(order)), IGNORE
    return np.asarray(rank[dense])
