"""Point clouds in and out of recorded messages, without ROS."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int32
from numpy.typing import NDArray
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_typestore

from seg3d_core.colours import instance_colours
from seg3d_core.data.bags import BagReader
from seg3d_core.errors import InputError
from seg3d_core.types import IGNORE, Cloud, Instances, LabelledCloud

CLOUD = "sensor_msgs/msg/PointCloud2"

RESULTS = ("instance_cloud", "mask", "accepted", "rejected", "prompt_cloud")
"""Last parts of the names of topics on which nodes of this package publish clouds."""

_STORE = get_typestore(Stores.ROS2_JAZZY)
_CODES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
"""NumPy's name of each PointField datatype."""

_NORMALS = (("normal_x", "normal_y", "normal_z"), ("nx", "ny", "nz"))
_UNIT = np.float32(1 / 255)
_FLOAT32, _UINT32 = 7, 6


def input_cloud_topic(path: Path, wanted: str) -> str:
    """The topic of clouds that a recording is about: ``wanted``, or the only one; empty where there is none.

    What nodes of this package found, or are about to find, does not count.

    Raises:
        InputError: ``wanted`` has no clouds, or there are several topics of them.
    """
    with BagReader(path) as reader:
        clouds = [topic.name for topic in reader.topics() if topic.type_name == CLOUD and topic.count]
    if wanted:
        if wanted not in clouds:
            raise InputError(f"{path} has no clouds on {wanted}; it has {', '.join(clouds) or 'none'}")
        return wanted
    inputs = [name for name in clouds if name.rpartition("/")[2] not in RESULTS]
    if len(inputs) > 1:
        raise InputError(f"{path} has clouds on {', '.join(inputs)}: choose with --set cloud_topic=NAME")
    return inputs[0] if inputs else ""


def decode_cloud(data: bytes) -> Cloud:
    """The points of a PointCloud2 that have finite coordinates, with their colour and unit normals where it has them.

    Raises:
        InputError: damaged, without x, y, z, or with fields that lie outside its data.
    """
    message = _message(data)
    rows = _rows(message)
    points = _columns(rows, ("x", "y", "z"))
    kept = np.isfinite(points).all(axis=1)
    normals = next((_columns(rows, n)[kept] for n in _NORMALS if set(n) <= set(rows.dtype.names or ())), None)
    # Within 1 % of unit length, all of them, or they are none.
    if normals is not None and not (np.abs((normals * normals).sum(axis=1) - 1) <= 0.02).all():
        normals = None
    rgb = _rgb(rows)
    stamp = message.header.stamp
    return Cloud(
        points[kept],
        rgb=None if rgb is None else rgb[kept],
        normals=normals,
        frame_id=message.header.frame_id,
        stamp_ns=stamp.sec * 1_000_000_000 + stamp.nanosec,
    )


def encode_cloud(cloud: Cloud) -> bytes:
    """A PointCloud2 with x y z, and rgb (0x00RRGGBB in a FLOAT32) and normals where the cloud has them."""
    columns = [*cloud.points.T]
    names = ["x", "y", "z"]
    if cloud.rgb is not None:
        columns.append(_packed(cloud.rgb))
        names.append("rgb")
    if cloud.normals is not None:
        columns += [*cloud.normals.T]
        names += _NORMALS[0]
    return _encode(cloud, dict(zip(names, columns, strict=True)))


def encode_instances(instances: Instances) -> bytes:
    """A PointCloud2 with x y z, rgb of the instance, instance_id (UINT32, 0 = none) and score, as scene_node's."""
    return _encode_ids(instances.cloud, instances.point_ids, instances.point_scores)


def encode_labelled(labelled: LabelledCloud) -> bytes:
    """The same of known instances: their score is 1."""
    ids = np.where(labelled.instance_id == IGNORE, np.int32(0), labelled.instance_id)
    return _encode_ids(labelled.cloud, ids, (ids != 0).astype(np.float32))


def decode_instances(data: bytes) -> Instances:
    """What ``encode_instances`` or scene_node has written; instances by their ids, without those of no point.

    Raises:
        InputError: as ``decode_cloud``, or without instance_id.
    """
    labelled = decode_labelled(data)
    ids, labels = np.unique(labelled.instance_id, return_inverse=True)
    first = int(ids.size > 0 and ids[0] == IGNORE)
    found = Instances.from_labels(labelled.cloud, (labels.reshape(-1) - first).astype(np.int32))
    return replace(found, instance_ids=ids[first:])


def decode_labelled(data: bytes) -> LabelledCloud:
    """The points of such a message, each with the id of its instance.

    Raises:
        InputError: as ``decode_cloud``, or without instance_id.
    """
    cloud = decode_cloud(data)
    rows = _rows(_message(data))
    names = rows.dtype.names or ()
    if "instance_id" not in names:
        raise InputError(f"cloud has no field instance_id; its fields are {', '.join(names)}")
    kept = np.isfinite(_columns(rows, ("x", "y", "z"))).all(axis=1)
    ids = rows["instance_id"][kept].astype(np.int32)
    return LabelledCloud(cloud, np.where(ids == 0, np.int32(IGNORE), ids), {})


def _message(data: bytes) -> Any:
    try:
        return _STORE.deserialize_cdr(data, CLOUD)
    except (SerdeError, ValueError, IndexError, struct.error, AssertionError) as error:
        raise InputError(f"{CLOUD} message is damaged: {error}") from error


def _rows(message: Any) -> NDArray[Any]:
    """One record for each point, in the message's byte order."""
    kind = _record_type(message)
    height, width, step = message.height, message.width, message.point_step
    length = step * width
    needed = message.row_step * (height - 1) + length if height * width else 0
    if message.row_step < length or len(message.data) < needed:
        raise InputError(
            f"cloud of {height}x{width} points has {len(message.data)} bytes in rows of {message.row_step}: "
            f"{needed} bytes in rows of at least {length} are needed"
        )
    if not height * width:
        return np.empty(0, kind)
    memory = np.ascontiguousarray(message.data)
    rows: NDArray[Any] = np.ndarray((height, width), kind, memory.data, 0, (message.row_step, step))
    return rows.reshape(-1)


def _record_type(message: Any) -> np.dtype[Any]:
    """Where the values of a point lie; fields of several values or unknown types are left out."""
    order = ">" if message.is_bigendian else "<"
    fields = [field for field in message.fields if field.datatype in _CODES and field.count <= 1]
    kinds = [np.dtype(order + _CODES[field.datatype]) for field in fields]
    names = [field.name for field in fields]
    for field, kind in zip(fields, kinds, strict=True):
        if field.offset + kind.itemsize > message.point_step:
            raise InputError(
                f"field {field.name!r} takes bytes {field.offset} to {field.offset + kind.itemsize} of a point, "
                f"but a point has {message.point_step} bytes"
            )
    if missing := [name for name in "xyz" if name not in names]:
        raise InputError(f"cloud has no field {', '.join(missing)}; its fields are {', '.join(names) or 'none'}")
    offsets = [field.offset for field in fields]
    return np.dtype({"names": names, "formats": kinds, "offsets": offsets, "itemsize": message.point_step})


def _columns(rows: NDArray[Any], names: tuple[str, str, str]) -> Float32[np.ndarray, "N 3"]:
    columns = np.empty((len(rows), 3), np.float32)
    # FLOAT64 beyond float32 becomes infinite and is dropped as such.
    with np.errstate(over="ignore", invalid="ignore"):
        for axis, name in enumerate(names):
            columns[:, axis] = rows[name]
    return columns


def _rgb(rows: NDArray[Any]) -> Float32[np.ndarray, "N 3"] | None:
    names = rows.dtype.names or ()
    packed = next((name for name in ("rgb", "rgba") if name in names and rows.dtype[name].itemsize == 4), None)
    if packed is not None:
        # The bits are the colour, also where the field calls itself a float.
        bits = np.ascontiguousarray(rows[packed]).view(rows.dtype[packed].str[0] + "u4").astype(np.uint32)
        return np.stack([(bits >> shift) & 255 for shift in (16, 8, 0)], axis=1).astype(np.float32) * _UNIT
    if all(name in names and rows.dtype[name] == np.uint8 for name in "rgb"):
        return np.stack([rows[name] for name in "rgb"], axis=1).astype(np.float32) * _UNIT
    return None


def _packed(rgb: Float32[np.ndarray, "N 3"]) -> Float32[np.ndarray, " N"]:
    levels = (np.clip(np.nan_to_num(rgb), 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint32)
    packed: NDArray[np.uint32] = (levels[:, 0] << 16) | (levels[:, 1] << 8) | levels[:, 2]
    return packed.view(np.float32)


def _encode_ids(cloud: Cloud, ids: Int32[np.ndarray, " N"], scores: Float32[np.ndarray, " N"]) -> bytes:
    """Ids are 0 where there is no instance."""
    x, y, z = cloud.points.T
    rgb = _packed(instance_colours(ids))
    return _encode(cloud, {"x": x, "y": y, "z": z, "rgb": rgb, "instance_id": ids.astype(np.uint32), "score": scores})


def _encode(cloud: Cloud, columns: dict[str, NDArray[Any]]) -> bytes:
    types, size = _STORE.types, 4 * len(columns)
    rows = np.empty((len(cloud), len(columns)), np.uint32)
    for place, column in enumerate(columns.values()):
        rows[:, place] = np.ascontiguousarray(column).view(np.uint32)
    fields = [
        types["sensor_msgs/msg/PointField"](name, 4 * place, _UINT32 if column.dtype == np.uint32 else _FLOAT32, 1)
        for place, (name, column) in enumerate(columns.items())
    ]
    stamp = types["builtin_interfaces/msg/Time"](*divmod(cloud.stamp_ns, 1_000_000_000))
    header = types["std_msgs/msg/Header"](stamp, cloud.frame_id)
    data = rows.astype("<u4").reshape(-1).view(np.uint8)
    message = types[CLOUD](header, 1, len(cloud), fields, False, size, size * len(cloud), data, True)
    return bytes(_STORE.serialize_cdr(message, CLOUD))
