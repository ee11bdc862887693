from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rosbags.typesys import Stores, get_typestore

from seg3d_core.data.rvl_kernels import decode_rvl, encode_rvl
from seg3d_core.data.scenes.bag_images import decode_depth_m, decode_rgb, header_of
from seg3d_core.errors import InputError
from seg3d_core.recording.image_compression import COMPRESSED, IMAGE, jpeg, lossless_depth
from seg3d_core.recording.message import RecordedMessage
from seg3d_core.recording.topics import TypeDefinitions

STORE = get_typestore(Stores.ROS2_JAZZY)
TYPES = TypeDefinitions()
TOPIC = TYPES.topic("/camera/image", IMAGE)
S = 1_000_000_000


def message(pixels: np.ndarray, encoding: str, padding: int = 0, big: bool = False) -> RecordedMessage:
    height, width = pixels.shape[:2]
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(height, -1)
    rows = np.pad(rows, ((0, 0), (0, padding)))
    header = STORE.types["std_msgs/msg/Header"](STORE.types["builtin_interfaces/msg/Time"](7, 5), "camera")
    image = STORE.types[IMAGE](header, height, width, encoding, int(big), rows.shape[1], rows.reshape(-1))
    return RecordedMessage(TOPIC, 9 * S, 8 * S, bytes(STORE.serialize_cdr(image, IMAGE)))


def picture() -> np.ndarray:
    rows, columns = np.mgrid[0:48, 0:64]
    return np.stack([rows * 4, columns * 3, rows + columns], axis=-1).astype(np.uint8)


@pytest.mark.parametrize(("encoding", "order"), [("rgb8", [0, 1, 2]), ("bgr8", [2, 1, 0])])
def test_colour_is_nearly_what_it_was(encoding: str, order: list[int]) -> None:
    sent = message(picture()[..., order], encoding, padding=5)
    small = jpeg(TYPES, TOPIC, 90)(sent)
    assert (small.topic.name, small.topic.type_name) == ("/camera/image/compressed", COMPRESSED)
    assert (small.log_ns, small.publish_ns, header_of(small.data)) == (9 * S, 8 * S, (7 * S + 5, "camera"))
    assert len(small.data) < len(sent.data) / 3
    rgb = decode_rgb(small.data, COMPRESSED) * 255
    assert np.abs(rgb - picture()).mean() < 2
    assert STORE.deserialize_cdr(small.data, COMPRESSED).format == f"{encoding}; jpeg compressed bgr8"


def test_grey_and_transparent_colours() -> None:
    grey = decode_rgb(jpeg(TYPES, TOPIC, 95)(message(picture()[..., :1], "mono8")).data, COMPRESSED) * 255
    assert np.abs(grey - picture()[..., :1]).mean() < 2
    four = np.concatenate([picture(), np.zeros((48, 64, 1), np.uint8)], axis=-1)
    rgb = decode_rgb(jpeg(TYPES, TOPIC, 95)(message(four, "rgba8")).data, COMPRESSED) * 255
    assert np.abs(rgb - picture()).mean() < 2


@pytest.mark.parametrize("codec", ["png", "rvl"])
@given(depth=hnp.arrays(np.uint16, st.tuples(st.integers(1, 9), st.integers(1, 9))), padding=st.integers(0, 3))
def test_depth_is_what_it_was(codec: str, depth: np.ndarray, padding: int) -> None:
    small = lossless_depth(TYPES, TOPIC, codec)(message(depth, "16UC1", padding=2 * padding))
    assert small.topic.name == "/camera/image/compressedDepth"
    found = decode_depth_m(small.data, COMPRESSED)
    np.testing.assert_array_equal(np.rint(found * 1000), depth)


def test_big_endian_depth() -> None:
    depth = np.arange(12, dtype=np.uint16).reshape(3, 4) * 1000
    small = lossless_depth(TYPES, TOPIC, "rvl")(message(depth.astype(">u2"), "16UC1", big=True))
    np.testing.assert_allclose(decode_depth_m(small.data, COMPRESSED), depth / 1000)


@given(hnp.arrays(np.uint16, st.integers(1, 200), elements=st.sampled_from([0, 0, 1, 700, 701, 40000, 65535])))
def test_the_worst_of_rvl_fits(pixels: np.ndarray) -> None:
    words = np.zeros(len(pixels) + 2, np.uint32)
    count = encode_rvl(pixels, words)
    back = np.empty_like(pixels)
    assert decode_rvl(words[:count], back) == len(pixels)
    np.testing.assert_array_equal(back, pixels)


@pytest.mark.parametrize(
    ("make", "sent", "said"),
    [
        (lambda: jpeg(TYPES, TOPIC, 90), message(picture()[..., :1], "bayer_rggb8"), "bayer_rggb8 images are not"),
        (
            lambda: lossless_depth(TYPES, TOPIC, "png"),
            message(np.ones((3, 4), np.float32), "32FC1"),
            "32FC1 images are not compressed: depth without loss must be 16UC1",
        ),
        (
            lambda: jpeg(TYPES, TOPIC, 90),
            message(picture()[:, :, :2], "rgb8"),
            "image of 64x48 px has 6144 bytes in steps of 128: 192 bytes a row are needed",
        ),
        (lambda: jpeg(TYPES, TOPIC, 90), RecordedMessage(TOPIC, 0, 0, b"\0\1\0\0xyz"), "image is damaged"),
    ],
)
def test_what_cannot_be_compressed_is_refused(make: Callable, sent: RecordedMessage, said: str) -> None:
    with pytest.raises(InputError, match=said):
        make()(sent)


def test_damaged_rvl_is_refused() -> None:
    small = lossless_depth(TYPES, TOPIC, "rvl")(message(np.full((30, 40), 5, np.uint16), "16UC1"))
    image = STORE.deserialize_cdr(small.data, COMPRESSED)

    def with_data(data: bytes) -> bytes:
        again = STORE.types[COMPRESSED](image.header, image.format, np.frombuffer(data, np.uint8))
        return bytes(STORE.serialize_cdr(again, COMPRESSED))

    whole = bytes(image.data)
    with pytest.raises(InputError, match=r"RVL stopped at .* of 1200 pixels"):
        decode_depth_m(with_data(whole[:60]), COMPRESSED)
    with pytest.raises(InputError, match=r"has 4 bytes of RVL, its size alone takes 8 bytes"):
        decode_depth_m(with_data(whole[:16]), COMPRESSED)
    with pytest.raises(InputError, match=r"claims 100000x100000 px"):
        decode_depth_m(with_data(whole[:12] + struct.pack("<II", 10**5, 10**5) + whole[20:]), COMPRESSED)
