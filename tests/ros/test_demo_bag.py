"""The demo on recordings: clouds are segmented, RGB-D images are fused with the poses of the recorded tf."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the ROS wheels (Python 3.11, 3.12) or a sourced ROS 2")
pytestmark = pytest.mark.ros

from boxes import best_ious, boxes_cloud, boxes_view, label_points  # noqa: E402
from camera import OPTICAL_FRAME, Exposure  # noqa: E402
from demo_runs import run_demo  # noqa: E402
from rclpy.serialization import serialize_message  # noqa: E402
from rosbags.typesys import Stores, get_typestore  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image, PointCloud2  # noqa: E402

from seg3d_core.data.bags import BagWriter  # noqa: E402
from seg3d_core.data.cloud_files import read_labelled  # noqa: E402
from seg3d_core.geometry.transforms import to_quaternion  # noqa: E402
from seg3d_ros.conversions import cloud_to_message  # noqa: E402

STORE = get_typestore(Stores.ROS2_JAZZY)
TF = "tf2_msgs/msg/TFMessage"
START_NS = 1_700_000_000_000_000_000
FRAME_NS = 200_000_000


def tf_bytes(T_world_camera: np.ndarray, stamp_ns: int) -> bytes:
    """A /tf message with one transform map -> optical frame."""
    make = STORE.types
    translation, rotation = to_quaternion(T_world_camera)
    stamp = make["builtin_interfaces/msg/Time"](*divmod(stamp_ns, 10**9))
    transform = make["geometry_msgs/msg/TransformStamped"](
        make["std_msgs/msg/Header"](stamp, "map"),
        OPTICAL_FRAME,
        make["geometry_msgs/msg/Transform"](
            make["geometry_msgs/msg/Vector3"](*translation.tolist()),
            make["geometry_msgs/msg/Quaternion"](*rotation.tolist()),
        ),
    )
    return bytes(STORE.serialize_cdr(make[TF]([transform]), TF))


def record_camera(path: Path, frames: int) -> None:
    with BagWriter(path) as bag:
        rgb = bag.topic("/camera/color/image_raw", Image)
        depth = bag.topic("/camera/aligned_depth_to_color/image_raw", Image)
        info = bag.topic("/camera/color/camera_info", CameraInfo)
        tf = bag.topic("/tf", TF)
        for index in range(frames):
            stamp_ns = START_NS + index * FRAME_NS
            frame = boxes_view(2 * np.pi * index / frames, stamp_ns).frame
            exposure = Exposure.of(frame)
            tf(stamp_ns, tf_bytes(frame.T_world_camera, stamp_ns))
            info(stamp_ns, serialize_message(exposure.info))
            depth(stamp_ns, serialize_message(exposure.depth))
            rgb(stamp_ns, serialize_message(exposure.rgb))


def test_recorded_images_are_fused_with_poses_from_tf(tmp_path: Path, domain_id: int):
    record_camera(tmp_path / "bag", frames=25)
    done = run_demo(
        tmp_path / "out",
        domain_id,
        "--bag",
        str(tmp_path / "bag"),
        "--lossless",
        "--model",
        "graph",
        "--fusion",
        "fusion.voxel_size_m=0.01",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = read_labelled(tmp_path / "out" / "instances.ply")
    ious = best_ious(found.instance_id, label_points(found.cloud.points))
    assert min(ious) > 0.8, ious


def test_recorded_clouds_are_segmented(tmp_path: Path, domain_id: int):
    cloud, labels = boxes_cloud(START_NS)
    with BagWriter(tmp_path / "bag") as bag:
        bag.topic("/lidar/points", PointCloud2)(START_NS, serialize_message(cloud_to_message(cloud)))
    done = run_demo(tmp_path / "out", domain_id, "--bag", str(tmp_path / "bag"), "--model", "graph")
    assert done.returncode == 0, done.stdout + done.stderr
    found = read_labelled(tmp_path / "out" / "instances.ply")
    assert len(found.cloud) == len(cloud)
    assert min(best_ious(found.instance_id, labels)) > 0.8


def test_a_recording_without_clouds_and_images_is_refused(tmp_path: Path, domain_id: int):
    with BagWriter(tmp_path / "bag") as bag:
        bag.topic("/tf", TF)(START_NS, tf_bytes(np.eye(4), START_NS))
    done = run_demo(tmp_path / "out", domain_id, "--bag", str(tmp_path / "bag"))
    assert done.returncode == 2
    assert "no cloud and no colour and depth image" in done.stderr
    assert "/tf" in done.stderr
