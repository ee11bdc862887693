from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("geometry_msgs")

from geometry_msgs.msg import PoseStamped, TransformStamped
from hypothesis import given, settings
from hypothesis import strategies as st
from nav_msgs.msg import Odometry
from scipy.spatial.transform import Rotation

from seg3d_core.errors import InputError
from seg3d_ros.conversions.poses import pose_message, transform_from_message
from seg3d_ros.conversions.stamps import stamp_ns, time_msg

pytestmark = pytest.mark.ros

QUARTER = (0.0, 0.0, 0.7071067811865476, 0.7071067811865476)
EXPECTED = [[0, -1, 0, 1], [1, 0, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]]


def fill(position: object, orientation: object, xyzw: tuple[float, ...] = QUARTER) -> None:
    position.x, position.y, position.z = 1.0, 2.0, 3.0
    orientation.x, orientation.y, orientation.z, orientation.w = xyzw


def pose(xyzw: tuple[float, ...] = QUARTER) -> PoseStamped:
    msg = PoseStamped()
    msg.header.frame_id = "map"
    msg.header.stamp = time_msg(4_000_000_005)
    fill(msg.pose.position, msg.pose.orientation, xyzw)
    return msg


def test_every_kind_of_pose_message() -> None:
    odometry = Odometry(child_frame_id="base")
    fill(odometry.pose.pose.position, odometry.pose.pose.orientation)
    transform = TransformStamped(child_frame_id="camera")
    fill(transform.transform.translation, transform.transform.rotation)
    for msg, child in ((pose(), ""), (odometry, "base"), (transform, "camera")):
        msg.header.frame_id = "map"
        msg.header.stamp = time_msg(4_000_000_005)
        found = transform_from_message(msg)
        assert (found.parent_frame, found.child_frame, found.stamp_ns) == ("map", child, 4_000_000_005)
        np.testing.assert_allclose(found.T, EXPECTED, atol=1e-12)


@pytest.mark.parametrize(
    "xyzw", [(0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.1), (np.nan, 0.0, 0.0, 1.0), (np.inf, 0.0, 0.0, 1.0)]
)
def test_what_is_not_a_rotation(xyzw: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match=r"pose in frame 'map' has quaternion .* of length .*, must be 1"):
        transform_from_message(pose(xyzw))


def test_what_is_not_a_place() -> None:
    msg = pose()
    msg.pose.position.y = float("nan")
    with pytest.raises(InputError, match=r"position \[1.0, nan, 3.0\] m: not finite"):
        transform_from_message(msg)


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_round_trip(seed: int) -> None:
    T = np.eye(4)
    T[:3, :3] = Rotation.random(random_state=seed).as_matrix()
    T[:3, 3] = np.random.default_rng(seed).uniform(-5, 5, 3)
    found = transform_from_message(pose_message(T, "map", seed))
    assert (found.parent_frame, found.child_frame, found.stamp_ns) == ("map", "", seed)
    np.testing.assert_allclose(found.T, T, atol=1e-12)


@given(st.integers(-(2**31) * 10**9, 2**31 * 10**9 - 1))
def test_stamps_round_trip(stamp: int) -> None:
    assert stamp_ns(time_msg(stamp)) == stamp


def test_stamps_that_do_not_fit() -> None:
    with pytest.raises(InputError, match="stamp is 2147483648 s, a ROS time holds -2147483648 to 2147483647 s"):
        time_msg(2**31 * 10**9)
