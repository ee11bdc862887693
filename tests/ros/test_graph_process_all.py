"""Recorded data: every input is used, and two runs give the same results and the same ids."""

from __future__ import annotations

import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the ROS wheels (Python 3.11, 3.12) or a sourced ROS 2")

from boxes import boxes_view
from camera import CameraPublishers, Exposure
from lifecycle_msgs.msg import Transition
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from ros_graph import EVERYTHING, Graph
from sensor_msgs.msg import PointCloud2

from seg3d_ros.conversions.stamps import stamp_ns, time_msg

pytestmark = pytest.mark.ros
S = 1_000_000_000
NODE = "/scene_node"
ANGLES = np.linspace(-0.6, 0.6, 12)
LOSSLESS = QoSProfile(history=HistoryPolicy.KEEP_ALL, reliability=ReliabilityPolicy.RELIABLE)


def play(graph: Graph, pause_s: float, depth_first: bool) -> list[PointCloud2]:
    """The results of one pass over the recording."""
    results = graph.collect(PointCloud2, f"{NODE}/instance_cloud", EVERYTHING)
    camera = CameraPublishers(graph, LOSSLESS)
    node = graph.start("scene_node", input="rgbd", process_all=True)
    graph.active(NODE)
    camera.wait_for_subscribers()
    exposures = [Exposure.of(boxes_view(angle, (10 + n) * S // 10).frame) for n, angle in enumerate(ANGLES)]
    if depth_first:  # one stream far ahead of the other, and stamped before it; calibration and poses last
        for exposure in exposures:
            exposure.depth.header.stamp = time_msg(stamp_ns(exposure.depth.header.stamp) - 5_000_000)
            camera.depth.publish(exposure.depth)
        for exposure in exposures:
            camera.rgb.publish(exposure.rgb)
        for exposure in exposures:
            camera.info.publish(exposure.info)
        time.sleep(1.0)  # much longer than a live image waits for its pose
        for exposure in exposures:
            camera.pose.publish(exposure.pose)
    else:
        for exposure in exposures:
            camera.send(exposure)
            time.sleep(pause_s)
    graph.until(lambda: len(results) == len(ANGLES))
    graph.until(lambda: graph.status(NODE)["frames_used"] == str(len(ANGLES)))
    status = graph.status(NODE)
    assert (status["frames_in"], status["frames_dropped"], status["frames_bad"]) == (str(len(ANGLES)), "0", "0")
    assert node.stop() == 0
    graph.children.remove(node)
    for publisher in (camera.rgb, camera.depth, camera.info, camera.pose):
        graph.probe.destroy_publisher(publisher)
    return list(results)


def test_two_passes_are_identical(graph: Graph) -> None:
    first = play(graph, 0.0, depth_first=False)
    second = play(graph, 0.05, depth_first=True)
    assert [stamp_ns(each.header.stamp) for each in first] == [(10 + n) * S // 10 for n in range(len(ANGLES))]
    for one, other in zip(first, second, strict=True):
        assert one == other


def test_stopped_while_inputs_wait_for_their_poses(graph: Graph) -> None:
    results = graph.collect(PointCloud2, f"{NODE}/instance_cloud", EVERYTHING)
    camera = CameraPublishers(graph, LOSSLESS)
    graph.start("scene_node", input="rgbd", process_all=True, recorded_timeout_s=600.0)
    graph.active(NODE)
    camera.wait_for_subscribers()
    for number in range(3):
        exposure = Exposure.of(boxes_view(0.0, (10 + number) * S).frame)
        for publisher, message in ((camera.info, exposure.info), (camera.depth, exposure.depth)):
            publisher.publish(message)
        camera.rgb.publish(exposure.rgb)
    graph.until(lambda: graph.status(NODE).get("queue") == "2")
    assert graph.transition(NODE, Transition.TRANSITION_DEACTIVATE)
    status = graph.until(lambda: (s := graph.status(NODE))["state"] == "inactive" and s)
    assert (status["frames_in"], status["frames_bad"], status["frames_dropped"]) == ("3", "1", "2")
    assert not results, "without its pose an image is not segmented"
