"""sensor_msgs/CompressedImage to arrays: JPEG and PNG colour, compressedDepth as PNG or RVL.

compressedDepth is what image_transport's compressed_depth plugin sends: a 12-byte header (an int32 and two float32
quantisation parameters), then a 16-bit PNG or an RVL stream. 16UC1 is millimetres as they are; 32FC1 was quantised
to 16 bits in inverse depth: depth = A / (q - B), q = 0 for no return.
"""

from __future__ import annotations

import io
import struct
import zlib
from array import array
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from jaxtyping import Float32, UInt8, UInt16
from PIL import Image as Pictures
from sensor_msgs.msg import CompressedImage

from seg3d_core.data.rvl_kernels import decode_rvl
from seg3d_core.errors import InputError
from seg3d_ros.conversions.image_kernels import unit_rgb
from seg3d_ros.conversions.images import depth_m_from_pixels
from seg3d_ros.conversions.payload import read_bytes

MAX_PIXELS = 1 << 26
"""Larger pictures are refused before memory is set aside for them: a few bytes can claim any size."""

PixelsT = TypeVar("PixelsT")

_HEADER = struct.Struct("<iff")
_RVL_SIZE = struct.Struct("<II")
_COLOUR_MODES = ("L", "RGB", "RGBA", "P")
_BROKEN_PICTURE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    Pictures.DecompressionBombError,
)
"""What Pillow raises on damaged files (UnidentifiedImageError is an OSError)."""


def rgb_from_compressed(msg: CompressedImage) -> Float32[np.ndarray, "H W 3"]:
    """Colour in 0..1 of a JPEG or PNG; alpha is dropped.

    Raises:
        InputError: compressedDepth or a 16-bit picture (depth), not a JPEG or PNG, damaged, or too large.
    """
    if "compressedDepth" in msg.format:
        raise InputError(f"compressed image has format {msg.format!r}: this is depth, is it on the colour topic?")
    pixels = _decode(msg.data, msg.format, ("JPEG", "PNG"), lambda picture: _colour_pixels(picture, msg.format))
    height, width = pixels.shape[:2]
    rgb = np.empty((height, width, 3), np.float32)
    unit_rgb(pixels.reshape(-1), height, width, 3 * width, 3, 0, 2, rgb.reshape(-1))
    return rgb


def depth_m_from_compressed(msg: CompressedImage) -> Float32[np.ndarray, "H W"]:
    """Depth in metres of a compressedDepth image (PNG or RVL, 16UC1 or 32FC1); 0 = no return.

    Raises:
        InputError: not compressedDepth, JPEG (lossy: depth edges become surfaces), an unknown codec or encoding, a
            header or stream that is damaged, truncated or claims more than ``MAX_PIXELS``.
    """
    encoding, codec = _depth_format(msg.format)
    data = read_bytes(msg.data)
    if len(data) <= _HEADER.size:
        raise InputError(f"{msg.format!r} image has {len(data)} bytes, its header alone takes {_HEADER.size} bytes")
    _, a, b = _HEADER.unpack(data[: _HEADER.size].tobytes())
    quantised = _CODECS[codec](data[_HEADER.size :], msg.format)
    if encoding == "16UC1":
        return depth_m_from_pixels(quantised)
    if not (np.isfinite(a) and np.isfinite(b) and a > 0):
        raise InputError(f"{msg.format!r} image has quantisation A = {a}, B = {b}; A must be positive, both finite")
    with np.errstate(divide="ignore", over="ignore"):
        depth_m = np.float32(a) / (quantised.astype(np.float32) - np.float32(b))
    depth_m[quantised == 0] = 0
    return depth_m_from_pixels(depth_m)


def _depth_format(text: str) -> tuple[str, str]:
    """Encoding and codec of "16UC1; compressedDepth png"; without a codec (older senders) it is png."""
    encoding, _, transport = text.partition(";")
    words = transport.split()
    if "jpeg" in text.lower() or "jpg" in text.lower():
        raise InputError(f"depth image has format {text!r}: JPEG is lossy and cannot carry depth; use png or rvl")
    if encoding.strip() not in ("16UC1", "mono16", "32FC1"):
        raise InputError(f"depth image has format {text!r}: encoding must be 16UC1, mono16 or 32FC1")
    if words and words[0] != "compressedDepth":
        raise InputError(f"depth image has format {text!r}, expected '16UC1; compressedDepth png' or rvl")
    codec = words[1] if len(words) > 1 else "png"
    if codec not in _CODECS:
        raise InputError(f"depth image has format {text!r}: codec {codec!r} is unknown, known are png and rvl")
    return encoding.strip().replace("mono16", "16UC1"), codec


def _colour_pixels(picture: Pictures.Image, name: str) -> UInt8[np.ndarray, "H W 3"]:
    if picture.mode not in _COLOUR_MODES:
        raise InputError(
            f"compressed colour image has pixels of mode {picture.mode!r} (format {name!r}): "
            f"colour is 8 bits, {', '.join(_COLOUR_MODES)}"
        )
    return np.array(picture.convert("RGB"))


def _depth_pixels(picture: Pictures.Image, name: str) -> UInt16[np.ndarray, "H W"]:
    # "I;16" in recent versions of Pillow, "I" (32 bits) in older ones.
    if not picture.mode.startswith("I"):
        raise InputError(f"{name!r} image holds a PNG of mode {picture.mode!r}, depth needs 16-bit grey")
    return np.array(picture).astype(np.uint16)


def _png_depth(data: UInt8[np.ndarray, " B"], name: str) -> UInt16[np.ndarray, "H W"]:
    return _decode(data, name, ("PNG",), lambda picture: _depth_pixels(picture, name))


def _rvl_depth(data: UInt8[np.ndarray, " B"], name: str) -> UInt16[np.ndarray, "H W"]:
    if len(data) < _RVL_SIZE.size:
        raise InputError(f"{name!r} image has {len(data)} bytes of RVL, its size alone takes {_RVL_SIZE.size} bytes")
    width, height = _RVL_SIZE.unpack(data[: _RVL_SIZE.size].tobytes())
    _check_size(width, height, name)
    stream = data[_RVL_SIZE.size :]
    words = np.frombuffer(stream[: len(stream) // 4 * 4].tobytes(), "<u4").astype(np.uint32)
    pixels = np.empty(height * width, np.uint16)
    done = decode_rvl(words, pixels)
    if done < len(pixels):
        raise InputError(f"{name!r} image is truncated or damaged: RVL stopped at {done} of {len(pixels)} pixels")
    return pixels.reshape(height, width)


_CODECS: dict[str, Callable[[UInt8[np.ndarray, " B"], str], UInt16[np.ndarray, "H W"]]] = {
    "png": _png_depth,
    "rvl": _rvl_depth,
}


def _check_size(width: int, height: int, name: str) -> None:
    if not 0 < width * height <= MAX_PIXELS:
        raise InputError(f"{name!r} image claims {width}x{height} px, must be 1 to {MAX_PIXELS} pixels")


def _decode(
    data: array[int] | UInt8[np.ndarray, " B"],
    name: str,
    formats: tuple[str, ...],
    to_pixels: Callable[[Pictures.Image], PixelsT],
) -> PixelsT:
    try:
        with Pictures.open(io.BytesIO(read_bytes(data).tobytes()), formats=formats) as picture:
            _check_size(picture.width, picture.height, name)
            return to_pixels(picture)
    except _BROKEN_PICTURE as error:
        raise InputError(f"{name!r} image of {len(data)} bytes cannot be decoded: {error}") from error
