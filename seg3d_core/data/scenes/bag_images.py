"""Images and camera descriptions out of recorded ROS messages, without ROS."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt16
from numpy.typing import NDArray
from PIL import Image
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_typestore

from seg3d_core.data.rvl_kernels import decode_rvl
from seg3d_core.errors import InputError
from seg3d_core.geometry.camera import Camera

RAW, COMPRESSED, INFO = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/CameraInfo"

_STORE = get_typestore(Stores.ROS2_JAZZY)
_CHANNELS = {"rgb8": "012", "bgr8": "210", "rgba8": "012", "bgra8": "210", "mono8": "000"}
"""Which bytes of a pixel are red, green and blue."""

_DEPTH_TYPES = {"16UC1": "u2", "mono16": "u2", "32FC1": "f4"}
_RVL_SIZE = struct.Struct("<II")
_MAX_PIXELS = 1 << 26
"""Larger pictures are refused before memory is set aside for them."""

_DEPTH_HEADER = struct.Struct("<iff")
"""compressedDepth begins with this: a number, and two quantisation parameters of 32-bit depth."""


def header_of(data: bytes) -> tuple[int, str]:
    """Stamp (ns) and frame_id of a message that begins with a header, from its CDR bytes.

    Raises:
        InputError: too short, or not text.
    """
    try:
        order = "<" if data[1] & 1 else ">"
        seconds, nanoseconds, length = struct.unpack_from(f"{order}iII", data, 4)
        frame_id = bytes(data[16 : 16 + max(length - 1, 0)]).decode()
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise InputError(f"message header is damaged: {error}") from error
    return seconds * 1_000_000_000 + nanoseconds, frame_id


def decode_camera(data: bytes) -> Camera:
    """Camera of a CameraInfo.

    Raises:
        InputError: damaged, not calibrated, or of a part of the image (region of interest, binning).
    """
    info = _decode(data, INFO)
    if max(info.binning_x, info.binning_y) > 1 or info.roi.width or info.roi.height:
        raise InputError("camera_info describes a part of the image (binning or region of interest)")
    K = np.array(info.k, np.float64).reshape(3, 3)
    camera = Camera(info.width, info.height, K, np.array(info.d, np.float64), info.distortion_model)
    return camera if camera.is_distorted else camera.rectified()


def decode_rgb(data: bytes, type_name: str) -> Float32[np.ndarray, "H W 3"]:
    """Colour image in 0..1.

    Raises:
        InputError: damaged, or an encoding that is no colour.
    """
    message = _decode(data, type_name)
    if type_name == COMPRESSED:
        return np.asarray(_unpacked(bytes(message.data)).convert("RGB"), np.float32) / np.float32(255)
    order = _CHANNELS.get(message.encoding)
    if order is None:
        raise InputError(f"colour image has encoding {message.encoding!r}, known are {', '.join(_CHANNELS)}")
    width = {"mono8": 1, "rgb8": 3, "bgr8": 3}.get(message.encoding, 4)
    pixels = _rows(message, np.dtype("u1"), width)
    return pixels[..., [int(channel) for channel in order]].astype(np.float32) / np.float32(255)


def decode_depth_m(data: bytes, type_name: str) -> Float32[np.ndarray, "H W"]:
    """Depth in metres; 0 = no return, which NaN and infinity become.

    Raises:
        InputError: damaged, or an encoding that is no depth.
    """
    message = _decode(data, type_name)
    if type_name == COMPRESSED:
        return _compressed_depth_m(message)
    code = _DEPTH_TYPES.get(message.encoding)
    if code is None:
        raise InputError(f"depth image has encoding {message.encoding!r}, known are {', '.join(_DEPTH_TYPES)}")
    return _metres(_rows(message, np.dtype((">" if message.is_bigendian else "<") + code), 1)[..., 0])


def _compressed_depth_m(message: Any) -> Float32[np.ndarray, "H W"]:
    """compressedDepth: a short header, then a PNG of millimetres or of quantised inverse depth."""
    data = bytes(message.data)
    if "compressedDepth" not in message.format or len(data) < _DEPTH_HEADER.size:
        raise InputError(f"compressed depth has format {message.format!r}, expected ...compressedDepth...")
    packed = data[_DEPTH_HEADER.size :]
    raw = (_rvl_pixels(packed) if message.format.endswith("rvl") else np.asarray(_unpacked(packed))).astype(np.float32)
    if message.format.startswith("32FC1"):
        _, a, b = _DEPTH_HEADER.unpack_from(data)
        return np.where(raw > 0, np.float32(a) / np.maximum(raw - np.float32(b), np.float32(1e-6)), np.float32(0))
    return raw / np.float32(1000)


def _rvl_pixels(data: bytes) -> UInt16[np.ndarray, "H W"]:
    if len(data) < _RVL_SIZE.size:
        raise InputError(f"compressed depth has {len(data)} bytes of RVL, its size alone takes {_RVL_SIZE.size} bytes")
    width, height = _RVL_SIZE.unpack_from(data)
    if not 0 < width * height <= _MAX_PIXELS:
        raise InputError(f"compressed depth claims {width}x{height} px, must be 1 to {_MAX_PIXELS} pixels")
    stream = data[_RVL_SIZE.size :]
    pixels = np.empty(width * height, np.uint16)
    done = decode_rvl(np.frombuffer(stream[: len(stream) // 4 * 4], "<u4").astype(np.uint32), pixels)
    if done < len(pixels):
        raise InputError(f"compressed depth is damaged: RVL stopped at {done} of {len(pixels)} pixels")
    return pixels.reshape(height, width)


def _metres(values: NDArray[Any]) -> Float32[np.ndarray, "H W"]:
    if values.dtype.kind == "u":
        return np.where(values == 65535, np.float32(0), values.astype(np.float32) / np.float32(1000))
    usable = np.isfinite(values) & (values > 0)
    return np.where(usable, values, 0).astype(np.float32)


def _rows(message: Any, dtype: np.dtype[Any], channels: int) -> NDArray[Any]:
    """(H, W, channels) pixels, without the padding at the end of rows."""
    length, height = message.width * channels * dtype.itemsize, message.height
    if message.step < length or len(message.data) < message.step * height or not length * height:
        raise InputError(
            f"image of {message.width}x{height} px has {len(message.data)} bytes in steps of {message.step}: "
            f"{length} bytes a row are needed"
        )
    rows = np.asarray(message.data, np.uint8)[: message.step * height].reshape(height, message.step)[:, :length]
    return np.ascontiguousarray(rows).view(dtype).reshape(height, message.width, channels)


def _unpacked(data: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
    # PIL raises SyntaxError and ValueError for damaged PNG chunks.
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"compressed image is damaged: {error}") from error
    return image


def _decode(data: bytes, type_name: str) -> Any:
    try:
        return _STORE.deserialize_cdr(data, type_name)
    except (SerdeError, ValueError, IndexError, struct.error, AssertionError) as error:
        raise InputError(f"{type_name} message is damaged: {error}") from error
