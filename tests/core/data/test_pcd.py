from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seg3d_core.data.lzf_kernels import lzf_decompress
from seg3d_core.data.pcd import parse_pcd
from seg3d_core.data.point_records import PointRecords
from seg3d_core.errors import InputError

HEADER = """# comment
VERSION .7
FIELDS {fields}
SIZE {size}
TYPE {type}
COUNT {count}
WIDTH {width}
HEIGHT {height}
VIEWPOINT 0 0 0 1 0 0 0
POINTS {points}
DATA {data}
"""


def header(**changes: str) -> bytes:
    values = {"fields": "x y z", "size": "4 4 4", "type": "F F F", "count": "1 1 1", "width": "2", "height": "1"}
    values |= {"points": "2", "data": "binary"} | changes
    return HEADER.format(**values).encode()


def lzf_unpack(data: bytes) -> bytes:
    """The format as its author describes it, one token at a time."""
    out = bytearray()
    at = 0
    while at < len(data):
        control = data[at]
        if control < 32:
            out += data[at + 1 : at + control + 2]
            at += control + 2
        else:
            length = control >> 5
            at += 1
            if length == 7:
                length += data[at]
                at += 1
            start = len(out) - 1 - ((control & 31) * 256 + data[at])
            at += 1
            for step in range(length + 2):
                out.append(out[start + step])
    return bytes(out)


@st.composite
def lzf_streams(draw: st.DrawFn) -> bytes:
    stream, produced = bytearray(), 0
    for _ in range(draw(st.integers(1, 12))):
        literal = draw(st.binary(min_size=1, max_size=32))
        stream += bytes([len(literal) - 1]) + literal
        produced += len(literal)
        distance = draw(st.integers(0, min(produced, 8192) - 1))
        length = draw(st.integers(3, 264))
        short = min(length - 2, 7)
        stream.append(short << 5 | distance >> 8)
        if short == 7:
            stream.append(length - 2 - 7)
        stream.append(distance & 255)
        produced += length
    return bytes(stream)


@settings(deadline=None)
@given(lzf_streams())
def test_lzf_equals_the_plain_reading_of_its_format(stream: bytes) -> None:
    expected = lzf_unpack(stream)
    out, produced = lzf_decompress(np.frombuffer(stream, np.uint8), len(expected))
    assert produced == len(expected)
    assert out.tobytes() == expected


@settings(deadline=None)
@given(st.binary(max_size=60), st.integers(0, 300))
def test_lzf_of_anything_stays_inside_its_output(stream: bytes, size: int) -> None:
    out, produced = lzf_decompress(np.frombuffer(stream, np.uint8), size)
    assert len(out) == size
    assert -1 <= produced <= size


def test_text_with_packed_colour_and_organisation() -> None:
    packed = np.array([0x00FF8001], np.uint32).view(np.float32)[0]
    data = header(
        fields="x y z rgb", size="4 4 4 4", type="F F F F", count="1 1 1 1", width="1", height="2", data="ascii"
    )
    table = parse_pcd(data + f"nan nan nan 0\n1 2 3 {packed!r}\n".replace("np.float32(", "").replace(")", "").encode())
    cloud = PointRecords.from_rows(table.rows, table.is_organised).cloud()
    assert cloud.points.tolist() == [[1, 2, 3]]
    assert cloud.source_index.tolist() == [1]
    np.testing.assert_allclose(cloud.rgb * 255, [[255, 128, 1]], rtol=1e-6)


def test_padding_vectors_and_integer_colours() -> None:
    dtype = np.dtype([("x", "<f8"), ("pad", "u1", 4), ("y", "<f4"), ("z", "<f4"), ("fpfh", "<f4", 3), ("rgb", "<u4")])
    rows = np.zeros(2, dtype)
    rows["x"], rows["fpfh"], rows["rgb"] = [1, 2], [[1, 2, 3], [4, 5, 6]], [0xFF0000, 0x0000FF]
    data = header(fields="x _ y z fpfh rgb", size="8 1 4 4 4 4", type="F U F F F U", count="1 4 1 1 3 1")
    parsed = parse_pcd(data + rows.tobytes()).rows
    assert parsed["fpfh"].tolist() == [[1, 2, 3], [4, 5, 6]]
    cloud = PointRecords.from_rows(parsed).cloud()
    assert cloud.points[:, 0].tolist() == [1, 2]
    assert cloud.rgb.tolist() == [[1, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header() + bytes(23), "truncated: 2 points need 24 bytes, 23 are there"),
        (header(data="ascii") + b"1 2 3 4", "truncated: 2 points need 6 numbers, 4 are there"),
        (header(points="3") + bytes(36), "POINTS 3 but WIDTH 2 x HEIGHT 1"),
        (header(data="zip") + bytes(24), "PCD DATA 'zip' is not known"),
        (header(size="4 4") + bytes(24), "differ in length"),
        (header(size="4 4 3") + bytes(24), "field z has TYPE F SIZE 3 COUNT 1, which does not exist"),
        (header(width="two") + bytes(24), "WIDTH 'two' is not a number"),
        (header(data="binary_compressed") + b"\x01\0\0\0\x18\0\0\0", "truncated or damaged"),
        (header(data="binary_compressed") + b"\x02\0\0\0\x18\0\0\0\x01a", "does not unpack to 24 bytes"),
        (header(fields="x y y") + bytes(24), "field names repeat"),
        (header(fields="", size="", type="", count=""), "names no fields"),
        (header(count="1 1 99999999999") + bytes(24), "COUNT 99999999999, which does not exist"),
        (header(points="1" * 5000) + bytes(24), "is not a number"),
    ],
)
def test_bad_files_are_refused_in_words(content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_pcd(content)


def test_coordinates_must_be_there() -> None:
    with pytest.raises(InputError, match="no x y z among the fields x, y, w"):
        PointRecords.from_rows(parse_pcd(header(fields="x y w") + bytes(24)).rows)
