"""How well instance ids stay with their objects over a sequence of results on one scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float32, Int32

from seg3d_core.errors import InputError
from seg3d_core.geometry.voxels import voxel_keys
from seg3d_core.learning.metrics import mask_iou
from seg3d_core.types import Instances

_SAME_OBJECT_IOU = 0.5


@dataclass(frozen=True)
class IdStability:
    """Id switches over a sequence.

    Attributes:
        switches: times an object was found under another id than when it was last found.
        objects: objects that were found at least once (with ground truth), or pairs of the same instance in
            consecutive results (without).
    """

    switches: int
    objects: int

    @property
    def switches_per_object(self) -> float:
        """0 is perfect, and the value with no objects."""
        return self.switches / self.objects if self.objects else 0.0


def id_switches(results: Sequence[Instances], truths: Sequence[Int32[np.ndarray, " _"]]) -> IdStability:
    """Switches per ground-truth object. ``truths`` hold the object id of each point of each result, > 0 = object.

    An object is found by the instance that overlaps it best, if by more than half (IoU).

    Raises:
        InputError: a truth disagrees in length with its cloud, or the sequences differ in length.
    """
    if len(results) != len(truths):
        raise InputError(f"{len(results)} results but {len(truths)} ground truths")
    last: dict[int, int] = {}
    switches = 0
    for result, truth in zip(results, truths, strict=True):
        if len(truth) != len(result.cloud):
            raise InputError(f"ground truth of {len(truth)} points for a cloud of {len(result.cloud)}")
        for object_id, instance_id in _found(result, truth).items():
            switches += last.get(object_id, instance_id) != instance_id
            last[object_id] = instance_id
    return IdStability(switches, len(last))


def id_changes(results: Sequence[Instances], voxel_size_m: float = 0.05) -> IdStability:
    """Without ground truth: of the pairs of instances in consecutive results that occupy the same place (IoU of
    their voxels above half), those whose ids differ.

    Raises:
        InputError: a point is too far from the origin for a voxel number.
    """
    pairs = [
        (before.instance_ids[row], after.instance_ids[column])
        for before, after in pairwise(results)
        for row, column in np.argwhere(_place_iou(before, after, voxel_size_m) > _SAME_OBJECT_IOU)
    ]
    return IdStability(sum(int(a != b) for a, b in pairs), len(pairs))


def _found(result: Instances, truth: Int32[np.ndarray, " N"]) -> dict[int, int]:
    """Instance id of each object that is found."""
    objects = np.unique(truth[truth > 0])
    if not len(result) or not len(objects):
        return {}
    iou = mask_iou(truth[None, :] == objects[:, None], result.masks)
    best = iou.argmax(1)
    return {
        int(object_id): int(result.instance_ids[best[row]])
        for row, object_id in enumerate(objects)
        if iou[row, best[row]] > _SAME_OBJECT_IOU
    }


def _place_iou(a: Instances, b: Instances, voxel_size_m: float) -> Float32[np.ndarray, "P Q"]:
    """Overlap of the voxels of every instance of ``a`` with those of every instance of ``b``."""
    keys = np.concatenate([voxel_keys(part.cloud.points, voxel_size_m) for part in (a, b)])
    occupied, voxel = np.unique(keys, return_inverse=True)
    touched = []
    for part, own in ((a, voxel[: len(a.cloud)]), (b, voxel[len(a.cloud) :])):
        masks = np.zeros((len(part), len(occupied)), bool)
        rows, points = np.nonzero(part.masks)
        masks[rows, own[points]] = True
        touched.append(masks)
    return mask_iou(touched[0], touched[1])
