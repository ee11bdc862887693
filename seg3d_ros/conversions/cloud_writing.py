"""``Cloud`` and ``Instances`` to sensor_msgs/PointCloud2: packed points, height 1, all finite."""

from __future__ import annotations

import sys

import numpy as np
from jaxtyping import Float32, UInt32
from sensor_msgs.msg import PointCloud2, PointField

from seg3d_core.colours import instance_colours
from seg3d_core.types import Cloud, Instances
from seg3d_ros.conversions.cloud_kernels import deal_columns, pack_rgb, place_columns
from seg3d_ros.conversions.payload import write_bytes
from seg3d_ros.conversions.stamps import header

_NORMALS = ("normal_x", "normal_y", "normal_z")


def cloud_to_message(cloud: Cloud) -> PointCloud2:
    """x y z FLOAT32, then rgb (0x00RRGGBB in a FLOAT32) and normal_x normal_y normal_z where the cloud has them."""
    names = (
        "x",
        "y",
        "z",
        *(("rgb",) if cloud.rgb is not None else ()),
        *(_NORMALS if cloud.normals is not None else ()),
    )
    points = np.empty((len(cloud), len(names)), np.uint32)
    place_columns(_words(cloud.points), 0, points)
    if cloud.rgb is not None:
        place_columns(_packed(cloud.rgb)[:, None], names.index("rgb"), points)
    if cloud.normals is not None:
        place_columns(_words(cloud.normals), names.index("normal_x"), points)
    return _message(cloud, points, dict.fromkeys(names, PointField.FLOAT32))


def instances_to_message(instances: Instances) -> PointCloud2:
    """x y z rgb as above, instance_id UINT32 (0 = none), score FLOAT32 (0 where there is no instance).

    ``rgb`` is the colour of the instance, the same as in markers and pictures; grey where there is none.
    """
    # What the points of one instance share is a row of a table; the last row is for points of none.
    ids = np.append(instances.instance_ids, np.int32(0))
    scores = np.append(instances.scores, np.float32(0))
    table = np.stack([_packed(instance_colours(ids)), ids.astype(np.uint32), scores.view(np.uint32)], axis=1)
    cloud = instances.cloud
    points = np.empty((len(cloud), 6), np.uint32)
    place_columns(_words(cloud.points), 0, points)
    deal_columns(table, instances.labels, 3, points)
    types = dict.fromkeys(("x", "y", "z", "rgb"), PointField.FLOAT32)
    return _message(cloud, points, types | {"instance_id": PointField.UINT32, "score": PointField.FLOAT32})


def _words(values: Float32[np.ndarray, "N K"]) -> UInt32[np.ndarray, "N K"]:
    return np.ascontiguousarray(values).view(np.uint32)


def _packed(rgb: Float32[np.ndarray, "N 3"]) -> UInt32[np.ndarray, " N"]:
    packed = np.empty(len(rgb), np.uint32)
    pack_rgb(np.ascontiguousarray(rgb), packed)
    return packed


def _message(cloud: Cloud, points: UInt32[np.ndarray, "N W"], types: dict[str, int]) -> PointCloud2:
    step = 4 * len(types)
    return PointCloud2(
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
        data=write_bytes(points),
        is_dense=True,
    )
