"""Instances as vision_msgs/Detection3DArray, on systems that have vision_msgs (its wheels do not exist)."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from geometry_msgs.msg import Vector3

from seg3d_core.geometry.boxes import oriented_box
from seg3d_core.types import Instances
from seg3d_ros.conversions.poses import pose_from_matrix
from seg3d_ros.conversions.stamps import header

if TYPE_CHECKING:
    from vision_msgs.msg import Detection3D, Detection3DArray

CLASS_ID = "object"
"""Instances have no class."""


def available() -> bool:
    """Whether vision_msgs is installed."""
    return importlib.util.find_spec("vision_msgs") is not None


def detection_array(instances: Instances, up: tuple[float, float, float] = (0.0, 0.0, 1.0)) -> Detection3DArray:
    """One detection per instance that has points: its id as text, its score, its upright box.

    Frame and stamp are the cloud's.

    Raises:
        ImportError: vision_msgs is not installed; see ``available``.
    """
    from vision_msgs.msg import Detection3DArray

    head = header(instances.cloud.frame_id, instances.cloud.stamp_ns)
    detections = [_detection(instances, row, up) for row in range(len(instances)) if instances.masks[row].any()]
    for detection in detections:
        detection.header = head
    return Detection3DArray(header=head, detections=detections)


def _detection(instances: Instances, row: int, up: tuple[float, float, float]) -> Detection3D:
    from vision_msgs.msg import BoundingBox3D, Detection3D, ObjectHypothesis, ObjectHypothesisWithPose

    box = oriented_box(instances.cloud.points[instances.masks[row]], up)
    x, y, z = box.size.tolist()
    pose = pose_from_matrix(box.T_world_box)
    result = ObjectHypothesisWithPose(
        hypothesis=ObjectHypothesis(class_id=CLASS_ID, score=float(instances.scores[row]))
    )
    result.pose.pose = pose
    return Detection3D(
        id=str(instances.instance_ids[row]),
        results=[result],
        bbox=BoundingBox3D(center=pose, size=Vector3(x=x, y=y, z=z)),
    )
