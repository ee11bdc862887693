"""``Cloud`` and ``Instances`` to sensor_msgs/PointCloud2: packed points, height 1, all finite."""

from __future__ import annotations

import sys
from array import array

import numpy as np
from jaxtyping import Float32, UInt32
from sensor_msgs.msg import PointCloud2, PointField

from seg3d_core.colours import instance_colours
from seg3d_core.types import Cloud, Instances
from seg3d_ros.conversions.cloud_kernels import pack_rgb, place_labelled, place_triples
from seg3d_ros.conversions.payload import blank_words, message_of
from seg3d_ros.conversions.stamps import header


def cloud_to_message(cloud: Cloud) -> PointCloud2:
    """x y z FLOAT32, then rgb (0x00RRGGBB in a FLOAT32) and normal_x normal_y normal_z where the cloud has them."""
    names = ["x", "y", "z"]
    if cloud.rgb is not None:
        names += ["rgb"]
    if cloud.normals is not None:
        names += ["normal_x", "normal_y", "normal_z"]
    step = len(names)
    data, words = blank_words(len(cloud) * step)
    place_triples(_flat_words(cloud.points), step, 0, words)
    if cloud.rgb is not None:
        pack_rgb(np.ascontiguousarray(cloud.rgb).reshape(-1), step, names.index("rgb"), words)
    if cloud.normals is not None:
        place_triples(_flat_words(cloud.normals), step, names.index("normal_x"), words)
    return packed_message(cloud, data, dict.fromkeys(names, PointField.FLOAT32))


def instances_to_message(instances: Instances) -> PointCloud2:
    """x y z rgb as above, instance_id UINT32 (0 = none), score FLOAT32 (0 where there is no instance).

    ``rgb`` is the colour of the instance, the same as in markers and pictures; grey where there is none.
    """
    # What the points of one instance share is a row of a table; the last row is for points of none.
    ids = np.append(instances.instance_ids, np.int32(0))
    scores = np.append(instances.scores, np.float32(0))
    colours = np.empty(len(ids), np.uint32)
    pack_rgb(np.ascontiguousarray(instance_colours(ids)).reshape(-1), 1, 0, colours)
    table = np.stack([colours, ids.astype(np.uint32), scores.view(np.uint32)], axis=1)
    data, words = blank_words(len(instances.cloud) * 6)
    place_labelled(_flat_words(instances.cloud.points), table, instances.labels, words)
    types = dict.fromkeys(("x", "y", "z", "rgb"), PointField.FLOAT32)
    types |= {"instance_id": PointField.UINT32, "score": PointField.FLOAT32}
    return packed_message(instances.cloud, data, types)


def _flat_words(values: Float32[np.ndarray, "N 3"]) -> UInt32[np.ndarray, " 3*N"]:
    return np.ascontiguousarray(values).reshape(-1).view(np.uint32)


def packed_message(cloud: Cloud, data: array[int], types: dict[str, int]) -> PointCloud2:
    """A message of packed points; ``types`` are those of all fields, 4 bytes each, in order."""
    step = 4 * len(types)
    return message_of(
        PointCloud2,
        data,
        header=header(cloud.frame_id, cloud.stamp_ns),
        height=1,
        width=len(cloud),
        fields=[
            PointField(name=name, offset=4 * place, datatype=kind, count=1)
            for place, (name, kind) in enumerate(types.items())
        ],
        is_bigendian=sys.byteorder == "big",
        point_step=step,
        row_step=step * len(cloud),
        is_dense=True,
    )
