"""Messages to and from the core's types: the only place that unpacks bytes."""

from seg3d_ros.conversions.cameras import camera_from_info, info_from_camera
from seg3d_ros.conversions.clouds import cloud_from_message, cloud_to_message, instances_to_message
from seg3d_ros.conversions.compressed import depth_m_from_compressed, rgb_from_compressed
from seg3d_ros.conversions.images import (
    depth_m_from_image,
    image_from_depth_m,
    image_from_rgb,
    label_image,
    rgb_from_image,
)
from seg3d_ros.conversions.poses import (
    StampedTransform,
    pose_from_matrix,
    pose_message,
    transform_from_message,
)
from seg3d_ros.conversions.registration import check_registered
from seg3d_ros.conversions.stamps import header, stamp_ns, time_msg

__all__ = [
    "StampedTransform",
    "camera_from_info",
    "check_registered",
    "cloud_from_message",
    "cloud_to_message",
    "depth_m_from_compressed",
    "depth_m_from_image",
    "header",
    "image_from_depth_m",
    "image_from_rgb",
    "info_from_camera",
    "instances_to_message",
    "label_image",
    "pose_from_matrix",
    "pose_message",
    "rgb_from_compressed",
    "rgb_from_image",
    "stamp_ns",
    "time_msg",
    "transform_from_message",
]
