"""Whatever arrives, the node lives, says what is wrong, counts it, and uses the next good input."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the ROS wheels (Python 3.11, 3.12) or a sourced ROS 2")

from boxes import boxes_cloud, boxes_view
from camera import CameraPublishers, Exposure
from rclpy.qos import QoSProfile
from ros_graph import EVERYTHING, Graph
from sensor_msgs.msg import PointCloud2

from seg3d_core.types import Cloud
from seg3d_ros.conversions.clouds import cloud_to_message
from seg3d_ros.conversions.stamps import stamp_ns, time_msg

pytestmark = pytest.mark.ros
S = 1_000_000_000
RELIABLE = QoSProfile(depth=100)


def refused(status: dict[str, str]) -> list[str]:
    """The distinct messages in a node's diagnostics."""
    return [key.removeprefix("refused: ") for key in status if key.startswith("refused: ")]


def expect(graph: Graph, node: str, bad: int, message: str) -> None:
    """The node's diagnostics count ``bad`` refused inputs, the last of them with ``message``."""
    graph.until(lambda: int(graph.status(node).get("frames_bad", -1)) >= bad, 15)
    status = graph.status(node)
    assert int(status["frames_bad"]) == bad, refused(status)
    assert message in status["last_error"]
    assert status["level"] == "1"
    assert message in status["message"]


def without_z(message: PointCloud2) -> None:
    message.fields = [each for each in message.fields if each.name != "z"]


def truncated(message: PointCloud2) -> None:
    message.data = message.data[: len(message.data) // 2]


def short_rows(message: PointCloud2) -> None:
    message.row_step = message.width * message.point_step - 1


def empty(message: PointCloud2) -> None:
    message.width, message.row_step, message.data = 0, 0, b""


def not_finite(message: PointCloud2) -> None:
    message.data = np.full(len(message.data) // 4, np.nan, np.float32).tobytes()


CLOUDS: list[tuple[Callable[[PointCloud2], None], str]] = [
    (without_z, "no field z"),
    (truncated, "bytes"),
    (short_rows, "row_step"),
    (empty, "cloud is empty"),
    (not_finite, "none of the cloud's 15996 points is finite"),
]


def test_bad_clouds(graph: Graph) -> None:
    results = graph.collect(PointCloud2, "/scene_node/instance_cloud", EVERYTHING)
    publisher = graph.publisher(PointCloud2, "/cloud", RELIABLE)
    graph.start("scene_node")
    graph.active("/scene_node")
    graph.subscribed(publisher)
    good = cloud_to_message(boxes_cloud(0, spacing_m=0.02)[0])
    for number, (spoil, message) in enumerate(CLOUDS, start=1):
        bad = copy.deepcopy(good)
        spoil(bad)
        bad.header.stamp = time_msg(2 * number * S)
        publisher.publish(bad)
        expect(graph, "/scene_node", number, message)
        good.header.stamp = time_msg((2 * number + 1) * S)
        publisher.publish(good)
        graph.until(lambda number=number: len(results) == number, 15)
    good.header.stamp = time_msg((2 * len(CLOUDS) + 1) * S - S // 10)
    publisher.publish(good)
    expect(graph, "/scene_node", len(CLOUDS) + 1, "0.100 s older than the input before it")
    assert [stamp_ns(each.header.stamp) // S for each in results] == [3, 5, 7, 9, 11]
    assert len(refused(graph.status("/scene_node"))) == len(CLOUDS) + 1


def all_nan(exposure: Exposure) -> None:
    exposure.depth.encoding = "32FC1"
    exposure.depth.step = 4 * exposure.depth.width
    exposure.depth.data = np.full(exposure.depth.width * exposure.depth.height, np.nan, np.float32).tobytes()


def zero_size(exposure: Exposure) -> None:
    exposure.rgb.width = exposure.rgb.height = exposure.rgb.step = 0
    exposure.rgb.data = b""


def wrong_encoding(exposure: Exposure) -> None:
    exposure.rgb.encoding = "yuv422"


def depth_in_bytes(exposure: Exposure) -> None:
    exposure.depth.encoding = "8UC1"


def truncated_depth(exposure: Exposure) -> None:
    exposure.depth.data = exposure.depth.data[:-10]


def other_size(exposure: Exposure) -> None:
    exposure.depth.height //= 2
    exposure.depth.data = exposure.depth.data[: len(exposure.depth.data) // 2]


def other_frame(exposure: Exposure) -> None:
    exposure.depth.header.frame_id = "camera_depth_optical_frame"


def no_calibration(exposure: Exposure) -> None:
    exposure.info.k = np.zeros(9)
    exposure.info.p = np.zeros(12)


EXPOSURES: list[tuple[Callable[[Exposure], None], str]] = [
    (all_nan, "no depth between 0.3 and 4 m"),
    (zero_size, "0x0"),
    (wrong_encoding, "yuv422"),
    (depth_in_bytes, "8UC1"),
    (truncated_depth, "bytes"),
    (other_size, "320x120"),
    (other_frame, "depth in frame 'camera_depth_optical_frame'"),
    (no_calibration, "not calibrated"),
]


def test_bad_images(graph: Graph) -> None:
    results = graph.collect(PointCloud2, "/scene_node/instance_cloud", EVERYTHING)
    camera = CameraPublishers(graph)
    graph.start("scene_node", input="rgbd")
    graph.active("/scene_node")
    camera.wait_for_subscribers()

    def exposure(stamp_s: float) -> Exposure:
        return Exposure.of(boxes_view(0.0, round(stamp_s * S)).frame)

    for stamp_s in (1, 2):  # the first waits for its calibration until the second comes
        without = exposure(stamp_s)
        camera.pose.publish(without.pose)
        camera.depth.publish(without.depth)
        camera.rgb.publish(without.rgb)
    expect(graph, "/scene_node", 1, "no camera_info on /rgb/camera_info yet")
    camera.info.publish(exposure(2).info)
    graph.until(lambda: results and stamp_ns(results[-1].header.stamp) == 2 * S)
    for number, (spoil, message) in enumerate(EXPOSURES, start=1):
        bad = exposure(10 * number)
        spoil(bad)
        camera.info.publish(bad.info)
        time.sleep(0.3)  # calibration is the latest one that came, and topics do not wait for each other
        camera.send(bad)
        expect(graph, "/scene_node", 1 + number, message)
        camera.info.publish(exposure(0).info)
        time.sleep(0.3)
        camera.send(exposure(10 * number + 1))
        graph.until(lambda stamp=(10 * number + 1) * S: results and stamp_ns(results[-1].header.stamp) == stamp, 15)
    without = exposure(200)
    camera.depth.publish(without.depth)
    camera.rgb.publish(without.rgb)
    missing = "no transform from 'camera_color_optical_frame' to 'map' at 200.000 s"
    expect(graph, "/scene_node", 2 + len(EXPOSURES), missing)
    camera.send(exposure(201))
    graph.until(lambda: stamp_ns(results[-1].header.stamp) == 201 * S, 15)


def test_a_depth_image_without_returns_is_refused_by_fusion(graph: Graph) -> None:
    camera = CameraPublishers(graph)
    graph.start("fusion_node")
    graph.active("/fusion_node")
    camera.wait_for_subscribers()
    bad = Exposure.of(boxes_view(0.0, S).frame)
    all_nan(bad)
    camera.send(bad)
    expect(graph, "/fusion_node", 1, "depth")
    camera.send(Exposure.of(boxes_view(0.0, 2 * S).frame))
    graph.until(lambda: graph.status("/fusion_node")["frames_used"] == "1", 15)


def test_clouds_that_hold_nothing_are_not_results(graph: Graph) -> None:
    """A plain wall without objects is a result too: every point is somebody's or nobody's, nothing fails."""
    results = graph.collect(PointCloud2, "/scene_node/instance_cloud", EVERYTHING)
    publisher = graph.publisher(PointCloud2, "/cloud", RELIABLE)
    graph.start("scene_node")
    graph.active("/scene_node")
    graph.subscribed(publisher)
    sparse = np.random.default_rng(0).uniform(-50, 50, (100, 3)).astype(np.float32)
    publisher.publish(cloud_to_message(Cloud(sparse, frame_id="map", stamp_ns=S)))
    graph.until(lambda: results)
    assert results[0].width == 100
