"""From messages to messages at 640x480: what a frame costs beside its segmentation, stage by stage."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the ROS wheels (Python 3.11, 3.12) or a sourced ROS 2")
pytestmark = pytest.mark.ros

from rclpy.serialization import serialize_message  # noqa: E402

from seg3d_core.baselines.graph import GraphSegmenter  # noqa: E402
from seg3d_core.config import GraphConfig, RoomConfig, TrackingConfig  # noqa: E402
from seg3d_core.data.rooms import camera_path, make_room  # noqa: E402
from seg3d_core.geometry.backprojection import backproject  # noqa: E402
from seg3d_core.geometry.camera import Camera  # noqa: E402
from seg3d_core.tracking.association import IdTracker  # noqa: E402
from seg3d_core.types import Instances, RgbdFrame  # noqa: E402
from seg3d_ros.conversions.cameras import camera_from_info, info_from_camera  # noqa: E402
from seg3d_ros.conversions.clouds import instances_to_message  # noqa: E402
from seg3d_ros.conversions.images import (  # noqa: E402
    depth_m_from_image,
    image_from_depth_m,
    image_from_rgb,
    label_image,
    rgb_from_image,
)
from seg3d_ros.markers import InstanceMarkers  # noqa: E402
from seg3d_ros.memory import keep_freed_memory  # noqa: E402

CAMERA = Camera(640, 480, np.array([[525.0, 0, 319.5], [0, 525.0, 239.5], [0, 0, 1]]))


def fresh(instances: Instances) -> Instances:
    """The same result without what it has cached about itself."""
    return Instances(instances.cloud, instances.masks, instances.scores, instances.instance_ids)


def test_a_frame_around_its_segmentation(compare: Callable[..., None]):
    keep_freed_memory()  # as every node does
    room = make_room(3, RoomConfig())
    T_world_camera = camera_path(room, 20)[5]
    frame, _ = room.render(CAMERA, T_world_camera, 0)
    rgb, depth = image_from_rgb(frame.rgb, "camera", 0), image_from_depth_m(frame.depth_m, "camera", 0)
    info = info_from_camera(CAMERA, "camera", 0)
    segmenter, tracker = GraphSegmenter(GraphConfig()), IdTracker(TrackingConfig())

    def decode() -> RgbdFrame:
        camera = camera_from_info(info, rectified=True)
        return RgbdFrame(depth_m_from_image(depth), camera, rgb_from_image(rgb), T_world_camera, "map", 0)

    cloud = backproject(frame, 0.3, 5.0)
    found = tracker.update(segmenter.segment(cloud))
    stages = {
        "decode colour, depth, camera_info": (decode, "reads 1.5 MB, writes 4.9 MB"),
        "backproject": (lambda: backproject(frame, 0.3, 5.0), "reads 8.6 MB, writes 9.8 MB"),
        "ids": (lambda: tracker.update(fresh(found)), "one pass over masks and voxel keys"),
        "labelled cloud, serialised": (
            lambda: serialize_message(instances_to_message(fresh(found))),
            "writes 7.4 MB twice, labels once",
        ),
        "label image, serialised": (
            lambda: serialize_message(label_image(fresh(found), 480, 640)),
            "writes 0.6 MB twice, labels once",
        ),
        "markers, serialised": (
            lambda: InstanceMarkers().update(fresh(found)),
            "one pass over masks, a box around every instance; writes 0.5 MB",
        ),
    }
    for name, (stage, bound) in stages.items():
        compare(
            f"{name} ({len(cloud)} points, {len(found)} instances)",
            stage,
            "graph segmentation",
            lambda: segmenter.segment(cloud),
            bound=bound,
            rounds=5,
        )
