from __future__ import annotations

import struct

import numpy as np
import pytest

pytest.importorskip("sensor_msgs")

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from message_builders import compressed, picture, rvl
from message_builders import depth_header as header

from seg3d_core.errors import InputError
from seg3d_ros.conversions.compressed import MAX_PIXELS, depth_m_from_compressed, rgb_from_compressed

pytestmark = pytest.mark.ros

RNG = np.random.default_rng(3)


def test_png_colour_is_exact() -> None:
    pixels = RNG.integers(0, 256, (4, 6, 3)).astype(np.uint8)
    rgb = rgb_from_compressed(compressed(picture(pixels, "PNG"), "bgr8; png compressed bgr8"))
    np.testing.assert_allclose(rgb, pixels / np.float32(255), atol=1e-7)


def test_jpeg_colour_is_close_and_not_swapped() -> None:
    pixels = np.broadcast_to(np.uint8([200, 100, 20]), (16, 24, 3))
    rgb = rgb_from_compressed(compressed(picture(pixels, "JPEG", quality=95), "rgb8; jpeg compressed bgr8"))
    assert rgb.shape == (16, 24, 3)
    np.testing.assert_allclose(rgb, pixels / np.float32(255), atol=0.02)


def test_grey_and_alpha_pictures() -> None:
    grey = RNG.integers(0, 256, (3, 5)).astype(np.uint8)
    rgb = rgb_from_compressed(compressed(picture(grey, "PNG"), "mono8; png compressed "))
    np.testing.assert_allclose(rgb, np.repeat(grey[..., None], 3, axis=2) / np.float32(255), atol=1e-7)
    with_alpha = RNG.integers(0, 256, (3, 5, 4)).astype(np.uint8)
    rgb = rgb_from_compressed(compressed(picture(with_alpha, "PNG"), "png"))
    np.testing.assert_allclose(rgb, with_alpha[..., :3] / np.float32(255), atol=1e-7)


def test_depth_on_the_colour_topic() -> None:
    sixteen = picture(RNG.integers(0, 9000, (3, 5)).astype(np.uint16), "PNG")
    with pytest.raises(InputError, match="this is depth, is it on the colour topic"):
        rgb_from_compressed(compressed(header() + sixteen, "16UC1; compressedDepth png"))
    with pytest.raises(InputError, match="pixels of mode 'I"):
        rgb_from_compressed(compressed(sixteen, "mono16; png compressed "))


@pytest.mark.parametrize("data", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n"])
def test_what_is_not_a_picture(data: bytes) -> None:
    with pytest.raises(InputError, match=f"'jpeg' image of {len(data)} bytes cannot be decoded"):
        rgb_from_compressed(compressed(data, "jpeg"))


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_truncated_picture(kind: str) -> None:
    whole = picture(RNG.integers(0, 256, (40, 60, 3)).astype(np.uint8), kind)
    with pytest.raises(InputError, match="cannot be decoded"):
        rgb_from_compressed(compressed(whole[: len(whole) // 2], kind))


@pytest.mark.parametrize(
    "text", ["16UC1; compressedDepth png", "16UC1; compressedDepth", "16UC1", "mono16; compressedDepth "]
)
def test_png_depth_is_exact(text: str) -> None:
    depth_mm = RNG.integers(0, 65536, (4, 6)).astype(np.uint16)
    depth_m = depth_m_from_compressed(compressed(header() + picture(depth_mm, "PNG"), text))
    np.testing.assert_array_equal(depth_m, depth_mm / np.float32(1000))


def test_rvl_by_hand() -> None:
    # 2 zeros; 3 values 5, 6, 4: differences +5, +1, -2 are zigzag 10, 2, 3, in nibbles 2|8 1, 2, 3; 1 zero, 0 values.
    stream = struct.pack("<II", 0x23A12310, 0x00000000)
    data = header() + struct.pack("<II", 3, 2) + stream
    depth_m = depth_m_from_compressed(compressed(data, "16UC1; compressedDepth rvl"))
    np.testing.assert_array_equal(depth_m, np.float32([[0, 0, 0.005], [0.006, 0.004, 0]]))


@given(
    arrays(
        np.uint16,
        array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12),
        elements=st.one_of(st.just(0), st.integers(0, 65535)),
    )
)
@settings(deadline=None, max_examples=200)
def test_rvl_round_trip_is_exact(depth_mm: np.ndarray) -> None:
    depth_m = depth_m_from_compressed(compressed(rvl(depth_mm), "16UC1; compressedDepth rvl"))
    np.testing.assert_array_equal(depth_m, depth_mm / np.float32(1000))


@pytest.mark.parametrize("codec", ["png", "rvl"])
def test_inverse_depth(codec: str) -> None:
    depth_m = np.float32([[0.4, 1.0, 2.5], [9.0, 0.0, 5.0]])
    # The sender's rule for depth_quantization = 100, depth_max = 10 m.
    a = 100 * 101.0
    b = 1 - a / 10
    quantised = np.where(depth_m > 0, a / np.maximum(depth_m, 0.1) + b, 0).astype(np.uint16)
    packed = header(a, b) + picture(quantised, "PNG") if codec == "png" else rvl(quantised, a, b)
    found = depth_m_from_compressed(compressed(packed, f"32FC1; compressedDepth {codec}"))
    assert found[1, 1] == 0
    # One quantisation step of inverse depth is z^2 / a.
    assert (np.abs(found - depth_m) <= depth_m**2 / a + 1e-6).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("16UC1; compressedDepth jpeg", "JPEG is lossy"),
        ("jpeg", "JPEG is lossy"),
        ("rgb8; compressedDepth png", "encoding must be 16UC1, mono16 or 32FC1"),
        ("16UC1; png compressed ", "expected '16UC1; compressedDepth png' or rvl"),
        ("16UC1; compressedDepth zstd", "codec 'zstd' is unknown, known are png and rvl"),
    ],
)
def test_depth_formats_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        depth_m_from_compressed(compressed(bytes(40), text))


def test_damaged_depth() -> None:
    depth_mm = RNG.integers(1, 65536, (10, 12)).astype(np.uint16)
    whole = rvl(depth_mm)
    with pytest.raises(InputError, match=r"RVL stopped at \d+ of 120 pixels"):
        depth_m_from_compressed(compressed(whole[:-40], "16UC1; compressedDepth rvl"))
    with pytest.raises(InputError, match="has 12 bytes, its header alone takes 12"):
        depth_m_from_compressed(compressed(header(), "16UC1; compressedDepth png"))
    with pytest.raises(InputError, match="has 4 bytes of RVL, its size alone takes 8"):
        depth_m_from_compressed(compressed(whole[:16], "16UC1; compressedDepth rvl"))
    with pytest.raises(InputError, match="PNG of mode 'RGB', depth needs 16-bit grey"):
        depth_m_from_compressed(
            compressed(header() + picture(np.zeros((2, 2, 3), np.uint8), "PNG"), "16UC1; compressedDepth png")
        )
    with pytest.raises(InputError, match=r"quantisation A = 0\.0"):
        depth_m_from_compressed(compressed(whole, "32FC1; compressedDepth rvl"))


@pytest.mark.parametrize("size", [(0, 5), (1 << 31, 1 << 31), (MAX_PIXELS, 2)])
def test_claimed_sizes_are_checked_before_memory_is_taken(size: tuple[int, int]) -> None:
    data = header() + struct.pack("<II", *size) + bytes(16)
    with pytest.raises(InputError, match=f"claims {size[0]}x{size[1]} px, must be 1 to {MAX_PIXELS} pixels"):
        depth_m_from_compressed(compressed(data, "16UC1; compressedDepth rvl"))


@given(
    st.binary(max_size=60),
    st.sampled_from(["16UC1; compressedDepth rvl", "32FC1; compressedDepth rvl", "16UC1; compressedDepth", "32FC1"]),
    st.booleans(),
)
@settings(deadline=None, max_examples=300)
def test_random_depth_is_read_or_refused(data: bytes, text: str, with_size: bool) -> None:
    front = header(1.0, 0.5) + (struct.pack("<II", 3, 2) if with_size else b"")
    try:
        depth_m = depth_m_from_compressed(compressed(front + data, text))
    except InputError:
        return
    assert np.isfinite(depth_m).all() and (depth_m >= 0).all()


@given(st.data())
@settings(deadline=None, max_examples=300)
def test_damaged_pictures_are_read_or_refused(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["JPEG", "PNG"]))
    whole = bytearray(picture(np.arange(192, dtype=np.uint8).reshape(8, 8, 3), kind))
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=6)):
        whole[place] = data.draw(st.integers(0, 255))
    try:
        rgb = rgb_from_compressed(compressed(bytes(whole), kind))
    except InputError:
        return
    assert rgb.dtype == np.float32 and rgb.ndim == 3
