from __future__ import annotations

import struct

import numpy as np
import pytest

pytest.importorskip("sensor_msgs")

from hypothesis import given, settings
from hypothesis import strategies as st
from message_builders import slow_values
from sensor_msgs.msg import PointField

from seg3d_core.colours import instance_colours
from seg3d_core.types import Cloud, Instances
from seg3d_ros.conversions.clouds import cloud_from_message, cloud_to_message, instances_to_message

pytestmark = pytest.mark.ros


def make_cloud(count: int, seed: int = 0) -> Cloud:
    rng = np.random.default_rng(seed)
    normals = rng.standard_normal((count, 3)).astype(np.float32)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    rgb = rng.integers(0, 256, (count, 3)).astype(np.float32) / np.float32(255)
    return Cloud(rng.standard_normal((count, 3)).astype(np.float32), rgb, normals, "map", 3_000_000_001)


def test_bytes_by_hand() -> None:
    cloud = Cloud(np.float32([[1, 2, 3]]), np.float32([[1, 0.2, 0]]), frame_id="map", stamp_ns=1_000_000_002)
    msg = cloud_to_message(cloud)
    assert bytes(msg.data) == struct.pack("<fffI", 1, 2, 3, 0x00FF3300)
    assert [(field.name, field.offset, field.datatype, field.count) for field in msg.fields] == [
        ("x", 0, PointField.FLOAT32, 1),
        ("y", 4, PointField.FLOAT32, 1),
        ("z", 8, PointField.FLOAT32, 1),
        ("rgb", 12, PointField.FLOAT32, 1),
    ]
    assert (msg.width, msg.height, msg.point_step, msg.row_step) == (1, 1, 16, 16)
    assert msg.is_dense and not msg.is_bigendian
    assert (msg.header.frame_id, msg.header.stamp.sec, msg.header.stamp.nanosec) == ("map", 1, 2)


@given(st.integers(0, 40), st.booleans(), st.booleans())
@settings(deadline=None, max_examples=40)
def test_round_trip_is_exact(count: int, with_colour: bool, with_normals: bool) -> None:
    full = make_cloud(count)
    cloud = Cloud(
        full.points, full.rgb if with_colour else None, full.normals if with_normals else None, "map", 3_000_000_001
    )
    back = cloud_from_message(cloud_to_message(cloud))
    np.testing.assert_array_equal(back.points, cloud.points)
    assert (back.frame_id, back.stamp_ns, back.source_index) == ("map", 3_000_000_001, None)
    for name in ("rgb", "normals") if count else ():
        expected, found = getattr(cloud, name), getattr(back, name)
        assert (expected is None) == (found is None)
        if expected is not None:
            np.testing.assert_allclose(found, expected, atol=1e-7)


def test_colour_outside_its_range_is_clipped() -> None:
    cloud = Cloud(np.zeros((1, 3), np.float32), np.float32([[-1, np.nan, 7]]))
    assert slow_values(cloud_to_message(cloud), "rgb", "I") == [0x0000FF]


def test_instances_carry_id_score_and_the_colour_of_the_id() -> None:
    cloud = make_cloud(4)
    masks = np.array([[True, True, False, False], [False, True, True, False]])
    instances = Instances(cloud, masks, np.float32([0.25, 0.75]), np.array([7, 70_000], np.int32))
    msg = instances_to_message(instances)
    assert msg.point_step == 24
    types = {field.name: field.datatype for field in msg.fields}
    assert types["instance_id"] == PointField.UINT32 and types["score"] == PointField.FLOAT32
    assert slow_values(msg, "instance_id") == [7, 70_000, 70_000, 0]
    assert slow_values(msg, "score") == [0.25, 0.75, 0.75, 0]
    back = cloud_from_message(msg)
    np.testing.assert_array_equal(back.points, cloud.points)
    expected = instance_colours(np.array([7, 70_000, 70_000, 0], np.int32))
    np.testing.assert_allclose(back.rgb, expected, atol=0.5 / 255 + 1e-6)


def test_nothing_found() -> None:
    cloud = make_cloud(3)
    nothing = Instances(cloud, np.zeros((0, 3), bool), np.zeros(0, np.float32), np.zeros(0, np.int32))
    assert slow_values(instances_to_message(nothing), "instance_id") == [0, 0, 0]
    empty = Instances(make_cloud(0), np.zeros((0, 0), bool), np.zeros(0, np.float32), np.zeros(0, np.int32))
    assert instances_to_message(empty).width == 0
