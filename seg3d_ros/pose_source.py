"""Which source of poses a node's settings ask for."""

from __future__ import annotations

from rclpy.node import Node

from seg3d_ros.frames import POSE_TYPES, PoseProvider, Tf2Poses, TopicPoses
from seg3d_ros.health import Health
from seg3d_ros.rgbd_input import Listen
from seg3d_ros.settings import NodeConfig

LIVE_POSES_S = 30.0
RECORDED_POSES_S = 24 * 3600.0
"""Poses are kept this long; with recorded data the worker may be far behind the poses."""

POSE_DEPTH = 100
"""Poses that wait in the middleware."""


def pose_source(node: Node, config: NodeConfig, listen: Listen, health: Health) -> PoseProvider | None:
    """The source that is asked for; None for none.

    Raises:
        ConfigError: tf is asked for and not installed.
    """
    if config.pose_source == "none":
        return None
    duration_s = RECORDED_POSES_S if config.process_all else LIVE_POSES_S
    if config.pose_source == "tf":
        return Tf2Poses(node, config.global_frame, duration_s)
    return TopicPoses(
        lambda hear: listen(POSE_TYPES[config.pose_type], "camera_pose", hear, POSE_DEPTH),
        health.failed,
        global_frame=config.global_frame,
        tolerance_s=config.pose_tolerance_s,
        duration_s=duration_s,
        jump_s=config.time_jump_s,
    )
