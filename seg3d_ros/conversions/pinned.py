"""Accepted objects on the wire: their points and those beside them, in a sensor_msgs/PointCloud2."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int32
from sensor_msgs.msg import PointCloud2, PointField

from seg3d_core.colours import instance_colours
from seg3d_core.errors import InputError
from seg3d_core.interaction.pinned import PinnedObjects
from seg3d_core.types import Cloud, Instances
from seg3d_ros.conversions.cloud_kernels import pack_rgb, place_triples
from seg3d_ros.conversions.cloud_layout import CloudLayout, read_layout
from seg3d_ros.conversions.cloud_reading import cloud_from_message
from seg3d_ros.conversions.cloud_writing import packed_message
from seg3d_ros.conversions.payload import blank_words

_FIELDS = {
    **dict.fromkeys(("x", "y", "z", "rgb"), PointField.FLOAT32),
    "instance_id": PointField.UINT32,
    "score": PointField.FLOAT32,
    "beside": PointField.UINT32,
}


def pinned_to_message(pinned: PinnedObjects) -> PointCloud2:
    """x y z rgb instance_id score as of a result's cloud, and beside UINT32.

    A point of an object has its id as instance_id; one that only lies beside it has instance_id 0 and the object's id
    as ``beside``, which is 0 otherwise. Every object has the points beside it that tell where it ends.
    """
    step = len(_FIELDS)
    data, words = blank_words(len(pinned.cloud) * step)
    place_triples(np.ascontiguousarray(pinned.cloud.points).reshape(-1).view(np.uint32), step, 0, words)
    ids = np.where(pinned.is_inside, pinned.object_ids, 0).astype(np.int32)
    pack_rgb(np.ascontiguousarray(instance_colours(ids)).reshape(-1), step, 3, words)
    rows = words.reshape(-1, step)
    rows[:, 4], rows[:, 6] = ids, np.where(pinned.is_inside, 0, pinned.object_ids)
    rows[:, 5] = np.where(pinned.is_inside, pinned.scores, np.float32(0)).astype(np.float32).view(np.uint32)
    return packed_message(pinned.cloud, data, _FIELDS)


def pinned_from_message(msg: PointCloud2) -> PinnedObjects:
    """What ``pinned_to_message`` wrote; without the field ``beside``: nothing is known of what lies beside the objects.

    Raises:
        InputError: the message is no cloud that can be read, or has no instance ids.
    """
    cloud, layout = cloud_from_message(msg), read_layout(msg)
    inside = _column(layout, cloud, "instance_id")
    beside = _column(layout, cloud, "beside") if layout.has("beside") else np.zeros(len(cloud), np.int32)
    kept = (inside > 0) | (beside > 0)
    ids = np.where(inside > 0, inside, beside)[kept]
    # A point beside an object does not carry its score.
    scores = _scores_of(ids, inside[kept], _scores(layout, cloud)[kept])
    return PinnedObjects(cloud.select(kept), ids, inside[kept] > 0, scores)


def instances_from_message(msg: PointCloud2) -> Instances:
    """The instances of a result's cloud, by id; where it has no scores they are 1.

    Raises:
        InputError: the message is no cloud that can be read, or has no instance ids.
    """
    cloud, ids = point_ids_from_message(msg)
    present, first = np.unique(ids, return_index=True)
    named = present > 0
    masks = ids[None, :] == present[named][:, None]
    return Instances(cloud, masks, _scores(read_layout(msg), cloud)[first[named]], present[named])


def point_ids_from_message(msg: PointCloud2) -> tuple[Cloud, Int32[np.ndarray, " N"]]:
    """A result's cloud, and the instance id of each of its points, 0 = none.

    Raises:
        InputError: the message is no cloud that can be read, or has no instance ids.
    """
    cloud = cloud_from_message(msg)
    return cloud, _column(read_layout(msg), cloud, "instance_id")


def _column(layout: CloudLayout, cloud: Cloud, name: str) -> Int32[np.ndarray, " N"]:
    if layout.count == 0:
        return np.zeros(0, np.int32)
    if not layout.has(name):
        raise InputError(f"cloud has no field {name!r}; its fields are {', '.join(layout.fields) or 'none'}")
    values = layout.column(name, PointField.UINT32, PointField.INT32).reshape(-1)
    kept = values if cloud.source_index is None else values[cloud.source_index]
    numbers = kept.astype(np.int64)
    if len(numbers) and not 0 <= numbers.min() <= numbers.max() < 2**31:
        raise InputError(f"{name} is from {numbers.min()} to {numbers.max()}, must be within 0..{2**31 - 1}")
    return numbers.astype(np.int32)


def _scores(layout: CloudLayout, cloud: Cloud) -> np.ndarray:
    if layout.count == 0 or not layout.has("score"):
        return np.ones(len(cloud), np.float32)
    values = layout.column("score", PointField.FLOAT32).reshape(-1)
    kept = values if cloud.source_index is None else values[cloud.source_index]
    return np.clip(np.nan_to_num(kept.astype(np.float32)), 0, 1)


def _scores_of(ids: np.ndarray, inside: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Of each point the score of its object: that of any point inside of it, 1 where it has none."""
    known, first = np.unique(inside[inside > 0], return_index=True)
    values = dict(zip(known.tolist(), scores[inside > 0][first].tolist(), strict=True))
    present, place = np.unique(ids, return_inverse=True)
    return np.array([values.get(number, 1.0) for number in present.tolist()], np.float32)[place]
