"""``Cloud`` and ``Instances`` to sensor_msgs/PointCloud2: packed little-endian points, height 1, all finite."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Shaped
from seg3d_core.colours import instance_colours
from sensor_msgs.msg import PointCloud2, PointField

from seg3d_core.types import Cloud, Instances
from seg3d_ros.conversions.cloud_kernels import pack_rgb
from seg3d_ros.conversions.payload import write_bytes
from seg3d_ros.conversions.stamps import header

_DATATYPES = {"<f4": PointField.FLOAT32, "<u4": PointField.UINT32}


def cloud_to_message(cloud: Cloud) -> PointCloud2:
    """x y z FLOAT32, then rgb (0x00RRGGBB in a FLOAT32) and normal_x normal_y normal_z where the cloud has them."""
    columns: list[tuple[str, Shaped[np.ndarray, " N"]]] = list(zip("xyz", cloud.points.T, strict=True))
    if cloud.rgb is not None:
        columns.append(("rgb", packed_rgb(cloud.rgb)))
    if cloud.normals is not None:
        columns += zip(("normal_x", "normal_y", "normal_z"), cloud.normals.T, strict=True)
    return _message(cloud, columns)


def instances_to_message(instances: Instances) -> PointCloud2:
    """x y z rgb as above, instance_id UINT32 (0 = none), score FLOAT32 (0 where there is no instance).

    ``rgb`` is the colour of the instance, the same as in markers and pictures; grey where there is none.
    """
    cloud = instances.cloud
    # One colour per instance and one for "none" are packed, then dealt out.
    ids = np.append(instances.instance_ids, np.int32(0))
    colours = packed_rgb(instance_colours(ids))
    columns: list[tuple[str, Shaped[np.ndarray, " N"]]] = list(zip("xyz", cloud.points.T, strict=True))
    columns += [
        ("rgb", colours[instances.labels]),
        ("instance_id", instances.point_ids.astype("<u4")),
        ("score", instances.point_scores),
    ]
    return _message(cloud, columns)


def packed_rgb(rgb: Float32[np.ndarray, "N 3"]) -> Float32[np.ndarray, " N"]:
    """Colour in 0..1 (clipped) as the bits 0x00RRGGBB of a float, the way PCL and RViz expect it."""
    packed = np.empty(len(rgb), np.uint32)
    pack_rgb(np.ascontiguousarray(rgb), packed)
    return packed.view(np.float32)


def _message(cloud: Cloud, columns: list[tuple[str, Shaped[np.ndarray, " N"]]]) -> PointCloud2:
    codes = ["<u4" if values.dtype == np.uint32 else "<f4" for _, values in columns]
    points = np.empty(len(cloud), [(name, code) for (name, _), code in zip(columns, codes, strict=True)])
    for name, values in columns:
        points[name] = values
    return PointCloud2(
        header=header(cloud.frame_id, cloud.stamp_ns),
        height=1,
        width=len(cloud),
        fields=[
            PointField(name=name, offset=4 * place, datatype=_DATATYPES[code], count=1)
            for place, ((name, _), code) in enumerate(zip(columns, codes, strict=True))
        ],
        is_bigendian=False,
        point_step=points.itemsize,
        row_step=points.nbytes,
        data=write_bytes(points),
        is_dense=True,
    )
