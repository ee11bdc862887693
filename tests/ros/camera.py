"""A camera driver with a pose topic, as the tests' own process publishes it."""

from __future__ import annotations

from dataclasses import dataclass

from geometry_msgs.msg import PoseStamped
from message_builders import compressed_depth_of, jpeg_of
from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_graph import Graph
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from seg3d_core.types import RgbdFrame
from seg3d_ros.conversions.cameras import info_from_camera
from seg3d_ros.conversions.images import image_from_depth_m, image_from_rgb
from seg3d_ros.conversions.poses import pose_message

OPTICAL_FRAME = "camera_color_optical_frame"
RELIABLE = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)


@dataclass(frozen=True)
class Exposure:
    """The messages of one frame."""

    rgb: Image
    depth: Image
    info: CameraInfo
    pose: PoseStamped

    @classmethod
    def of(cls, frame: RgbdFrame) -> Exposure:
        stamp = frame.stamp_ns
        return cls(
            image_from_rgb(frame.rgb, OPTICAL_FRAME, stamp),
            image_from_depth_m(frame.depth_m, OPTICAL_FRAME, stamp),
            info_from_camera(frame.camera, OPTICAL_FRAME, stamp),
            pose_message(frame.T_world_camera, frame.frame_id, stamp),
        )


class CameraPublishers:
    """Publishes exposures on the topics that the nodes subscribe to.

    With a ``depth_codec`` (png, rvl) colour is sent as JPEG and depth as compressedDepth instead.
    """

    def __init__(self, graph: Graph, qos: QoSProfile = RELIABLE, depth_codec: str = "") -> None:
        self.graph = graph
        self._codec = depth_codec
        kind = CompressedImage if depth_codec else Image
        rgb_end, depth_end = ("/compressed", "/compressedDepth") if depth_codec else ("", "")
        self.rgb = graph.publisher(kind, f"/rgb/image_rect_color{rgb_end}", qos)
        self.depth = graph.publisher(kind, f"/depth_registered/image_rect{depth_end}", qos)
        self.info = graph.publisher(CameraInfo, "/rgb/camera_info", qos)
        self.pose = graph.publisher(PoseStamped, "/camera_pose", qos)

    def wait_for_subscribers(self) -> None:
        for publisher in (self.rgb, self.depth, self.info, self.pose):
            self.graph.until(lambda publisher=publisher: publisher.get_subscription_count())
        self.graph.subscribed(self.rgb)

    def send(self, exposure: Exposure) -> None:
        self.pose.publish(exposure.pose)
        self.info.publish(exposure.info)
        self.depth.publish(compressed_depth_of(exposure.depth, self._codec) if self._codec else exposure.depth)
        self.rgb.publish(jpeg_of(exposure.rgb) if self._codec else exposure.rgb)
