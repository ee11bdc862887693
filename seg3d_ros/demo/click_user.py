"""The demo's user: clicks where a person at RViz would, looks at the mask, presses the buttons."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from geometry_msgs.msg import PointStamped
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import PointCloud2, PointField
from std_srvs.srv import Trigger
from visualization_msgs.msg import MarkerArray

from seg3d_core.data.bags import BagWriter
from seg3d_core.errors import Seg3dError
from seg3d_core.types import Cloud
from seg3d_ros.conversions.cloud_layout import read_layout
from seg3d_ros.conversions.clouds import cloud_from_message
from seg3d_ros.demo.observer import LATCHED, Observer

PATIENCE_S = 60.0
"""An answer that takes longer is not coming."""

CLICK_TOPICS = {True: "clicked_point", False: "clicked_point_negative"}


@dataclass(frozen=True, eq=False)
class Answer:
    """What came back for a click.

    Attributes:
        cloud: the points of the object.
        seconds: from the click to the arrival of its mask.
    """

    cloud: Cloud
    seconds: float


class ClickUser(Observer):
    """Watches the graph as ``Observer`` does, and talks to prompt_node by topics and services alone.

    Args:
        recording: receives every message as it came, clicks excepted.
        cloud_topic: the cloud that is clicked on.
    """

    def __init__(self, recording: BagWriter, cloud_topic: str) -> None:
        super().__init__(recording, cloud_topic, use_sim_time=False)
        self._accepted = Cloud(np.empty((0, 3), np.float32))
        self._accepted_ids: np.ndarray = np.empty(0, np.int32)
        self._masks: list[PointCloud2] = []
        self._clicks = {on: self.create_publisher(PointStamped, topic, 5) for on, topic in CLICK_TOPICS.items()}
        self._watch(PointCloud2, "prompt_node/mask", LATCHED, self._on_mask)
        self._watch(PointCloud2, "prompt_node/accepted", LATCHED, self._on_accepted)
        self._watch(MarkerArray, "prompt_node/markers", LATCHED, lambda raw, arrived_ns: None)

    def click(self, point: np.ndarray, is_foreground: bool, frame_id: str) -> Answer:
        """Click at a place (m, in ``frame_id``) and wait for the mask.

        Raises:
            Seg3dError: no mask came; with what the node says about it.
        """
        publisher = self._clicks[is_foreground]
        self._wait(lambda: publisher.get_subscription_count() > 0, "nobody hears clicks")
        message = PointStamped()
        message.header.stamp, message.header.frame_id = self.get_clock().now().to_msg(), frame_id
        message.point.x, message.point.y, message.point.z = (float(value) for value in point)
        with self.lock:
            self._masks.clear()
        start = time.monotonic()
        publisher.publish(message)
        mask = self._wait(self._take_mask, f"no mask came for the click at {np.round(point, 2).tolist()} m")
        return Answer(cloud_from_message(mask), time.monotonic() - start)

    def press(self, button: str) -> str:
        """Call a service of prompt_node; what it says.

        Raises:
            Seg3dError: it refuses, or does not answer.
        """
        client = self.create_client(Trigger, f"prompt_node/{button}")
        try:
            self._wait(client.service_is_ready, f"there is no service {button}")
            future = client.call_async(Trigger.Request())
            self._wait(future.done, f"{button} does not answer")
            answer = future.result()
        finally:
            self.destroy_client(client)
        if not answer.success:
            raise Seg3dError(f"{button} was refused: {answer.message}")
        return str(answer.message)

    def wait_accepted(self, count: int) -> tuple[Cloud, np.ndarray]:
        """The points of accepted objects with the id of each, as soon as there are so many objects.

        Raises:
            Seg3dError: there are not.
        """
        self._wait(
            lambda: len(np.unique(self._accepted_ids)) >= count, f"{count} objects were not published as accepted"
        )
        with self.lock:
            return self._accepted, self._accepted_ids

    def _on_mask(self, raw: bytes, arrived_ns: int) -> None:
        message = deserialize_message(raw, PointCloud2)
        if message.width:  # without an object in progress the mask is empty
            self._masks.append(message)

    def _on_accepted(self, raw: bytes, arrived_ns: int) -> None:
        message = deserialize_message(raw, PointCloud2)
        ids = read_layout(message).column("instance_id", PointField.UINT32)[0].astype(np.int32)
        self._accepted, self._accepted_ids = cloud_from_message(message).select(ids > 0), ids[ids > 0]

    def _take_mask(self) -> PointCloud2 | None:
        with self.lock:
            return self._masks.pop() if self._masks else None

    def _wait(self, what: Callable[[], Any], otherwise: str) -> Any:
        end = time.monotonic() + PATIENCE_S
        while not (found := what()):
            if time.monotonic() > end:
                said = self.seen.diagnostics.get("/prompt_node", {}).get("last_error", "")
                raise Seg3dError(f"{otherwise} within {PATIENCE_S:g} s" + (f"; prompt_node: {said}" if said else ""))
            time.sleep(0.002)
        return found
