from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image
from rosbags.typesys import Stores, get_typestore

from seg3d_core.data.bags import BagTopic
from seg3d_core.data.scenes.bag_images import (
    COMPRESSED,
    INFO,
    RAW,
    decode_camera,
    decode_depth_m,
    decode_rgb,
    header_of,
)
from seg3d_core.data.scenes.bag_topics import BagTopicsConfig, choose_topics
from seg3d_core.errors import InputError

STORE = get_typestore(Stores.ROS2_JAZZY)
PIXELS = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)


def header(frame_id: str = "camera") -> object:
    return STORE.types["std_msgs/msg/Header"](STORE.types["builtin_interfaces/msg/Time"](5, 7), frame_id)


def wire(kind: str, *fields: object) -> bytes:
    return bytes(STORE.serialize_cdr(STORE.types[kind](header(), *fields), kind))


def raw(encoding: str, pixels: np.ndarray, padding: int = 0, is_bigendian: bool = False) -> bytes:
    height, width = pixels.shape[:2]
    rows = np.frombuffer(np.ascontiguousarray(pixels).tobytes(), np.uint8).reshape(height, -1)
    rows = np.pad(rows, ((0, 0), (0, padding)))
    return wire(RAW, height, width, encoding, int(is_bigendian), rows.shape[1], rows.ravel())


def compressed(kind: str, prefix: bytes, image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "png")
    return wire(COMPRESSED, kind, np.frombuffer(prefix + file.getvalue(), np.uint8))


def info(*, d: list[float], binning: int = 0) -> bytes:
    roi = STORE.types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    K = np.array([500.0, 0, 320, 0, 500, 240, 0, 0, 1])
    fields = (480, 640, "plumb_bob", np.array(d), K, np.eye(3).ravel(), np.zeros(12), binning, binning, roi)
    return wire(INFO, *fields)


def test_headers_are_read_without_decoding() -> None:
    assert header_of(raw("rgb8", PIXELS)) == (5_000_000_007, "camera")
    with pytest.raises(InputError, match="message header is damaged"):
        header_of(b"\0\1\0\0\0")


def test_colours_of_all_encodings() -> None:
    expected = PIXELS / np.float32(255)
    alpha = np.concatenate([PIXELS, np.full((2, 3, 1), 9, np.uint8)], axis=2)
    for data in (
        raw("rgb8", PIXELS),
        raw("rgb8", PIXELS, padding=5),
        raw("bgr8", PIXELS[..., ::-1]),
        raw("rgba8", alpha),
        raw("bgra8", alpha[..., [2, 1, 0, 3]]),
    ):
        np.testing.assert_array_equal(decode_rgb(data, RAW), expected)
    np.testing.assert_array_equal(decode_rgb(raw("mono8", PIXELS[..., 0]), RAW), expected[..., [0, 0, 0]])
    np.testing.assert_array_equal(decode_rgb(compressed("png", b"", Image.fromarray(PIXELS)), COMPRESSED), expected)


def test_depths_of_all_encodings() -> None:
    steps = np.array([[0, 1500, 65535]], np.uint16)
    expected = np.array([[0, 1.5, 0]], np.float32)
    metres = np.array([[np.nan, 1.5, np.inf]], np.float32)
    for data in (raw("16UC1", steps), raw("mono16", steps.astype(">u2"), is_bigendian=True), raw("32FC1", metres)):
        np.testing.assert_array_equal(decode_depth_m(data, RAW), expected)
    quantised = Image.fromarray(np.array([[0, 110, 0]], np.uint16))
    for kind, prefix, image in (
        ("16UC1; compressedDepth png", bytes(12), Image.fromarray(np.array([[0, 1500, 0]], np.uint16))),
        ("32FC1; compressedDepth png", struct.pack("<iff", 0, 150.0, 10.0), quantised),
    ):
        np.testing.assert_array_equal(decode_depth_m(compressed(kind, prefix, image), COMPRESSED), expected)


def test_cameras() -> None:
    assert decode_camera(info(d=[0.0] * 5)).distortion_model == ""
    assert decode_camera(info(d=[0.1, 0, 0, 0, 0])).is_distorted
    with pytest.raises(InputError, match="a part of the image"):
        decode_camera(info(d=[0.0] * 5, binning=2))


def test_what_cannot_be_decoded_is_refused_in_words() -> None:
    short = wire(RAW, 2, 3, "rgb8", 0, 9, np.zeros(10, np.uint8))
    for data, message in (
        (raw("yuv422", PIXELS), "encoding 'yuv422', known are rgb8"),
        (short, "image of 3x2 px has 10 bytes in steps of 9"),
        (raw("rgb8", PIXELS)[:40], "message is damaged"),
    ):
        with pytest.raises(InputError, match=message):
            decode_rgb(data, RAW)
    with pytest.raises(InputError, match="encoding 'rgb8', known are 16UC1"):
        decode_depth_m(raw("rgb8", PIXELS), RAW)
    broken = wire(COMPRESSED, "jpeg", np.zeros(40, np.uint8))
    with pytest.raises(InputError, match="compressed image is damaged"):
        decode_rgb(broken, COMPRESSED)
    with pytest.raises(InputError, match=r"format 'jpeg', expected \.\.\.compressedDepth"):
        decode_depth_m(broken, COMPRESSED)


def topics(*names: str) -> list[BagTopic]:
    kinds = {"info": INFO, "pressed": COMPRESSED, "Depth": COMPRESSED}
    return [BagTopic(n, next((k for end, k in kinds.items() if n.endswith(end)), RAW), 1, False) for n in names]


def test_topics_are_found_by_their_names() -> None:
    found = choose_topics(
        topics(
            "/c/color/image_raw", "/c/color/image_raw/compressed", "/c/color/camera_info", "/c/depth/image_rect_raw",
            "/c/depth/camera_info", "/c/aligned_depth_to_color/image_raw", "/c/aligned_depth_to_color/camera_info",
        ),
        BagTopicsConfig.build({}),
        "bag",
    )  # fmt: skip
    assert (found.colour, found.colour_info) == ("/c/color/image_raw", "/c/color/camera_info")
    assert (found.depth, found.depth_info) == (
        "/c/aligned_depth_to_color/image_raw",
        "/c/aligned_depth_to_color/camera_info",
    )
    found = choose_topics(
        topics("/rgb/camera_info", "/rgb/image/compressed", "/depth/camera_info", "/depth/image/compressedDepth"),
        BagTopicsConfig.build({}),
        "bag",
    )
    assert (found.colour_info, found.depth_info) == ("/rgb/camera_info", "/depth/camera_info")
    with pytest.raises(
        InputError, match=r"has several topics of colour images; choose with --set bag\.colour_topic=NAME"
    ):
        choose_topics(topics("/a/rgb/image", "/b/rgb/image", "/depth"), BagTopicsConfig.build({}), "bag")
    with pytest.raises(InputError, match="has no messages on topic /rgb/camera_info"):
        choose_topics(topics("/rgb/image", "/depth/image"), BagTopicsConfig.build({}), "bag")
