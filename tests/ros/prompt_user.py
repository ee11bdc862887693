"""Somebody at RViz under test: sees what prompt_node publishes, clicks, and presses its buttons."""

from __future__ import annotations

from typing import Any

import numpy as np
from geometry_msgs.msg import Point32, PointStamped, PolygonStamped, PoseStamped
from rclpy.qos import QoSProfile
from ros_graph import EVERYTHING, Graph
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import Trigger
from visualization_msgs.msg import MarkerArray

from seg3d_core.types import Cloud
from seg3d_ros.conversions.clouds import cloud_from_message, cloud_to_message
from seg3d_ros.conversions.stamps import header, stamp_ns

S = 1_000_000_000
NODE = "/prompt_node"
RELIABLE = QoSProfile(depth=5)
"""As RViz's tools publish."""


class PromptUser:
    """Talks to one prompt_node; ``now_s`` counts up, so that no cloud is older than the one before."""

    def __init__(self, graph: Graph, *arguments: str, **parameters: object) -> None:
        self.graph = graph
        self.child = graph.start("prompt_node", *arguments, **parameters)
        self.masks: list[PointCloud2] = graph.collect(PointCloud2, f"{NODE}/mask", EVERYTHING)
        self.prompt_clouds: list[PointCloud2] = graph.collect(PointCloud2, f"{NODE}/prompt_cloud", EVERYTHING)
        self.markers: list[MarkerArray] = graph.collect(MarkerArray, f"{NODE}/markers", EVERYTHING)
        self.clouds = graph.publisher(PointCloud2, "/cloud", RELIABLE)
        self._publishers: dict[str, Any] = {}
        for topic, kind in (
            ("clicked_point", PointStamped),
            ("clicked_point_negative", PointStamped),
            ("prompt_instance", PointStamped),
            ("prompt_goal", PoseStamped),
            ("prompt_box", PolygonStamped),
        ):
            self._publishers[topic] = graph.publisher(kind, f"/{topic}", RELIABLE)
        self.now_s = 100
        graph.active(NODE)
        for publisher in (self.clouds, *self._publishers.values()):
            graph.until(lambda publisher=publisher: publisher.get_subscription_count())
        graph.subscribed(self.clouds)

    def see(self, cloud: Cloud) -> None:
        """A cloud of now appears in front of the user; its own stamp does not count."""
        self.send(cloud)
        self.graph.until(lambda: self.seen_s() == self.now_s)

    def send(self, cloud: Cloud) -> None:
        """A cloud of now."""
        self.now_s += 1
        message = cloud_to_message(cloud)
        message.header.stamp = header("", self.now_s * S).stamp
        self.clouds.publish(message)

    def seen_s(self) -> int:
        """Stamp of the cloud on display, s; 0 where there is none."""
        return stamp_ns(self.prompt_clouds[-1].header.stamp) // S if self.prompt_clouds else 0

    def ask(self, topic: str, *points: Any, frame_id: str = "map", stamp_ns: int = 0) -> None:
        """Publish a prompt of one point, or of several."""
        kind = self._publishers[topic].msg_type
        message = kind(header=header(frame_id, stamp_ns))
        if kind is PolygonStamped:
            message.polygon.points = [Point32(x=float(x), y=float(y), z=float(z)) for x, y, z in points]
        else:
            place = message.point if kind is PointStamped else message.pose.position
            place.x, place.y, place.z = (float(value) for value in points[0])
        self._publishers[topic].publish(message)

    def get(self, topic: str, *points: Any, frame_id: str = "map", stamp_ns: int = 0) -> Cloud:
        """Ask, and wait for the mask."""
        count = len(self.masks)
        self.ask(topic, *points, frame_id=frame_id, stamp_ns=stamp_ns)
        self.graph.until(lambda: len(self.masks) > count, 20)
        return self.mask()

    def mask(self) -> Cloud:
        """The mask on display."""
        return cloud_from_message(self.masks[-1])

    def press(self, service: str) -> Trigger.Response:
        return self.graph.call(Trigger, f"{NODE}/{service}", Trigger.Request())

    def do(self, service: str) -> str:
        """Press a button that works, and wait for the mask that it leads to."""
        count = len(self.masks)
        answer = self.press(service)
        assert answer.success, answer.message
        self.graph.until(lambda: len(self.masks) > count, 20)
        return str(answer.message)

    def told(self, text: str) -> None:
        """Wait until the node's log says this."""
        self.graph.until(lambda: text in self.child.text(), 20)

    def afresh(self, cloud: Cloud) -> None:
        """Nothing selected or accepted, and this cloud in front of the user."""
        assert self.press("reset").success
        self.see(cloud)


def rows_in(part: Cloud, whole: Cloud) -> np.ndarray:
    """Which points of ``whole`` are in ``part``; coordinates are the same bits."""
    places = {point.tobytes() for point in part.points}
    return np.array([point.tobytes() in places for point in whole.points])


def iou(part: Cloud, whole: Cloud, truth: np.ndarray) -> float:
    """Of a mask with the points of ``whole`` that ``truth`` says."""
    found = rows_in(part, whole)
    return float((found & truth).sum() / (found | truth).sum())
