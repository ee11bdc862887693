"""From what the network says about queries to instances of a cloud. Q queries, V voxels, N points, F proposals."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int32, Int64
from scipy.special import softmax

from seg3d_core.errors import InputError
from seg3d_core.segment3d.clustering import DensityClusters
from seg3d_core.segment3d.postprocess_kernels import majority_members, positive_members
from seg3d_core.segment3d.proposals import Proposals
from seg3d_core.segment3d.suppression import assigned, suppressed
from seg3d_core.segment3d_config import PostprocessConfig


def postprocess(
    class_logits: Float32[np.ndarray, "Q K"],
    mask_logits: Float32[np.ndarray, "Q V"],
    xyz: Float32[np.ndarray, "V 3"],
    config: PostprocessConfig,
    point_to_voxel: Int32[np.ndarray, " N"] | None = None,
    point_to_superpoint: Int32[np.ndarray, " N"] | None = None,
) -> Proposals:
    """Instances of the N points, or of the voxels themselves without ``point_to_voxel``; none is a valid result.

    What is found in voxels (``propose``) is cleared of duplicates and brought to the points (``finish``).

    Args:
        class_logits: of the queries; index 0 is object.
        mask_logits: above 0 is inside.
        xyz: a point of each voxel, m.
        config: see ``segment3d_config.POSTPROCESS_RULES`` for the named rules.
        point_to_voxel: voxel of each point.
        point_to_superpoint: superpoint of each point, ``IGNORE`` for none; without it nothing is smoothed.

    Raises:
        InputError: a map has another length than the points, or ``xyz`` is out of reach of ``eps_m``.
    """
    points = len(xyz) if point_to_voxel is None else len(point_to_voxel)
    _check_superpoints(point_to_superpoint, points)
    return finish(propose(class_logits, mask_logits, xyz, config), config, point_to_voxel, point_to_superpoint)


def propose(
    class_logits: Float32[np.ndarray, "Q K"],
    mask_logits: Float32[np.ndarray, "Q S"],
    xyz: Float32[np.ndarray, "V 3"],
    config: PostprocessConfig,
    voxel_to_segment: Int64[np.ndarray, " V"] | None = None,
) -> Proposals:
    """Masks split, scored and selected, on voxels, with probabilities; they may overlap. Arguments as ``postprocess``.

    The score of a mask is c_obj c_mask: the probability of class 0 among the classes, times the mean probability over
    the voxels that the mask holds.

    Args:
        voxel_to_segment: segment of each voxel, where ``mask_logits`` are of segments (S) and not of voxels.

    Raises:
        InputError: ``xyz`` is out of reach of ``eps_m``.
    """
    objects = softmax(class_logits.astype(np.float64), axis=1)[:, 0].astype(np.float32)
    if config.keep_fraction == 1:
        # No score is above c_obj: most queries need not be looked at. A share, however, is of all of them.
        possible = objects > config.min_score
        objects, mask_logits = objects[possible], mask_logits[possible]
    if voxel_to_segment is not None:
        mask_logits = mask_logits[:, voxel_to_segment]
    offsets, members, probabilities = positive_members(mask_logits)
    found = Proposals(objects, offsets, members, len(xyz), probabilities)
    found = found.select(found.sizes > 0)
    if config.split == "before_scoring":
        found = _split(found, xyz, config)
    found = _selected(_scored(found), config)
    if config.split == "after_selection":
        found = _split(found, xyz, config)
    return found


def finish(
    proposals: Proposals,
    config: PostprocessConfig,
    point_to_voxel: Int32[np.ndarray, " N"] | None = None,
    point_to_superpoint: Int32[np.ndarray, " N"] | None = None,
) -> Proposals:
    """Duplicates and overlap removed as ``config`` says, and on points. Takes proposals of tiles or of anything else.

    Args:
        proposals: on voxels (or points, without ``point_to_voxel``), best first.
        config: which steps to take.
        point_to_voxel: voxel of each point.
        point_to_superpoint: superpoint of each point, ``IGNORE`` for none.

    Raises:
        InputError: a map has another length than the points, or names a voxel that is not there.
    """
    _check_superpoints(point_to_superpoint, proposals.num_rows if point_to_voxel is None else len(point_to_voxel))
    if min(config.max_iou, config.max_containment) < 1:
        proposals = suppressed(proposals, config.max_iou, config.max_containment)
    proposals = proposals.select(np.arange(min(len(proposals), config.max_instances)))
    if config.exclusive:
        proposals = assigned(proposals, config.min_kept_share, config.drop_voxels + 1)
    if point_to_voxel is not None:
        proposals = proposals.on_points(point_to_voxel)
    if config.smooth and point_to_superpoint is not None:
        # Superpoints are given by majority, so that what did not overlap does not now.
        proposals = smoothed(proposals, point_to_superpoint)
    if config.scores == "constant":
        proposals = proposals.with_scores(np.ones_like(proposals.scores))
    return proposals


def smoothed(proposals: Proposals, point_to_superpoint: Int32[np.ndarray, " N"]) -> Proposals:
    """Whole superpoints: those of which more than half of the points are in the proposal; none left, none returned.

    Points without a superpoint (``IGNORE``) stay as they are. Nothing is known of the probabilities.

    Raises:
        InputError: another number of superpoints than of points.
    """
    _check_superpoints(point_to_superpoint, proposals.num_rows)
    has_one = np.flatnonzero(point_to_superpoint >= 0).astype(np.int32)
    superpoints = point_to_superpoint[has_one]
    points = has_one[np.argsort(superpoints, kind="stable")]
    starts = np.concatenate([[0], np.cumsum(np.bincount(superpoints))]).astype(np.int64)
    offsets, members = majority_members(proposals.offsets, proposals.members, point_to_superpoint, starts, points)
    whole = Proposals(proposals.scores, offsets, members, proposals.num_rows)
    return whole.select(whole.sizes > 0)


def _check_superpoints(point_to_superpoint: Int32[np.ndarray, " _"] | None, points: int) -> None:
    if point_to_superpoint is not None and len(point_to_superpoint) != points:
        raise InputError(f"{len(point_to_superpoint)} superpoint numbers for {points} points")


def _split(found: Proposals, xyz: Float32[np.ndarray, "V 3"], config: PostprocessConfig) -> Proposals:
    """The clusters of each of ``found``, without noise and small ones."""
    return DensityClusters(xyz, config.eps_m, config.min_samples).split(found, config.drop_voxels)


def _scored(found: Proposals) -> Proposals:
    """Scores times the mean probability."""
    assert found.probabilities is not None
    before = np.concatenate([[0.0], np.cumsum(found.probabilities, dtype=np.float64)])
    # The released mean has this in its denominator.
    confidence = np.diff(before[found.offsets]) / (found.sizes + 1e-6)
    return found.with_scores((found.scores * confidence).astype(np.float32))


def _selected(found: Proposals, config: PostprocessConfig) -> Proposals:
    """The best ones, best first."""
    ranked = np.argsort(-found.scores, kind="stable")[: int(config.keep_fraction * len(found))]
    return found.select(ranked[found.scores[ranked] > config.min_score])
