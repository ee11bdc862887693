"""Every topic and service of the nodes, written once: what the documentation's tables are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Endpoint:
    """A topic or service of one node.

    Attributes:
        node: which node; ``all`` for scene_node, fusion_node and prompt_node.
        kind: what the node does with it.
        name: relative, or private with ``~/``.
        type: package and name of the interface.
        meaning: what it carries and when it is there.
    """

    node: Literal[
        "scene_node",
        "fusion_node",
        "prompt_node",
        "all",
        "recorder_node",
        "viewer_node",
        "source_node",
        "bag_source_node",
    ]
    kind: Literal["subscribes", "publishes", "serves"]
    name: str
    type: str
    meaning: str


_IMAGES = (
    Endpoint(
        "all",
        "subscribes",
        "rgb/image_rect_color",
        "sensor_msgs/Image",
        "Colour: rgb8, bgr8, rgba8, bgra8 or mono8. With `camera.image_transport: compressed` CompressedImage on "
        "`rgb/image_rect_color/compressed`. scene_node and prompt_node: with `input: rgbd`.",
    ),
    Endpoint(
        "all",
        "subscribes",
        "depth_registered/image_rect",
        "sensor_msgs/Image",
        "Depth registered to the colour image: 16UC1 or mono16 in mm, 32FC1 in m. With "
        "`camera.depth_image_transport: compressedDepth` CompressedImage on "
        "`depth_registered/image_rect/compressedDepth`.",
    ),
    Endpoint("all", "subscribes", "rgb/camera_info", "sensor_msgs/CameraInfo", "Calibration of both images."),
    Endpoint(
        "all",
        "subscribes",
        "camera_pose",
        "geometry_msgs/PoseStamped",
        "Pose of the optical camera frame, with `pose_source: pose_topic`; type as `pose_type` says. With "
        "`input: cloud` and `global_frame`: pose of the cloud's frame. prompt_node: also of clicks in that frame.",
    ),
)

_COMMON = (
    Endpoint(
        "all",
        "publishes",
        "/diagnostics",
        "diagnostic_msgs/DiagnosticArray",
        "Once a second: rate, age, frames in, used, dropped and bad, latency per stage, last error.",
    ),
    Endpoint("all", "serves", "~/enable", "std_srvs/SetBool", "Pause and go on; inputs are ignored while paused."),
    Endpoint(
        "all",
        "serves",
        "~/reset",
        "std_srvs/Trigger",
        "Forget the map, the instances and their ids; prompt_node: the object in progress and all accepted instances.",
    ),
)

_RELOAD = tuple(
    Endpoint(
        node,
        "serves",
        "~/reload_model",
        "std_srvs/Trigger",
        "Load what the parameter `model` names now, also the same file with other contents, beside the model in use, "
        f"and switch between two inputs; {kept}. Whatever goes wrong leaves the model before in use.",
    )
    for node, kept in (("scene_node", "ids stay"), ("prompt_node", "what is selected and accepted stays"))
)

_PROMPTS = (
    Endpoint(
        "prompt_node",
        "subscribes",
        "cloud",
        "sensor_msgs/PointCloud2",
        "Cloud to click on, with `input: cloud`: the newest one, as scene_node reads it. It is encoded as soon as it "
        "comes if somebody subscribes to a result, else at the first prompt.",
    ),
    Endpoint(
        "prompt_node",
        "subscribes",
        "clicked_point",
        "geometry_msgs/PointStamped",
        "A click on the object, in any frame that is known; it is snapped to the nearest point of the cloud.",
    ),
    Endpoint(
        "prompt_node",
        "subscribes",
        "clicked_point_negative",
        "geometry_msgs/PointStamped",
        "A click beside the object: what is there is not of it.",
    ),
    Endpoint(
        "prompt_node",
        "subscribes",
        "prompt_goal",
        "geometry_msgs/PoseStamped",
        "A position on the floor: the object that stands there, or the nearest of scene_node's instances.",
    ),
    Endpoint(
        "prompt_node",
        "subscribes",
        "prompt_box",
        "geometry_msgs/PolygonStamped",
        "Two opposite corners of a box along the axes of the cloud's frame: the object in it.",
    ),
    Endpoint(
        "prompt_node",
        "subscribes",
        "prompt_instance",
        "geometry_msgs/PointStamped",
        "A click on an instance that scene_node has found: it becomes the object in progress, for clicks to refine.",
    ),
    Endpoint(
        "prompt_node",
        "subscribes",
        "instance_cloud",
        "sensor_msgs/PointCloud2",
        "scene_node's latest result; only while somebody publishes `prompt_instance` or `prompt_goal`.",
    ),
    Endpoint(
        "prompt_node",
        "publishes",
        "~/mask",
        "sensor_msgs/PointCloud2",
        "The points of the object in progress; none while there is none.",
    ),
    Endpoint(
        "prompt_node",
        "publishes",
        "~/prompt_cloud",
        "sensor_msgs/PointCloud2",
        "The cloud that clicks mean, the object in progress in the colour of its id.",
    ),
    Endpoint(
        "prompt_node",
        "publishes",
        "~/markers",
        "visualization_msgs/MarkerArray",
        "The object in progress: points, clicks (green, red), and over it id, candidate, predicted IoU and stability; "
        "namespaces seg3d/mask, seg3d/click_include, seg3d/click_exclude, seg3d/label.",
    ),
    Endpoint(
        "prompt_node",
        "publishes",
        "~/accepted",
        "sensor_msgs/PointCloud2",
        "All accepted instances, each with the points beside it: x, y, z, rgb, instance_id (uint32, 50001 to 60000, "
        "never used twice; 0 beside an instance), score, beside (uint32, the id of the instance it lies beside, or 0).",
    ),
    Endpoint(
        "prompt_node",
        "publishes",
        "~/actions",
        "std_msgs/String",
        "The name of each service that was called and did something: with the prompts, all that people did.",
    ),
    Endpoint(
        "prompt_node",
        "publishes",
        "~/rejected",
        "sensor_msgs/PointCloud2",
        "The points of an object in progress that was rejected.",
    ),
    Endpoint("prompt_node", "serves", "~/undo", "std_srvs/Trigger", "Take back the last prompt."),
    Endpoint(
        "prompt_node", "serves", "~/clear", "std_srvs/Trigger", "Take back all prompts of the object; can be undone."
    ),
    Endpoint("prompt_node", "serves", "~/next_candidate", "std_srvs/Trigger", "Mean the next of the candidates."),
    Endpoint("prompt_node", "serves", "~/accept", "std_srvs/Trigger", "Keep the object under its id, begin another."),
    Endpoint("prompt_node", "serves", "~/reject", "std_srvs/Trigger", "Drop the object, begin another."),
    Endpoint(
        "prompt_node", "serves", "~/new_object", "std_srvs/Trigger", "Begin another object; one in progress is dropped."
    ),
    Endpoint(
        "prompt_node", "serves", "~/save_instances", "std_srvs/Trigger", "Write accepted instances to `instances_file`."
    ),
    Endpoint("prompt_node", "serves", "~/load_instances", "std_srvs/Trigger", "Add the instances of `instances_file`."),
)

_RECORDER = (
    Endpoint(
        "recorder_node",
        "subscribes",
        "(topics)",
        "(any)",
        "Every topic that `topics` and `more_topics` name, as bytes, once somebody publishes it.",
    ),
    Endpoint(
        "recorder_node",
        "publishes",
        "/diagnostics",
        "diagnostic_msgs/DiagnosticArray",
        "Once a second: what is recorded to, messages in, recorded and dropped, how far a snapshot reaches back.",
    ),
    Endpoint("recorder_node", "serves", "~/start", "std_srvs/Trigger", "Begin a recording; answers with its path."),
    Endpoint("recorder_node", "serves", "~/stop", "std_srvs/Trigger", "End the recording properly."),
    Endpoint(
        "recorder_node",
        "serves",
        "~/snapshot",
        "std_srvs/Trigger",
        "Write the last seconds to a recording of their own; with `mode: snapshot` or `on_event`.",
    ),
)

_VIEWER = (
    Endpoint(
        "viewer_node",
        "subscribes",
        "cloud",
        "sensor_msgs/PointCloud2",
        "What is shown and clicked on: as prompt_node hears it. This and the next three only while a browser looks.",
    ),
    Endpoint(
        "viewer_node",
        "subscribes",
        "scene_node/instance_cloud",
        "sensor_msgs/PointCloud2",
        "The instances that the cloud is coloured by; without `cloud` shown by itself.",
    ),
    Endpoint(
        "viewer_node",
        "subscribes",
        "prompt_node/accepted",
        "sensor_msgs/PointCloud2",
        "The accepted instances, which go before those that were found.",
    ),
    Endpoint("viewer_node", "subscribes", "prompt_node/mask", "sensor_msgs/PointCloud2", "The object in progress."),
    Endpoint(
        "viewer_node",
        "subscribes",
        "/diagnostics",
        "diagnostic_msgs/DiagnosticArray",
        "Rates, drops and latencies of the nodes that count frames, for the panel.",
    ),
    Endpoint(
        "viewer_node",
        "publishes",
        "clicked_point",
        "geometry_msgs/PointStamped",
        "A click in the page, with frame and stamp of the cloud that was clicked on.",
    ),
    Endpoint(
        "viewer_node",
        "publishes",
        "clicked_point_negative",
        "geometry_msgs/PointStamped",
        "A click beside the object: with the right button, or with ctrl.",
    ),
    Endpoint(
        "viewer_node",
        "publishes",
        "/diagnostics",
        "diagnostic_msgs/DiagnosticArray",
        "Once a second: clouds in, shown, dropped; browsers that look; the port of the page.",
    ),
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
        "subscribes",
        "accepted",
        "sensor_msgs/PointCloud2",
        "Accepted instances, prompt_node's `~/accepted`: they are in every result with their ids, cut out of what was "
        "found.",
    ),
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
    *_PROMPTS,
    *_RELOAD,
    *_COMMON,
    *_RECORDER,
    *_VIEWER,
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
    shared = ("all",) if node in ("scene_node", "fusion_node", "prompt_node") else ()
    return [endpoint for endpoint in ENDPOINTS if endpoint.node in (node, *shared)]
