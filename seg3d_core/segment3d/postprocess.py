"""From what the network says about queries to instances of a cloud. Q queries, V voxels, N points, F fragments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, Int64
from scipy.special import expit, softmax

from seg3d_core.config import PostprocessConfig
from seg3d_core.errors import InputError
from seg3d_core.segment3d.clustering import DensityClusters


@dataclass(frozen=True, eq=False)
class Proposals:
    """Instances, best score first; masks may overlap and are not empty.

    Attributes:
        masks: (F, N) points of each.
        scores: (F,) in 0..1.
    """

    masks: Bool[np.ndarray, "F N"]
    scores: Float32[np.ndarray, " F"]


@dataclass(frozen=True, eq=False)
class _Fragment:
    """Voxels of a query's mask that are an instance so far."""

    query: int
    voxels: Int64[np.ndarray, " M"]
    score: float = 0.0


def postprocess(
    class_logits: Float32[np.ndarray, "Q K"],
    mask_logits: Float32[np.ndarray, "Q V"],
    xyz: Float32[np.ndarray, "V 3"],
    config: PostprocessConfig,
    point_to_voxel: Int32[np.ndarray, " N"] | None = None,
    point_to_superpoint: Int32[np.ndarray, " N"] | None = None,
) -> Proposals:
    """Instances of the N points, or of the voxels themselves without ``point_to_voxel``; none is a valid result.

    The score of a mask is c_obj c_mask: the probability of class 0 among the classes, times the mean probability over
    the voxels that the mask holds.

    Args:
        class_logits: of the queries; index 0 is object.
        mask_logits: above 0 is inside.
        xyz: a point of each voxel, m.
        config: see ``config.POSTPROCESS_RULES`` for the named rules.
        point_to_voxel: voxel of each point.
        point_to_superpoint: superpoint of each point, ``IGNORE`` for none; without it nothing is smoothed.

    Raises:
        InputError: a map has another length than the points, or ``xyz`` is out of reach of ``eps_m``.
    """
    points = len(xyz) if point_to_voxel is None else len(point_to_voxel)
    if point_to_superpoint is not None and len(point_to_superpoint) != points:
        raise InputError(f"{len(point_to_superpoint)} superpoint numbers for {points} points")
    found = _positive(mask_logits)
    if config.split == "before_scoring":
        found = _split(found, xyz, config)
    objects = softmax(class_logits.astype(np.float64), axis=1)[:, 0]
    found = _selected([_scored(fragment, objects, mask_logits) for fragment in found], config)
    if config.split == "after_selection":
        found = _split(found, xyz, config)
    masks = _masks(found[: config.max_instances], len(xyz), point_to_voxel)
    if config.smooth and point_to_superpoint is not None:
        masks = smoothed(masks, point_to_superpoint)
    scores = np.array([fragment.score for fragment in found[: config.max_instances]], np.float32)
    if config.scores == "constant":
        scores = np.ones_like(scores)
    filled = masks.any(axis=1)
    return Proposals(masks[filled], scores[filled])


def smoothed(masks: Bool[np.ndarray, "F N"], point_to_superpoint: Int32[np.ndarray, " N"]) -> Bool[np.ndarray, "F N"]:
    """Masks of whole superpoints: those of which more than half of the points are in the mask.

    Points without a superpoint (``IGNORE``) stay as they are.
    """
    has_one = point_to_superpoint >= 0
    # Points without one are counted in a superpoint of their own that nobody reads.
    superpoints = np.where(has_one, point_to_superpoint, point_to_superpoint.max(initial=-1) + 1)
    sizes = np.bincount(superpoints)
    result = masks.copy()
    for mask in result:
        majority = 2 * np.bincount(superpoints[mask], minlength=len(sizes)) > sizes
        mask[has_one] = majority[superpoints[has_one]]
    return result


def _positive(mask_logits: Float32[np.ndarray, "Q V"]) -> list[_Fragment]:
    """The masks that are not empty, whole."""
    masks = ((query, np.flatnonzero(logits > 0)) for query, logits in enumerate(mask_logits))
    return [_Fragment(query, voxels) for query, voxels in masks if len(voxels)]


def _split(fragments: list[_Fragment], xyz: Float32[np.ndarray, "V 3"], config: PostprocessConfig) -> list[_Fragment]:
    """The clusters of each of ``fragments``, without noise and small ones."""
    clusters = DensityClusters(xyz, config.eps_m, config.min_samples)
    parts = []
    for fragment in fragments:
        for voxels in _groups(fragment.voxels, clusters.labels(fragment.voxels)):
            if len(voxels) > config.drop_voxels:
                parts.append(replace(fragment, voxels=voxels))
    return parts


def _groups(values: Int64[np.ndarray, " M"], labels: Int32[np.ndarray, " M"]) -> Iterator[Int64[np.ndarray, " _"]]:
    """Values of each label from 0 on."""
    order = np.argsort(labels, kind="stable")
    bounds = np.searchsorted(labels[order], np.arange(labels.max(initial=-1) + 2))
    for start, end in pairwise(bounds):
        yield values[order[start:end]]


def _scored(
    fragment: _Fragment, objects: Float64[np.ndarray, " Q"], mask_logits: Float32[np.ndarray, "Q V"]
) -> _Fragment:
    probabilities = expit(mask_logits[fragment.query, fragment.voxels].astype(np.float64))
    # The released mean has this in its denominator.
    confidence = probabilities.sum() / (len(probabilities) + 1e-6)
    return replace(fragment, score=float(objects[fragment.query] * confidence))


def _selected(fragments: list[_Fragment], config: PostprocessConfig) -> list[_Fragment]:
    """The best ones, best first."""
    ranked = sorted(fragments, key=lambda fragment: -fragment.score)[: int(config.keep_fraction * len(fragments))]
    return [fragment for fragment in ranked if fragment.score > config.min_score]


def _masks(
    fragments: list[_Fragment], voxels: int, point_to_voxel: Int32[np.ndarray, " N"] | None
) -> Bool[np.ndarray, "F N"]:
    on_voxels = np.zeros((len(fragments), voxels), np.bool_)
    for mask, fragment in zip(on_voxels, fragments, strict=True):
        mask[fragment.voxels] = True
    return on_voxels if point_to_voxel is None else on_voxels[:, point_to_voxel]
