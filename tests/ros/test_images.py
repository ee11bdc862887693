from __future__ import annotations

import struct
from array import array

import numpy as np
import pytest

pytest.importorskip("sensor_msgs")

from hypothesis import given, settings
from hypothesis import strategies as st
from message_builders import image
from sensor_msgs.msg import Image

from seg3d_core.errors import InputError
from seg3d_core.types import Cloud, Instances
from seg3d_ros.conversions.images import (
    depth_m_from_image,
    image_from_depth_m,
    image_from_rgb,
    label_image,
    rgb_from_image,
)

pytestmark = pytest.mark.ros

CHANNELS = {"rgb8": "RGB", "bgr8": "BGR", "rgba8": "RGBA", "bgra8": "BGRA", "mono8": "M"}
DEPTHS = {"16UC1": "H", "mono16": "H", "32FC1": "f"}


@pytest.mark.parametrize(
    ("encoding", "pixel"),
    [
        ("rgb8", [255, 51, 0]),
        ("bgr8", [0, 51, 255]),
        ("rgba8", [255, 51, 0, 7]),
        ("bgra8", [0, 51, 255, 7]),
    ],
)
@pytest.mark.parametrize("padding", [0, 1, 5])
def test_colour_by_hand(encoding: str, pixel: list[int], padding: int) -> None:
    rgb = rgb_from_image(image(encoding, np.array([[pixel, pixel], [pixel, pixel]], np.uint8), padding))
    assert rgb.dtype == np.float32
    np.testing.assert_allclose(rgb, np.broadcast_to([1, 0.2, 0], (2, 2, 3)), atol=1e-7)


def test_grey_by_hand() -> None:
    np.testing.assert_allclose(
        rgb_from_image(image("mono8", np.array([[0, 255]], np.uint8))), [[[0, 0, 0], [1, 1, 1]]], atol=1e-7
    )


@pytest.mark.parametrize("is_bigendian", [False, True])
@pytest.mark.parametrize("padding", [0, 3])
def test_depth_unit_follows_from_the_encoding(is_bigendian: bool, padding: int) -> None:
    millimetres = image("16UC1", np.array([[0, 1000, 65535]], np.uint16), padding, is_bigendian)
    np.testing.assert_array_equal(depth_m_from_image(millimetres), np.float32([[0, 1, 65.535]]))
    metres = image("32FC1", np.array([[1.5, 0.25]], np.float32), padding, is_bigendian)
    np.testing.assert_array_equal(depth_m_from_image(metres), np.float32([[1.5, 0.25]]))


def test_no_return_is_zero() -> None:
    depth = np.array([[np.nan, np.inf, -np.inf, -1, 0, 2]], np.float32)
    np.testing.assert_array_equal(depth_m_from_image(image("32FC1", depth)), np.float32([[0, 0, 0, 0, 0, 2]]))


def test_the_message_is_not_changed_and_not_aliased() -> None:
    msg = image("32FC1", np.array([[np.nan, 1.0]], np.float32))
    before = bytes(msg.data)
    depth_m_from_image(msg)[:] = 7
    assert bytes(msg.data) == before


@pytest.mark.parametrize(
    ("read", "encoding", "message"),
    [
        (rgb_from_image, "16UC1", "'16UC1': this is a depth image, is it on the colour topic"),
        (rgb_from_image, "yuv422", "'yuv422': not supported .*rgb8, bgr8"),
        (depth_m_from_image, "rgb8", "'rgb8': this is a colour image, is it on the depth topic"),
        (depth_m_from_image, "64FC1", "'64FC1': not supported .*16UC1, mono16, 32FC1"),
    ],
)
def test_wrong_encoding(read, encoding: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(Image(height=1, width=1, encoding=encoding, step=8, data=array("B", bytes(8))))


def test_sizes_that_contradict_each_other() -> None:
    msg = image("rgb8", np.zeros((4, 5, 3), np.uint8))
    msg.step = 14
    with pytest.raises(InputError, match="5x4 px has step = 14 bytes, a row needs 15 bytes"):
        rgb_from_image(msg)
    msg.step = 15
    msg.data = msg.data[:59]
    with pytest.raises(InputError, match="truncated: 59 bytes of data, 60 bytes needed"):
        rgb_from_image(msg)
    with pytest.raises(InputError, match="0x4 px is empty"):
        depth_m_from_image(Image(height=4, width=0, encoding="16UC1"))


def test_the_padding_of_the_last_row_may_be_missing() -> None:
    pixels = np.arange(12, dtype=np.uint16).reshape(3, 4)
    msg = image("16UC1", pixels, padding=6)
    msg.data = msg.data[:-6]
    np.testing.assert_allclose(depth_m_from_image(msg), pixels / 1000, rtol=1e-6)


def slow_rgb(msg: Image) -> np.ndarray:
    names = CHANNELS[msg.encoding]
    rgb = np.zeros((msg.height, msg.width, 3))
    for v in range(msg.height):
        for u in range(msg.width):
            start = v * msg.step + u * len(names)
            pixel = dict(zip(names, msg.data[start : start + len(names)], strict=True))
            rgb[v, u] = [pixel.get(name, pixel.get("M")) / 255 for name in "RGB"]
    return rgb


def slow_depth_m(msg: Image) -> np.ndarray:
    code = DEPTHS[msg.encoding]
    depth_m = np.zeros((msg.height, msg.width))
    for v in range(msg.height):
        for u in range(msg.width):
            place = v * msg.step + u * struct.calcsize(code)
            value = struct.unpack_from((">" if msg.is_bigendian else "<") + code, bytes(msg.data), place)[0]
            metres = value / 1000 if code == "H" else value
            depth_m[v, u] = metres if 0 < metres < float("inf") else 0
    return depth_m


random_images = st.builds(
    lambda height, width, encoding, step, big, data: Image(
        height=height, width=width, encoding=encoding, step=step, is_bigendian=big, data=array("B", data)
    ),
    st.integers(0, 4),
    st.integers(0, 4),
    st.sampled_from([*CHANNELS, *DEPTHS, "", "yuv422", "RGB8"]),
    st.integers(0, 20),
    st.integers(0, 1),
    st.binary(max_size=80),
)


@given(random_images)
@settings(deadline=None, max_examples=400)
def test_random_images_are_read_right_or_refused(msg: Image) -> None:
    for read, slow in ((rgb_from_image, slow_rgb), (depth_m_from_image, slow_depth_m)):
        try:
            pixels = read(msg)
        except InputError:
            continue
        np.testing.assert_allclose(pixels, slow(msg), rtol=1e-6, atol=1e-7)


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=20)
def test_round_trips(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rgb = rng.integers(0, 256, (3, 5, 3)).astype(np.float32) / np.float32(255)
    msg = image_from_rgb(rgb, "camera", 5_000_000_007)
    assert (msg.header.frame_id, msg.header.stamp.sec, msg.header.stamp.nanosec) == ("camera", 5, 7)
    np.testing.assert_allclose(rgb_from_image(msg), rgb, atol=1e-7)
    depth_m = rng.integers(0, 65536, (3, 5)).astype(np.float32) / np.float32(1000)
    np.testing.assert_array_equal(depth_m_from_image(image_from_depth_m(depth_m, "camera", 0)), depth_m)


def test_written_colour_is_clipped_and_depth_is_not() -> None:
    msg = image_from_rgb(np.float32([[[-1, 2, np.nan]]]), "", 0)
    assert list(msg.data) == [0, 255, 0]
    for bad in (-0.1, 65.536, np.nan):
        with pytest.raises(InputError, match=r"holds 0 to 65\.535 m"):
            image_from_depth_m(np.float32([[1, bad]]), "", 0)


def labelled(ids: list[int], index: list[int] | None) -> Instances:
    cloud = Cloud(
        np.zeros((3, 3), np.float32),
        frame_id="map",
        stamp_ns=9,
        source_index=None if index is None else np.array(index, np.int64),
    )
    masks = np.array([[True, False, False], [False, True, False]])
    return Instances(cloud, masks, np.ones(2, np.float32), np.array(ids, np.int32))


def test_label_image_by_hand() -> None:
    msg = label_image(labelled([4, 65_535], [0, 5, 3]), height=2, width=3)
    assert (msg.encoding, msg.header.frame_id, msg.step) == ("16UC1", "map", 6)
    np.testing.assert_array_equal(np.frombuffer(msg.data, "<u2").reshape(2, 3), [[4, 0, 0], [0, 0, 65_535]])


def test_label_image_takes_more_bits_when_ids_need_them() -> None:
    msg = label_image(labelled([4, 65_536], [0, 5, 3]), height=2, width=3)
    assert (msg.encoding, msg.step) == ("32SC1", 12)
    np.testing.assert_array_equal(np.frombuffer(msg.data, "<i4"), [4, 0, 0, 0, 0, 65_536])


def test_label_image_needs_pixels() -> None:
    with pytest.raises(InputError, match="3 points does not come from an image"):
        label_image(labelled([1, 2], None), 2, 3)
    with pytest.raises(InputError, match="pixels 0 to 6, an image of 3x2 px has 6"):
        label_image(labelled([1, 2], [0, 6, 3]), 2, 3)
