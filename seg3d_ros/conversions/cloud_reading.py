"""sensor_msgs/PointCloud2 to ``Cloud``, whatever the message's field layout."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64, Shaped, UInt32
from sensor_msgs.msg import PointCloud2, PointField

from seg3d_core.errors import InputError
from seg3d_core.types import Cloud
from seg3d_ros.conversions.cloud_kernels import NO_FIELD, are_unit_normals, read_points
from seg3d_ros.conversions.cloud_layout import CloudLayout, read_layout
from seg3d_ros.conversions.stamps import stamp_ns

_FLOATS = (PointField.FLOAT32, PointField.FLOAT64)
_PACKED = (PointField.FLOAT32, PointField.UINT32, PointField.INT32)
_NATIVE = "<" if sys.byteorder == "little" else ">"


class _Words(NamedTuple):
    """Points as 32-bit words in this machine's byte order, y and z behind x; steps and places count words."""

    memory: UInt32[np.ndarray, " M"]
    row: int
    step: int
    x: int
    colour: int


class _Points(NamedTuple):
    """The points with finite coordinates; ``kept`` is their row-major place in the message."""

    xyz: Float32[np.ndarray, "N 3"]
    rgb: Float32[np.ndarray, "N 3"] | None
    kept: Int64[np.ndarray, " N"]


def cloud_from_message(msg: PointCloud2) -> Cloud:
    """The points of a message that have finite coordinates, with their colour and normals.

    Coordinates are x, y, z as FLOAT32 or FLOAT64 (rounded to float32: 8 mm at 100 km). Colour is ``rgb`` or ``rgba``
    packed as 0xAARRGGBB in 32 bits of any type, or ``r``, ``g``, ``b`` as UINT8; alpha is dropped. Normals are
    ``normal_x`` ... or ``nx`` ...; they are taken only when every kept point has one of unit length, None otherwise.
    Other fields are ignored, and so is ``is_dense``. ``source_index`` is set when the cloud is organised or when
    points were dropped. A message without points gives an empty cloud.

    The points of a message of nothing but packed finite xyz are a view of it; every other layout is copied once.

    Raises:
        InputError: x, y or z is missing, a field has a type that cannot hold it or lies outside a point, ``row_step``
            is shorter than a row, or the data is shorter than declared.
    """
    layout = read_layout(msg)
    frame_id, stamp = msg.header.frame_id, stamp_ns(msg.header.stamp)
    if layout.count == 0:
        return Cloud(np.empty((0, 3), np.float32), frame_id=frame_id, stamp_ns=stamp)
    missing = [name for name in "xyz" if not layout.has(name)]
    if missing:
        found = ", ".join(layout.fields) or "none"
        raise InputError(f"cloud has no field {', '.join(missing)}; its fields are {found}")
    points = _read(layout)
    dropped = len(points.kept) < layout.count
    return Cloud(
        points=points.xyz,
        rgb=points.rgb,
        normals=_normals(layout, points.kept if dropped else None),
        frame_id=frame_id,
        stamp_ns=stamp,
        source_index=points.kept if dropped or layout.height > 1 else None,
        known_finite=True,
    )


def _read(layout: CloudLayout) -> _Points:
    xyz = [layout.column(name, *_FLOATS) for name in "xyz"]
    packed_name = next((name for name in ("rgb", "rgba") if layout.has(name)), None)
    # The bits are the colour, also where the field calls itself a float.
    packed = None if packed_name is None else layout.column(packed_name, *_PACKED).view(layout.byte_order + "u4")
    if packed is None and layout.has("r", "g", "b"):
        packed = _joined_colour(layout)
        words = _rearranged(xyz, packed)
    else:
        words = _in_place(layout, packed_name) or _rearranged(xyz, packed)
    return _view(layout, words) or _compacted(layout, words)


def _joined_colour(layout: CloudLayout) -> UInt32[np.ndarray, "H W"]:
    red, green, blue = (layout.column(name, PointField.UINT8).astype(np.uint32) for name in "rgb")
    return (red << 16) | (green << 8) | blue


def _in_place(layout: CloudLayout, packed_name: str | None) -> _Words | None:
    """The message's own memory, if what is wanted from it are aligned words that need no conversion."""
    xyz = [layout.fields[name] for name in "xyz"]
    places = [field.offset for field in xyz] + ([] if packed_name is None else [layout.fields[packed_name].offset])
    whole_words = all(number % 4 == 0 for number in (layout.row_step, layout.point_step, *places))
    single = all(field.datatype == PointField.FLOAT32 for field in xyz)
    if not (whole_words and single and layout.byte_order == _NATIVE and layout.data.ctypes.data % 4 == 0):
        return None
    x, y, z, *colour = (place // 4 for place in places)
    if (y, z) != (x + 1, x + 2):
        return None
    memory = layout.data[: len(layout.data) // 4 * 4].view(np.uint32)
    return _Words(memory, layout.row_step // 4, layout.point_step // 4, x, colour[0] if colour else NO_FIELD)


def _rearranged(xyz: list[Shaped[np.ndarray, "H W"]], packed: UInt32[np.ndarray, "H W"] | None) -> _Words:
    """Any layout, copied into the one that the kernel reads."""
    height, width = xyz[0].shape
    step = 3 if packed is None else 4
    memory = np.empty((height, width, step), np.uint32)
    # FLOAT64 beyond float32 becomes infinite and is dropped as such.
    with np.errstate(over="ignore", invalid="ignore"):
        for axis, column in enumerate(xyz):
            memory.view(np.float32)[..., axis] = column
    if packed is not None:
        memory[..., 3] = packed
    return _Words(memory.reshape(-1), step * width, step, 0, NO_FIELD if packed is None else 3)


def _view(layout: CloudLayout, words: _Words) -> _Points | None:
    """The words themselves, if they are nothing but packed xyz and all finite."""
    if words.step != 3 or words.row != 3 * layout.width or words.colour != NO_FIELD:
        return None
    flat = words.memory[: 3 * layout.count].view(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        finite = np.isfinite(np.dot(flat, flat))
    if not finite:
        return None
    return _Points(flat.reshape(-1, 3), None, _every_index(layout.count))


def _compacted(layout: CloudLayout, words: _Words) -> _Points:
    has_colour = words.colour != NO_FIELD
    # In one piece, because only arrays of 4 MiB and more get large pages (NumPy asks for them), which are faster.
    columns = np.empty((2 if has_colour else 1, layout.count, 3), np.float32)
    xyz, rgb = columns[0], columns[1:].reshape(-1, 3)
    kept = np.empty(layout.count, np.int64)
    whole = words.row == layout.width * words.step
    height, width = (1, layout.count) if whole else (layout.height, layout.width)
    source, target = words.memory.view(np.int32), xyz.view(np.int32).reshape(-1)
    place = (words.row, words.step, words.x, words.colour)
    count = read_points(source, height, width, *place, target, rgb.reshape(-1), kept)
    index = kept[:count] if count < layout.count else _every_index(count)
    return _Points(xyz[:count], rgb[:count] if has_colour else None, index)


@lru_cache(maxsize=4)
def _every_index(count: int) -> Int64[np.ndarray, " N"]:
    index = np.arange(count)
    index.setflags(write=False)
    return index


def _normals(layout: CloudLayout, kept: Int64[np.ndarray, " N"] | None) -> Float32[np.ndarray, "N 3"] | None:
    for names in (("normal_x", "normal_y", "normal_z"), ("nx", "ny", "nz")):
        if layout.has(*names):
            normals = np.empty((layout.count, 3), np.float32)
            with np.errstate(over="ignore", invalid="ignore"):
                for axis, name in enumerate(names):
                    normals.reshape(layout.height, layout.width, 3)[..., axis] = layout.column(name, *_FLOATS)
            normals = normals if kept is None else normals[kept]
            return normals if are_unit_normals(normals.reshape(-1)) else None
    return None
