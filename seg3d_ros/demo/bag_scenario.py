"""Which nodes a recording needs: its topics decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image

from seg3d_core.data.bag_poses import bag_transforms
from seg3d_core.data.bags import BagReader, BagTopic
from seg3d_core.errors import InputError
from seg3d_ros.demo.live_page import page_nodes
from seg3d_ros.demo.options import DemoOptions
from seg3d_ros.demo.processes import NodeProcess
from seg3d_ros.demo.scenario import Scenario

FIXED_FRAMES = ("map", "odom", "world")
"""Where camera poses are looked up, the first that the recording has (REP-105)."""


@dataclass(frozen=True)
class CameraTopics:
    """The RGB-D topics of a recording, and the optical frame of the images."""

    rgb: str
    depth: str
    info: str
    frame: str


def make_bag_scenario(options: DemoOptions, logs: Path) -> Scenario:
    """Segment the recorded clouds, or fuse and segment the recorded RGB-D images.

    Raises:
        InputError: the recording has neither clouds nor RGB-D images, or no poses for the latter.
    """
    assert options.bag is not None
    with BagReader(options.bag) as reader:
        topics = [topic for topic in reader.topics() if topic.count]
        clouds = [topic.name for topic in topics if topic.type_name == "sensor_msgs/msg/PointCloud2"]
        camera = None if clouds else _camera_topics(options.bag, reader, topics)
    common = {"use_sim_time": True, "process_all": options.lossless}
    if clouds:
        return Scenario(
            _source(options, logs, {"await_topic": clouds[0]}),
            [_scene(options, logs, common, clouds[0]), *page_nodes(options, logs, common, clouds[0])],
            cloud_topic=clouds[0],
            use_sim_time=True,
        )
    assert camera is not None
    poses = {"fixed_frame": _fixed_frame(options.bag, camera.frame), "camera_frame": camera.frame}
    fusion = NodeProcess(
        "seg3d_ros.fusion_node",
        logs / "fusion_node.log",
        {**common, **options.fusion},
        {
            "rgb/image_rect_color": camera.rgb,
            "depth_registered/image_rect": camera.depth,
            "rgb/camera_info": camera.info,
        },
    )
    cloud_topic = "fusion_node/cloud"
    source = _source(options, logs, {"await_topic": camera.depth, **poses})
    page = page_nodes(options, logs, common, cloud_topic)
    nodes = [fusion, _scene(options, logs, common, cloud_topic), *page]
    return Scenario(source, nodes, cloud_topic, use_sim_time=True)


def _source(options: DemoOptions, logs: Path, parameters: dict[str, str]) -> NodeProcess:
    log = logs / "bag_source_node.log"
    return NodeProcess("seg3d_ros.bag_source_node", log, {"bag": str(options.bag), **parameters})


def _scene(options: DemoOptions, logs: Path, common: dict[str, bool], cloud: str) -> NodeProcess:
    log = logs / "scene_node.log"
    return NodeProcess("seg3d_ros.scene_node", log, {**common, **options.scene}, {"cloud": cloud})


def _camera_topics(bag: Path, reader: BagReader, topics: Sequence[BagTopic]) -> CameraTopics:
    images = {topic.name: topic for topic in topics if topic.type_name == "sensor_msgs/msg/Image"}
    infos = [topic.name for topic in topics if topic.type_name == "sensor_msgs/msg/CameraInfo"]
    first = {name: deserialize_message(next(reader.messages([name])).data, Image) for name in images}
    depth = [name for name, image in first.items() if image.encoding in ("16UC1", "mono16", "32FC1")]
    # Depth is registered to the colour image that shares its frame and size.
    pairs = [
        (rgb, name)
        for name in depth
        for rgb, image in first.items()
        if rgb not in depth and _same_camera(image, first[name])
    ]
    if not pairs or not infos:
        names = ", ".join(topic.name for topic in topics)
        raise InputError(f"{bag} has no cloud and no colour and depth image of one camera with camera_info: {names}")
    rgb, depth_name = pairs[0]
    info = max(infos, key=lambda name: _shared_start(name, rgb))
    return CameraTopics(rgb, depth_name, info, first[rgb].header.frame_id)


def _same_camera(a: Image, b: Image) -> bool:
    return (a.width, a.height, a.header.frame_id) == (b.width, b.height, b.header.frame_id)


def _shared_start(a: str, b: str) -> int:
    """How many leading name parts two topics share: a camera's topics live in one namespace."""
    return sum(1 for x, y in zip(a.split("/"), b.split("/"), strict=False) if x == y)


def _fixed_frame(bag: Path, camera_frame: str) -> str:
    known = bag_transforms(bag).frames
    for frame in FIXED_FRAMES:
        if frame in known:
            return frame
    raise InputError(f"{bag}: camera frame {camera_frame} has no pose in any of {FIXED_FRAMES}; tf knows {known}")
