"""What scene_node and prompt_node work on: the cloud of a message, or of a camera's exposure."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import numpy as np
from rclpy.impl.rcutils_logger import RcutilsLogger
from sensor_msgs.msg import PointCloud2

from seg3d_core.errors import InputError
from seg3d_core.geometry.backprojection import backproject
from seg3d_core.types import Cloud
from seg3d_ros.conversions.clouds import cloud_from_message
from seg3d_ros.frames import PoseProvider, in_world, patience_s
from seg3d_ros.health import Health
from seg3d_ros.rgbd_input import RgbdMessages, frame_from
from seg3d_ros.settings import CloudInputConfig
from seg3d_ros.warm_up import practice_messages

Vertical = tuple[float, float, float]


@dataclass(frozen=True)
class CloudMessage:
    """A cloud message that has not been looked at yet; ``received_s`` is when it came, ``time.monotonic``."""

    stamp_ns: int
    message: PointCloud2
    received_s: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class CameraImage:
    """The image that a cloud came from: px, and the frame of its camera."""

    height: int
    width: int
    frame_id: str


@dataclass(frozen=True)
class CloudInput:
    """A cloud as the node is to use it; ``image`` is None where it did not come from one."""

    cloud: Cloud
    image: CameraImage | None
    sensor_frame: str
    """The frame that it was measured in, whose pose ``poses`` tell."""


def cloud_input(
    item: CloudMessage | RgbdMessages, config: CloudInputConfig, poses: PoseProvider | None, health: Health
) -> CloudInput:
    """The finite points of an input, in ``global_frame`` where one is asked for.

    Raises:
        InputError: the message cannot be used, or has no point that can.
        TransformUnavailable: the pose did not become known in time.
    """
    if isinstance(item, RgbdMessages):
        return _of_exposure(item, config, poses, health)
    return _of_cloud(item, config, poses, health)


def vertical(config: CloudInputConfig) -> Vertical:
    """The vertical in the results' frame: a level camera's where that is the frame, else REP-103's z."""
    return (0.0, -1.0, 0.0) if _is_in_camera(config) else (0.0, 0.0, 1.0)


def _is_in_camera(config: CloudInputConfig) -> bool:
    return config.input == "rgbd" and config.pose_source == "none"


def practice_cloud(config: CloudInputConfig, logger: RcutilsLogger) -> Cloud:
    """A small cloud that went the way of a camera's, for warming up."""
    exposure = practice_messages(config.min_depth_m, config.max_depth_m)
    return _of_exposure(exposure, config, None, Health(lambda: 0, logger)).cloud


def _of_cloud(item: CloudMessage, config: CloudInputConfig, poses: PoseProvider | None, health: Health) -> CloudInput:
    with health.stage("decode"):
        cloud = cloud_from_message(item.message)
    if len(cloud) == 0:
        count = item.message.width * item.message.height
        raise InputError(f"none of the cloud's {count} points is finite" if count else "cloud is empty")
    sensor_frame = cloud.frame_id
    if config.global_frame not in ("", sensor_frame):
        if poses is None:
            raise InputError(f"cloud is in frame {sensor_frame!r}, not {config.global_frame!r}: set pose_source")
        with health.stage("pose"):
            pose = poses.lookup(sensor_frame, cloud.stamp_ns, patience_s(config, item.received_s))
            cloud = in_world(cloud, pose)
    return CloudInput(cloud, None, sensor_frame)


def _of_exposure(
    item: RgbdMessages, config: CloudInputConfig, poses: PoseProvider | None, health: Health
) -> CloudInput:
    frame = frame_from(item, config, poses, health)
    with health.stage("backproject"):
        cloud = backproject(frame, config.min_depth_m, config.max_depth_m, config.pixel_stride)
    if len(cloud) == 0:
        raise InputError(f"no depth between {config.min_depth_m:g} and {config.max_depth_m:g} m in the image")
    if _is_in_camera(config):
        cloud = replace(cloud, up=np.array(vertical(config)))
    sensor_frame = item.rgb.header.frame_id
    return CloudInput(cloud, CameraImage(*frame.depth_m.shape, sensor_frame), sensor_frame)
