from __future__ import annotations

import importlib.util
import sys
import threading
import time
from types import ModuleType
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the ROS wheels (Python 3.11, 3.12) or a sourced ROS 2")

from geometry_msgs.msg import PoseStamped, TransformStamped
from rclpy.duration import Duration
from rclpy.time import Time

from seg3d_core.errors import ConfigError, InputError
from seg3d_core.types import Cloud
from seg3d_ros.conversions.poses import pose_message
from seg3d_ros.conversions.stamps import time_msg
from seg3d_ros.frames import Tf2Poses, TopicPoses, TransformUnavailable, WorldPose, in_world, patience_s
from seg3d_ros.settings import NodeConfig

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
        Tf2Poses(None, "map", 10.0)  # type: ignore[arg-type]


class FakeTf2(ModuleType):
    """As much of tf2_ros as is used; it knows no transform until ``known`` is set."""

    class TransformException(Exception):  # noqa: N818  tf2's own name
        """Of the same name as the real one."""

    def __init__(self) -> None:
        super().__init__("tf2_ros")
        self.known: TransformStamped | None = None
        self.cache_s = 0.0

    def Buffer(self, *, cache_time: Duration, node: object) -> FakeTf2:
        self.cache_s = cache_time.nanoseconds * 1e-9
        return self

    def TransformListener(self, buffer: FakeTf2, node: object, *, spin_thread: bool) -> FakeTf2:
        return self

    def unregister(self) -> None: ...

    def lookup_transform(self, target: str, source: str, at: Time, timeout: Duration) -> TransformStamped:
        if self.known is None:
            time.sleep(timeout.nanoseconds * 1e-9)
            raise self.TransformException("extrapolation into the future")
        return self.known


@pytest.fixture
def tf2(monkeypatch: pytest.MonkeyPatch) -> FakeTf2:
    fake = FakeTf2()
    monkeypatch.setitem(sys.modules, "tf2_ros", fake)
    return fake


def test_tf_waits_for_a_transform_that_is_on_its_way(tf2: FakeTf2) -> None:
    poses = Tf2Poses(None, "map", 300.0)  # type: ignore[arg-type]
    assert tf2.cache_s == 300.0
    with pytest.raises(TransformUnavailable, match=r"'camera' to 'map' at 1.000 s: extrap.* \(waited 0.01 s\)"):
        poses.lookup("camera", S, 0.01)
    message = TransformStamped()
    message.transform.translation.x = 3.0
    later = threading.Timer(0.2, lambda: setattr(tf2, "known", message))
    later.start()
    frame_id, T = poses.lookup("camera", S, 60.0)
    assert (frame_id, T[0, 3]) == ("map", 3.0)


@pytest.mark.parametrize("source", ["topic", "tf"])
def test_a_lookup_that_waits_gives_up_when_nobody_listens_any_more(tf2: FakeTf2, source: str) -> None:
    poses = Topic().poses if source == "topic" else Tf2Poses(None, "map", 10.0)  # type: ignore[arg-type]
    threading.Timer(0.1, poses.destroy).start()
    with pytest.raises(TransformUnavailable):
        poses.lookup("camera", S, 3600.0)


def test_recorded_inputs_wait_from_their_arrival_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    live = NodeConfig(transform_timeout_s=0.3, recorded_timeout_s=10.0)
    assert patience_s(live, 999.0) == 0.3
    recorded = live.model_copy(update={"process_all": True})
    assert patience_s(recorded, 999.0) == 9.0
    assert patience_s(recorded, 900.0) == 0.3


def test_a_cloud_moves_with_its_normals_and_viewpoint() -> None:
    T = np.array([[0, -1, 0, 10], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], np.float64)
    row = np.array([[1, 0, 0]], np.float32)
    cloud = in_world(Cloud(row, normals=row, frame_id="lidar", viewpoint=np.zeros(3)), WorldPose("map", T))
    assert cloud.frame_id == "map"
    np.testing.assert_allclose(cloud.points, [[10, 1, 0]])
    np.testing.assert_allclose(cloud.normals, [[0, 1, 0]])
    np.testing.assert_allclose(cloud.viewpoint, [10, 0, 0])
