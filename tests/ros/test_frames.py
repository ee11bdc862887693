from __future__ import annotations

import importlib.util
import threading
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the ROS wheels (Python 3.11, 3.12) or a sourced ROS 2")

from geometry_msgs.msg import PoseStamped, TransformStamped

from seg3d_core.errors import ConfigError, InputError
from seg3d_core.types import Cloud
from seg3d_ros.conversions.poses import pose_message
from seg3d_ros.conversions.stamps import time_msg
from seg3d_ros.frames import Tf2Poses, TopicPoses, TransformUnavailable, WorldPose, in_world

S = 1_000_000_000


class Topic:
    """Poses as they come from a topic, without the topic."""

    def __init__(self, global_frame: str = "") -> None:
        self.refused: list[Exception] = []
        self.destroyed = 0
        self.poses = TopicPoses(
            self._listen,
            self.refused.append,
            global_frame=global_frame,
            tolerance_s=0.05,
            duration_s=10.0,
            jump_s=1.0,
        )

    def _listen(self, hear: Any) -> Any:
        self.hear = hear
        return self

    def destroy(self) -> None:
        self.destroyed += 1


def pose_at(x: float, stamp_s: float, frame: str = "map") -> PoseStamped:
    T = np.eye(4)
    T[0, 3] = x
    return pose_message(T, frame, round(stamp_s * S))


def test_interpolated_at_the_stamp_in_the_poses_own_frame() -> None:
    topic = Topic()
    topic.hear(pose_at(1.0, 1.0))
    topic.hear(pose_at(2.0, 1.4))
    frame_id, T = topic.poses.lookup("camera", round(1.1 * S), 0.0)
    assert frame_id == "map"
    np.testing.assert_allclose(T[:3, 3], [1.25, 0, 0])


def test_poses_that_failed_to_come_are_not_made_up() -> None:
    topic = Topic()
    topic.hear(pose_at(1.0, 1.0))
    topic.hear(pose_at(2.0, 11.0))
    with pytest.raises(TransformUnavailable, match=r"10\.000 s apart, at most 0\.500 s"):
        topic.poses.lookup("camera", 6 * S, 0.0)


def test_waits_for_a_pose_that_is_on_its_way() -> None:
    topic = Topic()
    later = threading.Timer(0.05, lambda: topic.hear(pose_at(3.0, 1.0)))
    later.start()
    assert topic.poses.lookup("camera", S, 10.0).T_world_source[0, 3] == 3.0


def test_a_missing_pose_names_both_frames_the_stamp_and_the_wait() -> None:
    topic = Topic(global_frame="odom")
    with pytest.raises(
        TransformUnavailable,
        match=r"from 'camera' to 'odom' at 1.500 s: no camera pose has been received yet \(waited 0.01 s\)",
    ):
        topic.poses.lookup("camera", round(1.5 * S), 0.01)


def test_a_pose_too_old_is_not_used() -> None:
    topic = Topic()
    topic.hear(pose_at(1.0, 1.0))
    assert topic.poses.lookup("camera", round(1.04 * S), 0.0).T_world_source[0, 3] == 1.0
    with pytest.raises(TransformUnavailable, match=r"from 'camera' to 'map' at 1.060 s: the image is 0.060 s after"):
        topic.poses.lookup("camera", round(1.06 * S), 0.0)


def test_another_frame_than_asked_for_is_refused() -> None:
    topic = Topic(global_frame="odom")
    topic.hear(pose_at(1.0, 1.0))
    with pytest.raises(TransformUnavailable, match=r"to 'odom' .* the camera_pose topic is in frame 'map'"):
        topic.poses.lookup("camera", S, 0.0)


def test_the_pose_of_something_else_than_the_camera_is_refused() -> None:
    topic = Topic()
    message = TransformStamped()
    message.header.frame_id, message.child_frame_id = "map", "base_link"
    message.header.stamp = time_msg(S)
    topic.hear(message)
    with pytest.raises(TransformUnavailable, match="tells where 'base_link' is, not the images' frame"):
        topic.poses.lookup("camera", S, 0.0)


def test_time_that_jumps_back_forgets_the_future() -> None:
    topic = Topic()
    topic.hear(pose_at(9.0, 100.0))
    topic.hear(pose_at(1.0, 1.0))
    with pytest.raises(TransformUnavailable):
        topic.poses.lookup("camera", 50 * S, 0.0)
    assert topic.poses.lookup("camera", S, 0.0).T_world_source[0, 3] == 1.0


def test_a_message_that_is_no_pose_is_handed_to_refuse() -> None:
    topic = Topic()
    message = pose_at(1.0, 1.0)
    message.pose.position.x = float("nan")
    topic.hear(message)
    assert [type(error) for error in topic.refused] == [InputError]
    topic.poses.destroy()
    assert topic.destroyed == 1


@pytest.mark.skipif(importlib.util.find_spec("tf2_ros") is not None, reason="tf2_ros is installed")
def test_tf_without_tf2_is_a_set_up_error() -> None:
    with pytest.raises(ConfigError, match="tf2_ros, which is not installed: use pose_topic"):
        Tf2Poses(None, "map")  # type: ignore[arg-type]


def test_a_cloud_moves_with_its_normals_and_viewpoint() -> None:
    T = np.array([[0, -1, 0, 10], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], np.float64)
    row = np.array([[1, 0, 0]], np.float32)
    cloud = in_world(Cloud(row, normals=row, frame_id="lidar", viewpoint=np.zeros(3)), WorldPose("map", T))
    assert cloud.frame_id == "map"
    np.testing.assert_allclose(cloud.points, [[10, 1, 0]])
    np.testing.assert_allclose(cloud.normals, [[0, 1, 0]])
    np.testing.assert_allclose(cloud.viewpoint, [10, 0, 0])
