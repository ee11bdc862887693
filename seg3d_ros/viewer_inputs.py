"""What viewer_node shows: the newest message of each topic, taken when its turn has come, and only while one looks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import PointCloud2

from seg3d_ros.health import Health
from seg3d_ros.qos import MatchingSubscription

AT_MOST = 0.25
"""Share of the time that is spent on the messages of one topic."""


@dataclass(frozen=True)
class ShownTopic:
    """A topic of clouds.

    Attributes:
        name: relative.
        take: shows a message; on the page's thread.
        is_limited: not more often than ``cloud_period_s``.
    """

    name: str
    take: Callable[[PointCloud2], None]
    is_limited: bool


class ShownTopics:
    """Subscriptions with a mailbox each, in which a newer message takes the place of the one before.

    Args:
        node: subscribes.
        topics: to hear.
        do: hands an event to the page's thread.
        period_s: between two messages of a limited topic.
        health: counts what came, was shown and was dropped.
    """

    def __init__(
        self,
        node: Node,
        topics: list[ShownTopic],
        do: Callable[[Callable[[], object]], None],
        period_s: Callable[[], float],
        health: Health,
    ) -> None:
        self._node, self._do, self._health = node, do, health
        self._boxes = [_Mailbox(topic, do, period_s, health) for topic in topics]
        self._subscriptions: list[MatchingSubscription] = []

    @property
    def dropped(self) -> int:
        """Messages that newer ones took the place of."""
        return sum(box.dropped for box in self._boxes)

    def look(self, somebody_looks: bool) -> None:
        """Subscribe while somebody looks: nodes work for those who listen. Show what is due."""
        if somebody_looks and not self._subscriptions:
            self._subscriptions = [self._subscribe(box) for box in self._boxes]
        if not somebody_looks:
            self.destroy()
        for subscription in self._subscriptions:
            subscription.check()
        for box in self._boxes:
            box.offer()

    def destroy(self) -> None:
        """Stop listening."""
        for subscription in self._subscriptions:
            subscription.destroy()
        self._subscriptions = []

    def _subscribe(self, box: _Mailbox) -> MatchingSubscription:
        return MatchingSubscription(
            self._node,
            PointCloud2,
            box.topic.name,
            box.put,
            depth=1,
            keep_all=False,
            report=self._health.problem,
            lost=lambda count: self._health.count("messages_lost", count),
            past="expected",
        )


class _Mailbox:
    """The newest message of one topic until the page's thread takes it."""

    def __init__(
        self,
        topic: ShownTopic,
        do: Callable[[Callable[[], object]], None],
        period_s: Callable[[], float],
        health: Health,
    ) -> None:
        self.topic = topic
        self.dropped = 0
        self._do, self._period_s, self._health = do, period_s, health
        self._lock = threading.Lock()
        self._message: Any = None
        self._is_asked = False
        self._due_s = 0.0

    def put(self, message: PointCloud2) -> None:
        self._health.count("frames_in")
        with self._lock:
            self.dropped += self._message is not None
            self._message = message
        self.offer()

    def offer(self) -> None:
        """Ask the page's thread, which is asked once at a time, if the time has come."""
        with self._lock:
            if self._message is None or self._is_asked or time.monotonic() < self._due_s:
                return
            self._is_asked = True
        self._do(self._take)

    def _take(self) -> None:
        with self._lock:
            message, self._message = self._message, None
        start = time.monotonic()
        try:
            self.topic.take(message)
        finally:
            spent_s = time.monotonic() - start
            period_s = max(self._period_s(), spent_s / AT_MOST) if self.topic.is_limited else 0.0
            with self._lock:
                self._due_s, self._is_asked = start + period_s, False
