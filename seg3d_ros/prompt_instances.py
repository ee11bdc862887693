"""The latest result of scene_node, for prompts that name one of its instances."""

from __future__ import annotations

from typing import Any

from sensor_msgs.msg import PointCloud2

from seg3d_core.errors import PromptError
from seg3d_core.types import Instances
from seg3d_ros.conversions.pinned import instances_from_message
from seg3d_ros.perception_node import PerceptionNode
from seg3d_ros.qos import MatchingSubscription

TOPIC = "instance_cloud"


class SceneResults:
    """Hears results only while somebody may ask for one: scene_node works only for those who subscribe.

    Args:
        node: subscribes.
        askers: topics whose publishers may ask.
    """

    def __init__(self, node: PerceptionNode[Any], *askers: str) -> None:
        self._node = node
        self._askers = askers
        self._subscription: MatchingSubscription | None = None
        self._message: PointCloud2 | None = None
        self._decoded: tuple[PointCloud2, Instances] | None = None

    def check(self) -> None:
        """Begin or cease to hear; to be called from time to time."""
        asked = any(self._node.count_publishers(self._node.resolve_topic_name(topic)) for topic in self._askers)
        if asked and self._subscription is None:
            self._subscription = self._node.listen(PointCloud2, TOPIC, self._hear, 1, past="expected")
        elif not asked and self._subscription is not None:
            self._node.stop_listening(self._subscription)
            self.forget()

    def forget(self) -> None:
        """The node no longer hears anything."""
        self._subscription = self._message = self._decoded = None

    def latest(self) -> Instances | None:
        """The newest result, None before the first.

        Raises:
            InputError: it is no labelled cloud.
        """
        message = self._message
        if message is None:
            return None
        if self._decoded is None or self._decoded[0] is not message:
            self._decoded = (message, instances_from_message(message))
        return self._decoded[1]

    def needed(self) -> Instances:
        """The newest result.

        Raises:
            PromptError: there is none.
            InputError: it is no labelled cloud.
        """
        found = self.latest()
        if found is None:
            topic = self._node.resolve_topic_name(TOPIC)
            raise PromptError(f"no result of scene_node has come on {topic} yet: it is asked for, try again")
        return found

    def _hear(self, message: PointCloud2) -> None:
        self._message = message
