"""Watches the running graph from outside, as a user's program would: only topics, no shortcuts into the nodes."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import PointCloud2, PointField
from visualization_msgs.msg import MarkerArray

from seg3d_core.data.bags import BagWriter
from seg3d_core.types import Cloud, Instances
from seg3d_ros.conversions.cloud_layout import read_layout
from seg3d_ros.conversions.clouds import cloud_from_message
from seg3d_ros.conversions.stamps import stamp_ns

LATCHED = QoSProfile(depth=20, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
STREAM = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
KEPT_CLOUDS = 8
"""A labelled cloud carries instance colours; the true ones are in the input of the same stamp, a little earlier."""
_STOPPED_NS = 500_000_000
"""A cloud that comes so long after the last frame was published because the camera had stopped, not because of it."""


@dataclass(frozen=True, eq=False)
class Result:
    """One published result.

    Attributes:
        cloud: the labelled cloud.
        point_ids: (N,) instance id of each point, 0 = none.
        point_scores: (N,) score of each point's instance.
        age_s: time from the input's stamp to the arrival of the result.
    """

    cloud: Cloud
    point_ids: np.ndarray
    point_scores: np.ndarray
    age_s: float

    @property
    def instance_ids(self) -> np.ndarray:
        """The ids that have at least one point, ascending."""
        ids = np.unique(self.point_ids)
        return ids[ids > 0]

    def instances(self, inputs: Iterable[Cloud] = ()) -> Instances:
        """The instances that the labelled cloud stands for, on the input of the same stamp if that is among them."""
        ids = self.instance_ids
        masks = self.point_ids[None, :] == ids[:, None]
        scores = np.array([self.point_scores[mask].max() for mask in masks], np.float32)
        same = [cloud for cloud in inputs if cloud.stamp_ns == self.cloud.stamp_ns and len(cloud) == len(self.cloud)]
        return Instances(same[0] if same else self.cloud, masks, scores, ids)


@dataclass
class Observation:
    """What has been seen so far.

    Attributes:
        late_ns: stamps of the clouds that came when the camera had stopped: fusion_node waits before it publishes them.
    """

    frames: int = 0
    clouds: int = 0
    latest_clouds: deque[Cloud] = field(default_factory=lambda: deque(maxlen=KEPT_CLOUDS))
    results: list[Result] = field(default_factory=list)
    diagnostics: dict[str, dict[str, str]] = field(default_factory=dict)
    late_ns: set[int] = field(default_factory=set)


class Observer(Node):
    """Subscribes to what the demo publishes, records it unchanged, and keeps what the report needs.

    Args:
        recording: receives every message as it came.
        cloud_topic: the cloud that is segmented.
        use_sim_time: ages are measured on /clock.
    """

    def __init__(self, recording: BagWriter, cloud_topic: str, use_sim_time: bool) -> None:
        super().__init__(
            "demo_observer", parameter_overrides=[Parameter("use_sim_time", Parameter.Type.BOOL, use_sim_time)]
        )
        self.lock = threading.Lock()
        self.seen = Observation()
        self._recording = recording
        self._last_frame_ns: int | None = None
        self._watch(PoseStamped, "camera_pose", STREAM, self._on_pose)
        self._watch(PointCloud2, cloud_topic, LATCHED, self._on_cloud)
        self._watch(PointCloud2, "scene_node/instance_cloud", LATCHED, self._on_result)
        self._watch(MarkerArray, "scene_node/markers", LATCHED, lambda raw, arrived_ns: None)
        self._watch(DiagnosticArray, "/diagnostics", STREAM, self._on_diagnostics)

    def _watch(self, kind: Any, topic: str, qos: QoSProfile, handle: Callable[[bytes, int], None]) -> None:
        record = self._recording.topic(self.resolve_topic_name(topic), kind, latched=qos is LATCHED)

        def receive(raw: bytes, info: dict[str, int]) -> None:
            # It waited while what came before was recorded, which is this program's business and no age of data.
            waited_ns = time.time_ns() - info["received_timestamp"] if info["received_timestamp"] else 0
            now_ns = self.get_clock().now().nanoseconds
            record(now_ns, raw)
            with self.lock:
                handle(raw, now_ns - waited_ns)

        self.create_subscription(kind, topic, receive, qos, raw=True)

    def _on_pose(self, raw: bytes, arrived_ns: int) -> None:
        self.seen.frames += 1
        self._last_frame_ns = arrived_ns

    def _on_cloud(self, raw: bytes, arrived_ns: int) -> None:
        cloud = cloud_from_message(deserialize_message(raw, PointCloud2))
        self.seen.clouds += 1
        self.seen.latest_clouds.append(cloud)
        if self._last_frame_ns is not None and arrived_ns - self._last_frame_ns > _STOPPED_NS:
            self.seen.late_ns.add(cloud.stamp_ns)

    def _on_result(self, raw: bytes, arrived_ns: int) -> None:
        message = deserialize_message(raw, PointCloud2)
        layout = read_layout(message)
        self.seen.results.append(
            Result(
                cloud=cloud_from_message(message),
                point_ids=layout.column("instance_id", PointField.UINT32)[0].astype(np.int32),
                point_scores=layout.column("score", PointField.FLOAT32)[0].copy(),
                age_s=(arrived_ns - stamp_ns(message.header.stamp)) * 1e-9,
            )
        )

    def _on_diagnostics(self, raw: bytes, arrived_ns: int) -> None:
        for status in deserialize_message(raw, DiagnosticArray).status:
            self.seen.diagnostics[status.name] = {pair.key: pair.value for pair in status.values}
