"""Faster than the node can work: results stay fresh, losses are counted, memory stays where it was."""

from __future__ import annotations

import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the ROS wheels (Python 3.11, 3.12) or a sourced ROS 2")

from boxes import boxes_cloud
from rclpy.qos import QoSProfile
from ros_graph import Graph
from sensor_msgs.msg import PointCloud2

from seg3d_ros.conversions.clouds import cloud_to_message
from seg3d_ros.conversions.stamps import stamp_ns, time_msg

pytestmark = pytest.mark.ros
SECONDS, RATE_HZ = 20.0, 30.0


def test_thirty_hertz_into_half_a_second_of_work(graph: Graph) -> None:
    cloud, _ = boxes_cloud(0, spacing_m=0.02)
    message = cloud_to_message(cloud)
    ages: list[tuple[float, float]] = []
    sent: dict[int, float] = {}
    start = time.monotonic()

    def hear(result: PointCloud2) -> None:
        now = time.monotonic()
        ages.append((now - start, now - sent[stamp_ns(result.header.stamp)]))

    node = graph.start("tests/ros/slow_scene_node.py")
    graph.probe.create_subscription(PointCloud2, "/scene_node/instance_cloud", hear, 10)
    publisher = graph.publisher(PointCloud2, "/cloud", QoSProfile(depth=5))
    graph.active("/scene_node")
    graph.subscribed(publisher)
    resident_mb, start, count = [], time.monotonic(), 0
    while (passed := time.monotonic() - start) < SECONDS:
        stamp = graph.probe.get_clock().now().nanoseconds
        message.header.stamp = time_msg(stamp)
        sent[stamp] = time.monotonic()
        publisher.publish(message)
        count += 1
        if count == 300:
            assert graph.set_parameter("/scene_node", "max_input_age_s", 60.0).successful, "answered during the work"
        if count % 10 == 0:
            resident_mb.append((passed, node.resident_mb()))
        time.sleep(max(0.0, start + count / RATE_HZ - time.monotonic()))

    second, last = _quarter(ages, 1), _quarter(ages, 3)
    assert len(ages) > 20
    assert last <= 1.2 * second, f"median age grew from {second:.2f} s to {last:.2f} s"
    assert last < 1.5, "one result in work and one input that waits"
    grown_mb = _quarter(resident_mb, 3) - _quarter(resident_mb, 1)
    assert grown_mb < 20, f"memory grew by {grown_mb:.0f} MB"
    time.sleep(2.5)  # two reports later nothing is in work
    expect_accounts(graph.status("/scene_node"), count)


def expect_accounts(status: dict[str, str], count: int) -> None:
    """Every one of ``count`` inputs was used, or dropped and counted."""
    # The middleware keeps one message and may overwrite it before the node sees it; all others are accounted for.
    assert int(status["frames_in"]) > 0.9 * count
    assert int(status["frames_dropped"]) > 0.8 * count
    assert int(status["frames_used"]) + int(status["frames_dropped"]) == int(status["frames_in"])
    assert float(status["latency_ms_total_p50"]) > 500
    assert float(status["age_ms_p95"]) < 1500
    assert status["level"] == "0"


def _quarter(samples: list[tuple[float, float]], number: int) -> float:
    """Median of what was measured in one quarter of the time."""
    low, high = number * SECONDS / 4, (number + 1) * SECONDS / 4
    return float(np.median([value for at, value in samples if low <= at < high]))
