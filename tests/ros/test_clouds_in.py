from __future__ import annotations

import struct
from array import array
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sensor_msgs")

from hypothesis import given, settings
from hypothesis import strategies as st
from message_builders import (
    CODES,
    FLOAT32,
    FLOAT64,
    UINT8,
    UINT32,
    XYZRGB_16,
    XYZRGB_32,
    Field,
    cloud_message,
    slow_cloud,
)
from sensor_msgs.msg import PointCloud2, PointField

from seg3d_core.errors import InputError
from seg3d_core.types import Cloud
from seg3d_ros.conversions.clouds import cloud_from_message

pytestmark = pytest.mark.ros

XYZ = XYZRGB_16[:3]
NAN = float("nan")


def assert_read_right(msg: PointCloud2, cloud: Cloud) -> None:
    points, rgb, kept = slow_cloud(msg)
    np.testing.assert_array_equal(cloud.points, points)
    assert (cloud.rgb is None) == (rgb is None)
    if rgb is not None:
        np.testing.assert_allclose(cloud.rgb, rgb, atol=1e-7)
    if cloud.source_index is None:
        assert msg.height == 1 and len(kept) == msg.width
    else:
        np.testing.assert_array_equal(cloud.source_index, kept)


def test_points_and_colour_by_hand() -> None:
    data = struct.pack("<fffI", 1, 2, 3, 0x00FF3300) + struct.pack("<fffI", 4, 5, 6, 0xFF0000FF)
    msg = cloud_message(XYZRGB_16, data, width=2, point_step=16)
    msg.header.frame_id, msg.header.stamp.nanosec = "camera", 7
    cloud = cloud_from_message(msg)
    np.testing.assert_array_equal(cloud.points, np.float32([[1, 2, 3], [4, 5, 6]]))
    np.testing.assert_allclose(cloud.rgb, [[1, 0.2, 0], [0, 0, 1]], atol=1e-7)
    assert (cloud.frame_id, cloud.stamp_ns, cloud.normals, cloud.source_index) == ("camera", 7, None, None)


def test_invalid_points_are_dropped_and_their_places_kept() -> None:
    rows = [(1, 2, 3), (NAN, 2, 3), (1, float("inf"), 3), (4, 5, 6), (1, 2, -float("inf"))]
    msg = cloud_message(XYZ, b"".join(struct.pack("<fff", *row) for row in rows), width=5, point_step=12)
    cloud = cloud_from_message(msg)
    np.testing.assert_array_equal(cloud.points, np.float32([[1, 2, 3], [4, 5, 6]]))
    np.testing.assert_array_equal(cloud.source_index, [0, 3])


def test_organised_clouds_are_row_major() -> None:
    values = np.arange(18, dtype="<f4").reshape(2, 3, 3)
    cloud = cloud_from_message(cloud_message(XYZ, values.tobytes(), width=3, height=2, point_step=12))
    np.testing.assert_array_equal(cloud.points[1], [3, 4, 5])
    np.testing.assert_array_equal(cloud.source_index, np.arange(6))


def test_packed_xyz_is_not_copied() -> None:
    msg = cloud_message(XYZ, struct.pack("<6f", *range(6)), width=2, point_step=12)
    assert np.shares_memory(cloud_from_message(msg).points, np.frombuffer(msg.data, np.uint8))


@pytest.mark.parametrize("size", [(1, 1), (1, 511), (1, 512), (1, 513), (1, 1500), (3, 700), (700, 3)])
@pytest.mark.parametrize("dropped", [0.0, 0.001, 0.5, 1.0])
@pytest.mark.parametrize("fields", [XYZRGB_16, XYZRGB_32, XYZ])
def test_blocks_of_points(size: tuple[int, int], dropped: float, fields: list[Field]) -> None:
    rng = np.random.default_rng(0)
    height, width = size
    step = {"rgb": fields[-1][1] * 2 - 8, "z": 12}[fields[-1][0]]
    step = 16 if fields is XYZRGB_16 else step
    words = rng.standard_normal((height * width, step // 4)).astype("<f4")
    if fields is not XYZ:
        words.view("<u4")[:, fields[-1][1] // 4] = rng.integers(0, 1 << 32, height * width, np.uint32)
    words[rng.random(height * width) < dropped, rng.integers(0, 3)] = np.nan
    msg = cloud_message(fields, words.tobytes(), width=width, height=height, point_step=step)
    assert_read_right(msg, cloud_from_message(msg))


@pytest.mark.parametrize("kind", [FLOAT32, UINT32, PointField.INT32])
@pytest.mark.parametrize("name", ["rgb", "rgba"])
@pytest.mark.parametrize("is_bigendian", [False, True])
def test_packed_colour_of_any_type(kind: int, name: str, is_bigendian: bool) -> None:
    # The colour is a NaN when read as a float.
    data = struct.pack(">fffI" if is_bigendian else "<fffI", 1, 2, 3, 0xFFFF3300)
    msg = cloud_message([*XYZ, (name, 12, kind)], data, width=1, point_step=16, is_bigendian=is_bigendian)
    np.testing.assert_allclose(cloud_from_message(msg).rgb, [[1, 0.2, 0]], atol=1e-7)


def test_separate_colour_bytes_and_doubles() -> None:
    fields = [
        ("b", 0, UINT8),
        ("x", 1, FLOAT64),
        ("y", 9, FLOAT64),
        ("z", 17, FLOAT64),
        ("r", 25, UINT8),
        ("g", 26, UINT8),
    ]
    data = struct.pack("<BdddBB", 0, 1.5, 2.5, 3.5, 255, 51)
    cloud = cloud_from_message(cloud_message(fields, data, width=1, point_step=27))
    np.testing.assert_array_equal(cloud.points, [[1.5, 2.5, 3.5]])
    np.testing.assert_allclose(cloud.rgb, [[1, 0.2, 0]], atol=1e-7)


def test_doubles_beyond_single_precision_are_dropped() -> None:
    fields = [(axis, 8 * place, FLOAT64) for place, axis in enumerate("xyz")]
    msg = cloud_message(fields, struct.pack("<6d", 1, 2, 3, 1e300, 0, 0), width=2, point_step=24)
    np.testing.assert_array_equal(cloud_from_message(msg).source_index, [0])


@pytest.mark.parametrize("names", [("normal_x", "normal_y", "normal_z"), ("nx", "ny", "nz")])
def test_normals(names: tuple[str, ...]) -> None:
    fields = [*XYZ, *((name, 12 + 4 * place, FLOAT32) for place, name in enumerate(names))]
    rows = [(1, 2, 3, 0, 0, 1), (NAN, 2, 3, NAN, NAN, NAN), (4, 5, 6, 0.6, 0, -0.8)]
    msg = cloud_message(fields, b"".join(struct.pack("<6f", *row) for row in rows), width=3, point_step=24)
    cloud = cloud_from_message(msg)
    np.testing.assert_array_equal(cloud.normals, np.float32([[0, 0, 1], [0.6, 0, -0.8]]))


@pytest.mark.parametrize("normal", [(NAN, NAN, NAN), (0, 0, 0), (0, 0, 2)])
def test_normals_that_are_not_all_there_are_none(normal: tuple[float, ...]) -> None:
    fields = [*XYZ, *((name, 12 + 4 * place, FLOAT32) for place, name in enumerate(("nx", "ny", "nz")))]
    data = struct.pack("<12f", 1, 2, 3, 0, 0, 1, 4, 5, 6, *normal)
    assert cloud_from_message(cloud_message(fields, data, width=2, point_step=24)).normals is None


def test_no_points() -> None:
    for msg in (PointCloud2(), cloud_message(XYZ, b"", width=0, height=3, point_step=12)):
        cloud = cloud_from_message(msg)
        assert len(cloud) == 0
    everything_invalid = cloud_message(XYZ, struct.pack("<3f", NAN, NAN, NAN), width=1, point_step=12)
    assert len(cloud_from_message(everything_invalid)) == 0


@pytest.mark.parametrize(
    ("fields", "changes", "message"),
    [
        ([("x", 0, FLOAT32), ("intensity", 4, FLOAT32)], {}, "no field y, z; its fields are x, intensity"),
        ([], {}, "no field x, y, z; its fields are none"),
        ([*XYZ[:2], ("z", 8, UINT32)], {}, "'z' is UINT32, expected FLOAT32 or FLOAT64"),
        ([*XYZ[:2], ("z", 8, 99)], {}, "'z' is type 99, expected"),
        ([*XYZ, ("rgb", 12, UINT8)], {}, "'rgb' is UINT8, expected FLOAT32 or UINT32 or INT32"),
        ([*XYZ, ("r", 12, FLOAT32), ("g", 12, UINT8), ("b", 12, UINT8)], {}, "'r' is FLOAT32, expected UINT8"),
        ([*XYZ[:2], ("z", 14, FLOAT32)], {}, "'z' takes bytes 14 to 18 of a point, but a point has 16 bytes"),
        ([*XYZ, ("x", 12, FLOAT32)], {}, "fields of the same name: x, y, z, x"),
        (XYZ, {"row_step": 31}, "row_step = 31 bytes, a row takes 32 bytes"),
        (XYZ, {"data": array("B", bytes(63))}, "truncated: 63 bytes of data, 64 bytes needed"),
        (XYZ, {"point_step": 0, "row_step": 0}, "'x' takes bytes 0 to 4 of a point, but a point has 0 bytes"),
    ],
)
def test_layouts_that_contradict_themselves(fields: list[Field], changes: dict[str, object], message: str) -> None:
    msg = cloud_message(fields, bytes(64), width=2, height=2, point_step=16)
    for name, value in changes.items():
        setattr(msg, name, value)
    with pytest.raises(InputError, match=message):
        cloud_from_message(msg)


def test_fields_of_several_values_are_refused() -> None:
    msg = cloud_message(XYZ, bytes(64), width=2, point_step=32)
    msg.fields[0].count = 3
    with pytest.raises(InputError, match="'x' has 3 values per point, expected 1"):
        cloud_from_message(msg)


@st.composite
def sound_messages(draw: st.DrawFn) -> PointCloud2:
    """Any order, type, gap, padding and byte order, over random bytes."""
    names = ["x", "y", "z", *draw(st.sampled_from([[], ["rgb"], ["rgba"], ["r", "g", "b"], ["intensity"]]))]
    double, fields, end = draw(st.booleans()), [], 0
    for name in draw(st.permutations(names)):
        kinds = {"x": [8, 7], "y": [8, 7], "z": [8, 7], "rgb": [5, 6, 7], "rgba": [5, 6, 7], "intensity": [1, 4, 8]}
        kind = draw(st.sampled_from(kinds.get(name, [2]))) if double else kinds.get(name, [2])[-1]
        offset = end + draw(st.sampled_from([0, 0, 0, 4, 1]))
        fields.append((name, offset, kind))
        end = offset + struct.calcsize("<" + CODES[kind])
    point_step = end + draw(st.sampled_from([0, 0, 4, 3]))
    width, height = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    row_step = width * point_step + draw(st.sampled_from([0, 0, 8, 5]))
    data = draw(st.binary(min_size=row_step * height, max_size=row_step * height))
    return cloud_message(
        fields,
        data,
        width=width,
        height=height,
        point_step=point_step,
        row_step=row_step,
        is_bigendian=draw(st.booleans()),
    )


@given(sound_messages())
@settings(deadline=None, max_examples=400)
def test_sound_messages_are_read_right(msg: PointCloud2) -> None:
    assert_read_right(msg, cloud_from_message(msg))


@given(sound_messages(), st.data())
@settings(deadline=None, max_examples=400)
def test_damaged_messages_are_read_right_or_refused(msg: PointCloud2, data: st.DataObject) -> None:
    field = data.draw(st.sampled_from(list(msg.fields)))
    field.offset = data.draw(st.sampled_from([field.offset, 0, 3, 30, 2**32 - 1]))
    field.datatype = data.draw(st.sampled_from([field.datatype, 0, 2, 7, 8, 9]))
    msg.point_step = data.draw(st.sampled_from([msg.point_step, 0, 1, 12, 2**32 - 1]))
    msg.row_step = data.draw(st.sampled_from([msg.row_step, 0, 13, 64, 2**32 - 1]))
    msg.width = data.draw(st.sampled_from([msg.width, 0, 5, 2**32 - 1]))
    msg.height = data.draw(st.sampled_from([msg.height, 0, 5, 2**32 - 1]))
    msg.data = array("B", bytes(msg.data)[: data.draw(st.integers(0, len(msg.data)))])
    try:
        cloud = cloud_from_message(msg)
    except InputError:
        return
    if msg.width * msg.height:
        assert_read_right(msg, cloud)
    else:
        assert len(cloud) == 0


@given(sound_messages())
@settings(deadline=None, max_examples=50)
def test_agrees_with_sensor_msgs_py(msg: PointCloud2) -> None:
    theirs = pytest.importorskip("sensor_msgs_py.point_cloud2")
    # Theirs skips no padding between rows and reshapes organised clouds the wrong way round: rows one by one.
    rows = []
    for v in range(msg.height):
        row = PointCloud2(fields=msg.fields, point_step=msg.point_step, is_bigendian=msg.is_bigendian, height=1)
        row.width, row.row_step = msg.width, msg.width * msg.point_step
        row.data = msg.data[v * msg.row_step : v * msg.row_step + row.row_step]
        read = theirs.read_points(row, ["x", "y", "z"])
        rows += [np.stack([read[axis] for axis in "xyz"], axis=-1)]
    with np.errstate(over="ignore", invalid="ignore"):
        points = np.concatenate(rows).astype(np.float32)
    np.testing.assert_array_equal(cloud_from_message(msg).points, points[np.isfinite(points).all(axis=1)])


def test_a_real_cloud(shared_data: Path) -> None:
    rosbags = pytest.importorskip("rosbags.rosbag2")
    serialization = pytest.importorskip("rclpy.serialization")
    with rosbags.Reader(shared_data / "bags" / "jsk_watercan_mcap") as bag:
        wanted = [connection for connection in bag.connections if connection.msgtype == "sensor_msgs/msg/PointCloud2"]
        raw = next(data for _, _, data in bag.messages(wanted))
    msg = serialization.deserialize_message(raw, PointCloud2)
    cloud = cloud_from_message(msg)
    assert_read_right(msg, cloud)
    assert len(cloud) > 1000 and cloud.rgb.max() > 0.5
