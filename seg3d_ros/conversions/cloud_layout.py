"""Where the values of a PointCloud2 lie. Everything is checked here, so that reading cannot leave the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Shaped, UInt8
from sensor_msgs.msg import PointCloud2, PointField

from seg3d_core.errors import InputError
from seg3d_ros.conversions.payload import read_bytes

TYPE_CODES = {
    PointField.INT8: "i1",
    PointField.UINT8: "u1",
    PointField.INT16: "i2",
    PointField.UINT16: "u2",
    PointField.INT32: "i4",
    PointField.UINT32: "u4",
    PointField.FLOAT32: "f4",
    PointField.FLOAT64: "f8",
}
_TYPE_NAMES = {
    getattr(PointField, name): name
    for name in ("INT8", "UINT8", "INT16", "UINT16", "INT32", "UINT32", "FLOAT32", "FLOAT64")
}


@dataclass(frozen=True)
class CloudLayout:
    """A point cloud message's geometry, proven to lie inside its data.

    Attributes:
        data: the message's bytes, at least up to the end of the last point.
        height, width: rows and columns of points; height 1 = not organised.
        row_step, point_step: bytes from one row or point to the next.
        byte_order: "<" or ">".
        fields: the message's fields by name.
    """

    data: UInt8[np.ndarray, " B"]
    height: int
    width: int
    row_step: int
    point_step: int
    byte_order: str
    fields: dict[str, PointField]

    @property
    def count(self) -> int:
        """Number of points, invalid ones included."""
        return self.height * self.width

    def has(self, *names: str) -> bool:
        """Whether all these fields are there."""
        return all(name in self.fields for name in names)

    def column(self, name: str, *types: int) -> Shaped[np.ndarray, "H W"]:
        """A view of one field, in the message's byte order.

        Raises:
            InputError: the field's type is not one of ``types``, it is not a single value, or it does not fit in a
                point.
        """
        field = self.fields[name]
        if field.datatype not in types:
            found = _TYPE_NAMES.get(field.datatype, f"type {field.datatype}")
            raise InputError(f"field {name!r} is {found}, expected {' or '.join(_TYPE_NAMES[code] for code in types)}")
        # Old publishers leave the count of single values at 0.
        if field.count > 1:
            raise InputError(f"field {name!r} has {field.count} values per point, expected 1")
        dtype = np.dtype(self.byte_order + TYPE_CODES[field.datatype])
        if field.offset + dtype.itemsize > self.point_step:
            raise InputError(
                f"field {name!r} takes bytes {field.offset} to {field.offset + dtype.itemsize} of a point, "
                f"but a point has {self.point_step} bytes"
            )
        strides = (self.row_step, self.point_step)
        return np.ndarray((self.height, self.width), dtype, self.data, field.offset, strides)


def read_layout(msg: PointCloud2) -> CloudLayout:
    """Check a message's sizes against each other.

    Raises:
        InputError: a row is longer than ``row_step``, the data is shorter than the declared rows, or a field name
            occurs twice.
    """
    size = f"cloud of {msg.width}x{msg.height} points of {msg.point_step} bytes"
    row_bytes = msg.width * msg.point_step
    if msg.width * msg.height > 0 and msg.row_step < row_bytes:
        raise InputError(f"{size} has row_step = {msg.row_step} bytes, a row takes {row_bytes} bytes")
    # The padding of the last row may be left out.
    needed = msg.row_step * (msg.height - 1) + row_bytes if msg.width * msg.height else 0
    if len(msg.data) < needed:
        raise InputError(f"{size} is truncated: {len(msg.data)} bytes of data, {needed} bytes needed")
    names = [field.name for field in msg.fields]
    if len(set(names)) < len(names):
        raise InputError(f"cloud has fields of the same name: {', '.join(names)}")
    return CloudLayout(
        data=read_bytes(msg.data),
        height=msg.height,
        width=msg.width,
        row_step=msg.row_step,
        point_step=msg.point_step,
        byte_order=">" if msg.is_bigendian else "<",
        fields={field.name: field for field in msg.fields},
    )
