"""Images smaller on their way into a recording: colour as JPEG, depth without loss; as image_transport would send them.

A compressed image is a message of another type on another topic: <topic>/compressed or <topic>/compressedDepth.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8, UInt16
from PIL import Image
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_typestore

from seg3d_core.data.rvl_kernels import encode_rvl
from seg3d_core.errors import InputError
from seg3d_core.recording.message import RecordedMessage
from seg3d_core.recording.topics import RecordedTopic, TypeDefinitions

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"

_STORE = get_typestore(Stores.ROS2_JAZZY)
_CHANNELS = {"rgb8": (0, 1, 2), "bgr8": (2, 1, 0), "rgba8": (0, 1, 2), "bgra8": (2, 1, 0), "mono8": (0,)}
"""Which bytes of a pixel are red, green and blue."""

_PIXEL_BYTES = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}
_DEPTH_HEADER = struct.pack("<iff", 0, 0.0, 0.0)
"""compressedDepth begins with this: the parameters of a quantisation that 16-bit depth does not have."""


def jpeg(types: TypeDefinitions, topic: RecordedTopic, quality: int) -> Callable[[RecordedMessage], RecordedMessage]:
    """Makes CompressedImage on <topic>/compressed of the colour images of ``topic``; ``quality`` 1 to 95.

    The result raises InputError for images that are damaged or of another encoding than 8-bit colour.
    """
    target = types.topic(f"{topic.name}/compressed", COMPRESSED, topic.is_latched)

    def compress(message: RecordedMessage) -> RecordedMessage:
        image = _decode(message.data)
        picture = Image.fromarray(_colour(image))
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality)
        order = "mono8" if image.encoding == "mono8" else "bgr8"
        return _compressed(message, target, image, f"{image.encoding}; jpeg compressed {order}", file.getvalue())

    return compress


def lossless_depth(
    types: TypeDefinitions, topic: RecordedTopic, codec: Literal["png", "rvl"]
) -> Callable[[RecordedMessage], RecordedMessage]:
    """Makes CompressedImage on <topic>/compressedDepth of the depth images of ``topic``, every pixel as it was.

    The result raises InputError for images that are damaged or not 16UC1 (mm): 32FC1 cannot be sent without loss.
    """
    target = types.topic(f"{topic.name}/compressedDepth", COMPRESSED, topic.is_latched)
    pack = {"png": _png, "rvl": _rvl}[codec]

    def compress(message: RecordedMessage) -> RecordedMessage:
        image = _decode(message.data)
        data = _DEPTH_HEADER + pack(_depth(image))
        return _compressed(message, target, image, f"16UC1; compressedDepth {codec}", data)

    return compress


def _compressed(message: RecordedMessage, target: RecordedTopic, image: Any, name: str, data: bytes) -> RecordedMessage:
    smaller = _STORE.types[COMPRESSED](image.header, name, np.frombuffer(data, np.uint8))
    return replace(message, topic=target, data=bytes(_STORE.serialize_cdr(smaller, COMPRESSED)))


def _decode(data: bytes) -> Any:
    try:
        return _STORE.deserialize_cdr(data, IMAGE)
    except (SerdeError, ValueError, IndexError, struct.error, AssertionError) as error:
        raise InputError(f"image is damaged: {error}") from error


def _colour(image: Any) -> UInt8[np.ndarray, "..."]:
    channels = _CHANNELS.get(image.encoding)
    if channels is None:
        raise InputError(f"{image.encoding} images are not compressed: colour must be one of {', '.join(_CHANNELS)}")
    width = _PIXEL_BYTES[image.encoding]
    pixels = _rows(image, width).reshape(image.height, image.width, width)
    return np.ascontiguousarray(pixels[..., list(channels)]).squeeze() if width == 1 else pixels[..., list(channels)]


def _depth(image: Any) -> UInt16[np.ndarray, "H W"]:
    if image.encoding not in ("16UC1", "mono16"):
        raise InputError(f"{image.encoding} images are not compressed: depth without loss must be 16UC1 (mm)")
    order = ">u2" if image.is_bigendian else "<u2"
    return _rows(image, 2).view(order).astype(np.uint16).reshape(image.height, image.width)


def _rows(image: Any, pixel_bytes: int) -> UInt8[np.ndarray, "H B"]:
    """The bytes of each row, without the padding at its end."""
    length, size = image.width * pixel_bytes, image.step * image.height
    if image.step < length or len(image.data) < size or not length * image.height:
        raise InputError(
            f"image of {image.width}x{image.height} px has {len(image.data)} bytes in steps of {image.step}: "
            f"{length} bytes a row are needed"
        )
    return np.ascontiguousarray(np.asarray(image.data)[:size].reshape(image.height, image.step)[:, :length])


def _png(depth: UInt16[np.ndarray, "H W"]) -> bytes:
    file = io.BytesIO()
    # The fastest level: higher ones save a few percent and take several times as long.
    Image.fromarray(depth).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _rvl(depth: UInt16[np.ndarray, "H W"]) -> bytes:
    words = np.zeros(depth.size + 2, np.uint32)
    count = encode_rvl(depth.reshape(-1), words)
    height, width = depth.shape
    return struct.pack("<II", width, height) + words[:count].astype("<u4").tobytes()
