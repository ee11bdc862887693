"""sensor_msgs/Image to and from arrays.

Colour becomes float32 in 0..1, depth becomes float32 metres with 0 = no return. The unit of depth follows from the
encoding alone (REP-118): 16-bit integers are millimetres, 32-bit floats are metres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Shaped, UInt8
from sensor_msgs.msg import Image

from seg3d_core.errors import InputError
from seg3d_core.types import Instances
from seg3d_ros.conversions.image_kernels import (
    bytes_from_unit,
    finite_metres,
    metres_from_millimetres,
    unit_rgb,
)
from seg3d_ros.conversions.payload import message_of, read_bytes, write_bytes
from seg3d_ros.conversions.stamps import header


@dataclass(frozen=True)
class _ColourLayout:
    channels: int
    red: int
    blue: int


_COLOUR = {
    "rgb8": _ColourLayout(3, red=0, blue=2),
    "bgr8": _ColourLayout(3, red=2, blue=0),
    "rgba8": _ColourLayout(4, red=0, blue=2),
    "bgra8": _ColourLayout(4, red=2, blue=0),
    "mono8": _ColourLayout(1, red=0, blue=0),
}
_DEPTH = {"16UC1": "u2", "mono16": "u2", "32FC1": "f4"}


def rgb_from_image(msg: Image) -> Float32[np.ndarray, "H W 3"]:
    """Colour in 0..1 of an rgb8, bgr8, rgba8, bgra8 or mono8 image; alpha is dropped.

    Raises:
        InputError: the encoding is a depth encoding or unknown, the image is empty, ``step`` is shorter than a row,
            or data is missing.
    """
    layout = _COLOUR.get(msg.encoding)
    if layout is None:
        hint = "this is a depth image, is it on the colour topic?" if msg.encoding in _DEPTH else "not supported"
        raise InputError(f"colour image has encoding {msg.encoding!r}: {hint} (colour is {', '.join(_COLOUR)})")
    data = _checked_bytes(msg, msg.width * layout.channels)
    rgb = np.empty((msg.height, msg.width, 3), np.float32)
    unit_rgb(data, msg.height, msg.width, msg.step, layout.channels, layout.red, layout.blue, rgb.reshape(-1))
    return rgb


def depth_m_from_image(msg: Image) -> Float32[np.ndarray, "H W"]:
    """Depth in metres of a 16UC1 or mono16 (mm, 0 = none) or 32FC1 (m) image; 0 = no return.

    NaN and infinities (REP-117) and negative depths become 0.

    Raises:
        InputError: the encoding is a colour encoding or unknown, the image is empty, ``step`` is shorter than a row,
            or data is missing.
    """
    code = _DEPTH.get(msg.encoding)
    if code is None:
        hint = "this is a colour image, is it on the depth topic?" if msg.encoding in _COLOUR else "not supported"
        raise InputError(f"depth image has encoding {msg.encoding!r}: {hint} (depth is {', '.join(_DEPTH)})")
    dtype = np.dtype(code).newbyteorder(">" if msg.is_bigendian else "<")
    data = _checked_bytes(msg, msg.width * dtype.itemsize)
    pixels = np.ndarray((msg.height, msg.width), dtype, data, strides=(msg.step, dtype.itemsize))
    return depth_m_from_pixels(pixels)


def depth_m_from_pixels(pixels: Shaped[np.ndarray, "H W"]) -> Float32[np.ndarray, "H W"]:
    """Metres from uint16 millimetres or float32 metres of any byte order; what is not a positive number becomes 0."""
    native = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("="))
    depth_m = np.empty(native.shape, np.float32)
    convert = metres_from_millimetres if native.dtype == np.uint16 else finite_metres
    convert(np.require(native, requirements="A").reshape(-1), depth_m.reshape(-1))
    return depth_m


def _checked_bytes(msg: Image, row_bytes: int) -> UInt8[np.ndarray, " B"]:
    size = f"{msg.encoding} image of {msg.width}x{msg.height} px"
    if msg.width == 0 or msg.height == 0:
        raise InputError(f"{size} is empty")
    if msg.step < row_bytes:
        raise InputError(f"{size} has step = {msg.step} bytes, a row needs {row_bytes} bytes")
    # Some drivers leave the padding of the last row out.
    needed = msg.step * (msg.height - 1) + row_bytes
    if len(msg.data) < needed:
        raise InputError(f"{size} is truncated: {len(msg.data)} bytes of data, {needed} bytes needed")
    return read_bytes(msg.data)


def image_from_rgb(rgb: Float32[np.ndarray, "H W 3"], frame_id: str, stamp_ns: int) -> Image:
    """An rgb8 image of colour in 0..1; values outside are clipped, NaN becomes 0."""
    pixels = np.empty(rgb.shape, np.uint8)
    bytes_from_unit(np.ascontiguousarray(rgb).reshape(-1), pixels.reshape(-1))
    return _image(pixels, "rgb8", frame_id, stamp_ns)


def image_from_depth_m(depth_m: Float32[np.ndarray, "H W"], frame_id: str, stamp_ns: int) -> Image:
    """A 16UC1 image in millimetres, 0 = no return.

    Raises:
        InputError: a depth is negative, NaN or does not fit in 16 bits (65.535 m).
    """
    depth_mm = np.rint(depth_m * np.float32(1000))
    if not ((depth_mm >= 0) & (depth_mm <= 65_535)).all():
        raise InputError(f"depth from {depth_m.min():.3f} to {depth_m.max():.3f} m, a 16UC1 image holds 0 to 65.535 m")
    return _image(depth_mm.astype("<u2"), "16UC1", frame_id, stamp_ns)


def label_image(instances: Instances, height: int, width: int) -> Image:
    """The instance id of every pixel of the image that the cloud came from; 0 = none, row-major.

    16UC1 while every id fits in 16 bits, because RViz and Foxglove show that and neither shows 32SC1; 32SC1 after
    65,535 ids. Read the encoding.

    Raises:
        InputError: the cloud does not know its pixels, or they lie outside ``width`` x ``height``.
    """
    index = instances.cloud.source_index
    if index is None:
        raise InputError(f"the cloud of {len(instances.cloud)} points does not come from an image: no source_index")
    if len(index) and not 0 <= index.min() <= index.max() < height * width:
        raise InputError(
            f"points come from pixels {index.min()} to {index.max()}, an image of {width}x{height} px has "
            f"{height * width}"
        )
    fits = instances.instance_ids.max(initial=0) <= 65_535
    pixels = np.zeros(height * width, "<u2" if fits else "<i4")
    pixels[index] = instances.point_ids
    cloud = instances.cloud
    return _image(pixels.reshape(height, width), "16UC1" if fits else "32SC1", cloud.frame_id, cloud.stamp_ns)


def _image(pixels: Shaped[np.ndarray, "H W ..."], encoding: str, frame_id: str, stamp_ns: int) -> Image:
    return message_of(
        Image,
        write_bytes(pixels),
        header=header(frame_id, stamp_ns),
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=pixels.strides[0],
    )
