"""Whether the images of a scene agree with 3-D masks: what a network believes, judged by what was seen from all sides.

A mask of a thing, projected into any frame that sees it, is one of that frame's 2-D masks; a mask of half a thing, or
of two, is none in most of them. No label of any person is needed. F masks, N points.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from jaxtyping import Float32, Int32, Int64

from seg3d_core.baselines.sam3d import MaskedFrame, merge_masks
from seg3d_core.data.scenes.truth_votes_kernels import sight
from seg3d_core.evaluation_config import Sam3dConfig
from seg3d_core.geometry.transforms import invert
from seg3d_core.segment3d.proposals import Proposals
from seg3d_core.segment3d.suppression import suppressed
from seg3d_core.types import IGNORE, Cloud

UNSEEN = np.int32(-2)
"""Of points that a frame does not see, or sees something else in front of."""

_TOLERANCE = np.array([0.03, 0.02])
"""A frame sees a point if the depths differ by at most this many metres, and this share of the distance more."""

_LEAST_POINTS, _LEAST_SHARE = 20, 0.25
"""A frame says something about a mask of which it sees so many points, and such a share."""

_MAX_IOU, _MAX_CONTAINMENT = 0.5, 0.9
"""Overlap with a better mask from which on the worse one is dropped: one mask for one thing."""

MERGING = Sam3dConfig.build({"voxel_size_m": 0.02, "min_overlap": 0.3})
"""How 2-D masks become candidates: small voxels, for small things; and ready to merge, since what is merged by mistake
does not survive the judgement."""


def judged(found: Proposals, cloud: Cloud, frames: Callable[[], Iterable[MaskedFrame]]) -> Proposals:
    """The best of ``found`` and of what 2-D masks merge to, scored by ``agreement``, best first, without duplicates.

    Args:
        found: masks that a network found on ``cloud``.
        cloud: of the scene, in the world frame of the poses.
        frames: reads the frames; called twice.

    Raises:
        InputError: no frame has a return, or a file is missing or damaged.
    """
    merged = merge_masks(frames(), cloud, MERGING)
    candidates = _joined(found, Proposals.from_masks(merged.masks, merged.scores))
    scores = agreement(candidates, cloud.points, frames())
    best_first = np.argsort(-scores, kind="stable")
    return suppressed(candidates.with_scores(scores).select(best_first), _MAX_IOU, _MAX_CONTAINMENT)


def agreement(
    found: Proposals, points: Float32[np.ndarray, "N 3"], frames: Iterable[MaskedFrame]
) -> Float32[np.ndarray, " F"]:
    """Mean over the frames that see a mask of its intersection over union with the 2-D mask that fits it best.

    In 0..1; frames that see more of the mask's points weigh more. 0 where none sees it.

    Args:
        found: masks on the points.
        points: m, in the world frame of the poses.
        frames: posed.
    """
    total, weights = np.zeros(len(found)), np.zeros(len(found))
    for frame in frames:
        seen, overlap = _best_overlap(found, seen_masks(points, frame))
        weight = np.where((seen >= _LEAST_POINTS) & (seen >= _LEAST_SHARE * found.sizes), seen, 0)
        total += weight * overlap
        weights += weight
    mean: Float32[np.ndarray, " F"] = (total / np.maximum(weights, 1)).astype(np.float32)
    return mean


def seen_masks(points: Float32[np.ndarray, "N 3"], masked: MaskedFrame) -> Int32[np.ndarray, " N"]:
    """2-D mask of the pixel that sees each point, ``IGNORE`` for a pixel without one; ``UNSEEN`` where none does.

    A point is seen where the depth image has a return as far away as it is, up to the noise of sensors and poses.
    Frames must be those of a pinhole camera, as in scene folders.
    """
    frame = masked.frame
    assert frame.T_world_camera is not None
    pixels = np.empty(len(points), np.int64)
    sight(points, invert(frame.T_world_camera), frame.camera.K, frame.depth_m, _TOLERANCE, pixels)
    seen: Int32[np.ndarray, " N"] = np.append(masked.mask_ids.reshape(-1), UNSEEN)[
        pixels
    ]  # pixel -1 is the appended one
    return seen


def _best_overlap(
    found: Proposals, labels: Int32[np.ndarray, " N"]
) -> tuple[Int64[np.ndarray, " F"], Float32[np.ndarray, " F"]]:
    """Points of each mask that are seen, and the intersection over union, among seen points, with the best 2-D mask."""
    owners = np.repeat(np.arange(len(found)), found.sizes)
    theirs = labels[found.members]
    seen = np.bincount(owners[theirs > UNSEEN], minlength=len(found))
    count = int(labels.max(initial=IGNORE)) + 1
    if not count or not len(found):
        return seen, np.zeros(len(found), np.float32)
    both = theirs >= 0
    cells = owners[both] * count + theirs[both]
    common = np.bincount(cells, minlength=len(found) * count).reshape(len(found), count)
    sizes = np.bincount(labels[labels >= 0], minlength=count)
    overlaps = common / np.maximum(seen[:, None] + sizes - common, 1)
    return seen, overlaps.max(axis=1).astype(np.float32)


def _joined(a: Proposals, b: Proposals) -> Proposals:
    """Those of both, the first ones first; nothing is known of the probabilities."""
    offsets = np.concatenate([a.offsets, a.offsets[-1] + b.offsets[1:]])
    return Proposals(np.append(a.scores, b.scores), offsets, np.append(a.members, b.members), a.num_rows)
