"""Every topic and service of the nodes, written once: what the documentation's tables are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Endpoint:
    """A topic or service of one node.

    Attributes:
        node: which node, ``both`` for scene_node and fusion_node.
        kind: what the node does with it.
        name: relative, or private with ``~/``.
        type: package and name of the interface.
        meaning: what it carries and when it is there.
    """

    node: Literal["scene_node", "fusion_node", "both", "source_node", "bag_source_node"]
    kind: Literal["subscribes", "publishes", "serves"]
    name: str
    type: str
    meaning: str


_IMAGES = (
    Endpoint(
        "both",
        "subscribes",
        "rgb/image_rect_color",
        "sensor_msgs/Image",
        "Colour: rgb8, bgr8, rgba8, bgra8 or mono8. With `camera.image_transport: compressed` CompressedImage on "
        "`rgb/image_rect_color/compressed`. scene_node: with `input: rgbd`.",
    ),
    Endpoint(
        "both",
        "subscribes",
        "depth_registered/image_rect",
        "sensor_msgs/Image",
        "Depth registered to the colour image: 16UC1 or mono16 in mm, 32FC1 in m. With "
        "`camera.depth_image_transport: compressedDepth` CompressedImage on "
        "`depth_registered/image_rect/compressedDepth`.",
    ),
    Endpoint("both", "subscribes", "rgb/camera_info", "sensor_msgs/CameraInfo", "Calibration of both images."),
    Endpoint(
        "both",
        "subscribes",
        "camera_pose",
        "geometry_msgs/PoseStamped",
        "Pose of the optical camera frame, with `pose_source: pose_topic`; type as `pose_type` says. With "
        "`input: cloud` and `global_frame`: pose of the cloud's frame.",
    ),
)

_COMMON = (
    Endpoint(
        "both",
        "publishes",
        "/diagnostics",
        "diagnostic_msgs/DiagnosticArray",
        "Once a second: rate, age, frames in, used, dropped and bad, latency per stage, last error.",
    ),
    Endpoint("both", "serves", "~/enable", "std_srvs/SetBool", "Pause and go on; inputs are ignored while paused."),
    Endpoint("both", "serves", "~/reset", "std_srvs/Trigger", "Forget the map, the instances and their ids."),
)

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "scene_node",
        "subscribes",
        "cloud",
        "sensor_msgs/PointCloud2",
        "Cloud of any layout with x, y, z, with `input: cloud`; rgb or rgba is used where it is there.",
    ),
    *_IMAGES,
    Endpoint(
        "scene_node",
        "publishes",
        "~/markers",
        "visualization_msgs/MarkerArray",
        "Boxes, points and labels, one of each per instance: namespaces seg3d/box, seg3d/points, seg3d/label; "
        "id = instance id, colour a fixed function of the id.",
    ),
    Endpoint(
        "scene_node",
        "publishes",
        "~/instance_cloud",
        "sensor_msgs/PointCloud2",
        "The input's points with x, y, z, rgb of the instance, instance_id (uint32, 0 = none) and score.",
    ),
    Endpoint(
        "scene_node",
        "publishes",
        "~/label_image",
        "sensor_msgs/Image",
        "Instance id per pixel, 0 = none; with `input: rgbd`.",
    ),
    Endpoint(
        "scene_node",
        "publishes",
        "~/instances",
        "vision_msgs/Detection3DArray",
        "One box with the instance's id per instance; where vision_msgs is installed.",
    ),
    Endpoint(
        "scene_node",
        "serves",
        "~/segment_now",
        "std_srvs/Trigger",
        "Segment the latest input again, also one that was skipped because nobody subscribed.",
    ),
    Endpoint(
        "fusion_node",
        "publishes",
        "~/cloud",
        "sensor_msgs/PointCloud2",
        "The fused surface so far: x, y, z, rgb, normals toward the camera.",
    ),
    *_COMMON,
    Endpoint("source_node", "publishes", "rgb/image_rect_color", "sensor_msgs/Image", "Colour, rgb8."),
    Endpoint("source_node", "publishes", "depth_registered/image_rect", "sensor_msgs/Image", "Depth, 16UC1 in mm."),
    Endpoint("source_node", "publishes", "rgb/camera_info", "sensor_msgs/CameraInfo", "Calibration of both."),
    Endpoint(
        "source_node",
        "publishes",
        "camera_pose",
        "geometry_msgs/PoseStamped",
        "Where the optical camera frame was, in map.",
    ),
    Endpoint(
        "bag_source_node",
        "publishes",
        "(recorded)",
        "(recorded)",
        "Every recorded topic whose type is installed, latched.",
    ),
    Endpoint(
        "bag_source_node",
        "publishes",
        "/clock",
        "rosgraph_msgs/Clock",
        "The recorded one, or the time of recording.",
    ),
    Endpoint(
        "bag_source_node",
        "publishes",
        "camera_pose",
        "geometry_msgs/PoseStamped",
        "Pose of `camera_frame` in `fixed_frame`, from the recorded tf.",
    ),
)


def endpoints(node: str) -> list[Endpoint]:
    """Everything that a node of this name subscribes to, publishes and serves."""
    shared = ("both",) if node in ("scene_node", "fusion_node") else ()
    return [endpoint for endpoint in ENDPOINTS if endpoint.node in (node, *shared)]
