"""Messages made by hand, and slow readers that know them byte by byte."""

from __future__ import annotations

import io
import struct
from array import array
from collections.abc import Sequence

import numpy as np
from PIL import Image as Pictures
from sensor_msgs.msg import CompressedImage, Image, PointCloud2, PointField

CODES = {1: "b", 2: "B", 3: "h", 4: "H", 5: "i", 6: "I", 7: "f", 8: "d"}
FLOAT32, FLOAT64, UINT32, UINT8 = PointField.FLOAT32, PointField.FLOAT64, PointField.UINT32, PointField.UINT8

Field = tuple[str, int, int]
"""Name, offset, datatype."""


def image(encoding: str, rows: np.ndarray, padding: int = 0, is_bigendian: bool = False) -> Image:
    """An image of (H, W) or (H, W, C) pixels, each row followed by ``padding`` bytes of 0xEE."""
    stored = rows.astype(rows.dtype.newbyteorder(">" if is_bigendian else "<"))
    lines = [row.tobytes() + b"\xee" * padding for row in stored]
    step = len(lines[0]) if lines else 0
    height, width = rows.shape[:2]
    return Image(
        height=height,
        width=width,
        encoding=encoding,
        step=step,
        is_bigendian=int(is_bigendian),
        data=array("B", b"".join(lines)),
    )


def compressed(data: bytes, text: str) -> CompressedImage:
    return CompressedImage(format=text, data=array("B", data))


def picture(pixels: np.ndarray, kind: str, **options: int) -> bytes:
    target = io.BytesIO()
    Pictures.fromarray(pixels).save(target, kind, **options)
    return target.getvalue()


def depth_header(a: float = 0.0, b: float = 0.0) -> bytes:
    return struct.pack("<iff", 0, a, b)


def rvl(pixels: np.ndarray, a: float = 0.0, b: float = 0.0) -> bytes:
    """A compressedDepth payload: header, size, stream."""
    height, width = pixels.shape
    return depth_header(a, b) + struct.pack("<II", width, height) + rvl_encode(pixels)


def jpeg_of(message: Image) -> CompressedImage:
    """An rgb8 image as image_transport's compressed plugin sends it."""
    pixels = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)
    sent = compressed(picture(pixels, "JPEG", quality=95), "rgb8; jpeg compressed bgr8")
    sent.header = message.header
    return sent


def compressed_depth_of(message: Image, codec: str) -> CompressedImage:
    """A 16UC1 image as the compressed_depth plugin sends it, ``codec`` png or rvl."""
    pixels = np.frombuffer(message.data, "<u2").reshape(message.height, message.width)
    data = depth_header() + picture(pixels, "PNG") if codec == "png" else rvl(pixels)
    sent = compressed(data, f"16UC1; compressedDepth {codec}")
    sent.header = message.header
    return sent


def cloud_message(
    fields: Sequence[Field],
    data: bytes,
    *,
    width: int,
    height: int = 1,
    point_step: int,
    row_step: int | None = None,
    is_bigendian: bool = False,
) -> PointCloud2:
    return PointCloud2(
        width=width,
        height=height,
        fields=[PointField(name=name, offset=offset, datatype=kind, count=1) for name, offset, kind in fields],
        point_step=point_step,
        row_step=width * point_step if row_step is None else row_step,
        is_bigendian=is_bigendian,
        data=array("B", data),
    )


XYZRGB_16 = [("x", 0, FLOAT32), ("y", 4, FLOAT32), ("z", 8, FLOAT32), ("rgb", 12, FLOAT32)]
XYZRGB_32 = [("x", 0, FLOAT32), ("y", 4, FLOAT32), ("z", 8, FLOAT32), ("rgb", 16, FLOAT32)]


def slow_values(msg: PointCloud2, name: str, code: str | None = None) -> list[float]:
    """One field of every point, read with ``struct``; ``code`` overrides the field's type."""
    field = next(field for field in msg.fields if field.name == name)
    order = ">" if msg.is_bigendian else "<"
    data = bytes(msg.data)
    return [
        struct.unpack_from(
            order + (code or CODES[field.datatype]), data, v * msg.row_step + u * msg.point_step + field.offset
        )[0]
        for v in range(msg.height)
        for u in range(msg.width)
    ]


def slow_cloud(msg: PointCloud2) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Finite points, their colour, their places."""
    names = [field.name for field in msg.fields]
    with np.errstate(over="ignore", invalid="ignore"):
        xyz = np.array([slow_values(msg, axis) for axis in "xyz"], np.float64).T.astype(np.float32)
    kept = np.array([index for index, point in enumerate(xyz) if all(np.isfinite(point))], np.int64)
    packed_name = next((name for name in ("rgb", "rgba") if name in names), None)
    rgb = None
    if packed_name is not None:
        words = slow_values(msg, packed_name, "I")
        rgb = np.array([[word >> 16 & 255, word >> 8 & 255, word & 255] for word in words])
    elif {"r", "g", "b"} <= set(names):
        rgb = np.array([slow_values(msg, channel) for channel in "rgb"]).T
    return xyz[kept], None if rgb is None else (rgb[kept] / 255).astype(np.float32), kept


def rvl_encode(pixels: np.ndarray) -> bytes:
    """RVL stream of 16-bit depth after Wilson 2017, written the plain way, number by number."""
    nibbles: list[int] = []

    def write(number: int) -> None:
        while True:
            nibble, number = number & 7, number >> 3
            nibbles.append(nibble | (8 if number else 0))
            if not number:
                return

    values = pixels.reshape(-1).tolist()
    place, previous = 0, 0
    while place < len(values):
        zeros = 0
        while place + zeros < len(values) and values[place + zeros] == 0:
            zeros += 1
        place += zeros
        count = 0
        while place + count < len(values) and values[place + count] != 0:
            count += 1
        write(zeros)
        write(count)
        for value in values[place : place + count]:
            delta, previous = value - previous, value
            write(2 * delta if delta >= 0 else -2 * delta - 1)
        place += count
    nibbles += [0] * (-len(nibbles) % 8)
    words = [int("".join(f"{nibble:x}" for nibble in nibbles[i : i + 8]), 16) for i in range(0, len(nibbles), 8)]
    return struct.pack(f"<{len(words)}I", *words)
