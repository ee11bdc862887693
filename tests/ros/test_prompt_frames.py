"""Clicks in frames other than the cloud's: which transform is used, and when none will do."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the ROS wheels (Python 3.11, 3.12) or a sourced ROS 2")

from geometry_msgs.msg import TransformStamped
from test_frames import Topic, pose_at

from seg3d_core.errors import PromptError
from seg3d_ros.conversions.stamps import header, time_msg
from seg3d_ros.frames import TransformUnavailable
from seg3d_ros.prompt_frames import Placed, Snapshot, place

S = 1_000_000_000
ORIGIN = np.zeros((1, 3))


def placed(
    topic: Topic | None, frame_id: str, stamp_s: float = 0.0, sensor_frame: str = "camera", cloud: str = "map"
) -> Placed:
    poses = None if topic is None else topic.poses
    stamped = header(frame_id, round(stamp_s * S))
    return place(ORIGIN, stamped, Snapshot(cloud, sensor_frame), poses, timeout_s=0.0, tolerance_s=1.0)


@pytest.fixture
def topic() -> Topic:
    """A camera at x = 1 m to 2 m, from 10 s to 10.4 s."""
    topic = Topic()
    topic.hear(pose_at(1.0, 10.0))
    topic.hear(pose_at(2.0, 10.4))
    return topic


def test_nothing_is_looked_up_in_the_clouds_own_frame() -> None:
    for stamp_s in (0.0, 1e9):
        found = placed(None, "map", stamp_s)
        assert (found.points.tolist(), found.how) == ([[0, 0, 0]], "")


@pytest.mark.parametrize(
    ("stamp_s", "x", "how"),
    [
        (10.1, 1.25, "with the transform of its stamp"),
        (10.44, 2.0, "with the transform of its stamp"),
        (11.3, 2.0, "with the newest transform, 0.900 s from its stamp"),
        (9.5, 2.0, "with the newest transform, 0.900 s from its stamp"),
        (0.0, 2.0, "with the newest transform, the prompt has no stamp"),
    ],
)
def test_of_its_own_time_or_the_newest_that_is_near_enough(topic: Topic, stamp_s: float, x: float, how: str) -> None:
    found = placed(topic, "camera", stamp_s)
    np.testing.assert_allclose(found.points, [[x, 0, 0]], atol=1e-6)
    assert found.how == f"from frame 'camera', {how}"


@pytest.mark.parametrize(("stamp_s", "side"), [(12.4, "2.000 s newer"), (8.4, "2.000 s older")])
def test_too_far_in_time(topic: Topic, stamp_s: float, side: str) -> None:
    with pytest.raises(TransformUnavailable, match=rf"the prompt is {side} than the newest .* at most 1 s"):
        placed(topic, "camera", stamp_s)


def test_frames_that_nothing_tells_of(topic: Topic) -> None:
    with pytest.raises(PromptError, match="in frame 'gripper', the cloud in 'map': set pose_source"):
        placed(None, "gripper")
    with pytest.raises(PromptError, match="does not say its frame"):
        placed(topic, "")
    with pytest.raises(PromptError, match="camera_pose topic only tells where 'camera' is: use pose_source tf"):
        placed(topic, "gripper")
    with pytest.raises(PromptError, match="which is known in 'map'; the cloud is in 'odom'"):
        placed(topic, "camera", 10.1, cloud="odom")
    with pytest.raises(TransformUnavailable, match="no camera pose has been received yet"):
        placed(Topic(), "camera")


def test_a_message_that_names_its_frame() -> None:
    topic = Topic()
    message = TransformStamped(child_frame_id="gripper", header=header("map", S))
    message.transform.rotation.w = message.transform.translation.z = 1.0
    topic.hear(message)
    assert placed(topic, "gripper", 1.0).points.tolist() == [[0, 0, 1]]
    with pytest.raises(TransformUnavailable, match=r"no transform from 'camera'.* tells where 'gripper' is"):
        placed(topic, "camera")


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_coordinates_that_are_none(value: float) -> None:
    points = np.array([[0, value, 0]])
    with pytest.raises(PromptError, match="is not finite"):
        place(points, header("map", 0), Snapshot("map", "map"), None, timeout_s=0, tolerance_s=0)


def test_tf_takes_the_newest_where_the_stamp_is_ahead() -> None:
    pytest.importorskip("tf2_ros", reason="tf2_ros is not on PyPI")
    import rclpy
    from rclpy.context import Context
    from rclpy.node import Node

    from seg3d_ros.frames import Tf2Poses

    context = Context()
    rclpy.init(context=context)
    node = Node("listener", context=context)
    poses = Tf2Poses(node, "map", 10.0)
    message = TransformStamped(child_frame_id="gripper")
    message.header.frame_id, message.header.stamp = "map", time_msg(10 * S)
    message.transform.rotation.w = message.transform.translation.x = 1.0
    poses._buffer.set_transform(message, "test")
    snapshot = Snapshot("map", "map")
    ahead = place(ORIGIN, header("gripper", 10 * S + S // 2), snapshot, poses, timeout_s=0.01, tolerance_s=1.0)
    assert (ahead.points.tolist(), "0.500 s from its stamp" in ahead.how) == ([[1, 0, 0]], True)
    with pytest.raises(TransformUnavailable, match=r"5\.000 s newer"):
        place(ORIGIN, header("gripper", 15 * S), snapshot, poses, timeout_s=0.01, tolerance_s=1.0)
    poses.destroy()
    node.destroy_node()
    rclpy.try_shutdown(context=context)
