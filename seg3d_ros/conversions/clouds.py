"""sensor_msgs/PointCloud2 to and from ``Cloud`` and ``Instances``."""

from seg3d_ros.conversions.cloud_reading import cloud_from_message
from seg3d_ros.conversions.cloud_writing import cloud_to_message, instances_to_message

__all__ = ["cloud_from_message", "cloud_to_message", "instances_to_message"]
