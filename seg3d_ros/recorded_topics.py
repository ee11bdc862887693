"""The topics that are recorded: found when somebody publishes them, heard as bytes, however they are offered."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy

from seg3d_core.errors import InputError
from seg3d_core.recording.message import RecordedMessage
from seg3d_core.recording.topics import RecordedTopic, TypeDefinitions
from seg3d_ros.health import Health
from seg3d_ros.interfaces import definition_texts, message_class
from seg3d_ros.qos import MatchingSubscription, Times

DEPTH = 100
"""Messages of a topic that wait in the middleware."""


class RateLimit:
    """Lets one message through in each period, and the newest of the others when the period is over."""

    def __init__(self, period_s: float) -> None:
        self._period_ns = round(period_s * 1e9)
        self._passed_ns: int | None = None
        self._waiting: RecordedMessage | None = None

    def offer(self, message: RecordedMessage) -> RecordedMessage | None:
        """``message`` if it may pass; else it waits, instead of the one that waited."""
        self._waiting = message
        return self.due(message.log_ns)

    def due(self, now_ns: int) -> RecordedMessage | None:
        """The message that waits, if the period is over, or time went back."""
        if self._passed_ns is not None and 0 <= now_ns - self._passed_ns < self._period_ns:
            return None
        return self.release(now_ns)

    def release(self, now_ns: int) -> RecordedMessage | None:
        """The message that waits, at once."""
        message, self._waiting = self._waiting, None
        if message is not None:
            self._passed_ns = now_ns
        return message


class RecordedTopics:
    """Subscriptions to the topics of given names, made when their types are known.

    Args:
        node: subscribes.
        names: relative or absolute.
        definitions: of types.
        limits: of topics, by resolved name.
        announced: called with each topic before its first message.
        take: called with each message, in callbacks; must be quick.
        health: told about what is not heard.
    """

    def __init__(
        self,
        node: Node,
        names: Sequence[str],
        definitions: TypeDefinitions,
        limits: Mapping[str, RateLimit],
        announced: Callable[[RecordedTopic], None],
        take: Callable[[RecordedMessage], None],
        health: Health,
    ) -> None:
        self._node = node
        self._missing = {node.resolve_topic_name(name) for name in names}
        self._definitions = definitions
        self._limits = limits
        self._announced = announced
        self._take = take
        self._health = health
        self._heard: list[MatchingSubscription] = []
        self._since: dict[str, float] = {}
        self.look()

    @property
    def names(self) -> list[str]:
        """Topics that are heard."""
        return [subscription.topic for subscription in self._heard]

    def look(self) -> None:
        """Subscribe to what has come, adapt to its publishers, and pass on what waits; to be called often."""
        if self._missing:
            for name, kinds in self._node.get_topic_names_and_types():
                # Subscribers have types too, but what they expect may never come.
                if name in self._missing and self._node.count_publishers(name):
                    self._missing.discard(name)
                    self._subscribe(name, kinds[0])
        for subscription in self._heard:
            subscription.check()
        now_ns = self._node.get_clock().now().nanoseconds
        for limit in self._limits.values():
            self._pass_on(limit.due(now_ns))

    def flush(self) -> None:
        """Pass on what waits for its time."""
        now_ns = self._node.get_clock().now().nanoseconds
        for limit in self._limits.values():
            self._pass_on(limit.release(now_ns))

    def heard_for_s(self, name: str) -> float:
        """How long a topic has been subscribed to, s; 0 if it is not."""
        return time.monotonic() - self._since[name] if name in self._since else 0.0

    def destroy(self) -> None:
        """Hear nothing any more."""
        for subscription in self._heard:
            subscription.destroy()
        self._heard.clear()

    def _subscribe(self, name: str, type_name: str) -> None:
        try:
            kind = message_class(type_name)
            topic = self._topic(name, type_name)
        except (ImportError, InputError) as error:
            self._health.warning(name, f"{name} is not recorded: {type_name} is not installed here ({error})")
            return
        self._announced(topic)
        self._since[name] = time.monotonic()
        self._heard.append(
            MatchingSubscription(
                self._node,
                kind,
                name,
                lambda data, times: self._hear(topic, data, times),
                depth=DEPTH,
                keep_all=False,
                report=self._health.problem,
                lost=lambda count: self._health.count("messages_lost", count),
                raw=True,
            )
        )

    def _topic(self, name: str, type_name: str) -> RecordedTopic:
        if not self._definitions.knows(type_name):
            self._definitions.learn(definition_texts(type_name))
        offers = [info.qos_profile for info in self._node.get_publishers_info_by_topic(name)]
        latched = any(offer.durability == DurabilityPolicy.TRANSIENT_LOCAL for offer in offers)
        return self._definitions.topic(name, type_name, latched)

    def _hear(self, topic: RecordedTopic, data: bytes, times: Times) -> None:
        clock = self._node.get_clock()
        # The middleware's time: callbacks of one moment come in any order, and what follows from what must be seen.
        simulated = clock.ros_time_is_active or not times.received_ns
        log_ns = clock.now().nanoseconds if simulated else times.received_ns
        message = RecordedMessage(topic, log_ns, times.published_ns or log_ns, bytes(data))
        limit = self._limits.get(topic.name)
        self._pass_on(message if limit is None else limit.offer(message))

    def _pass_on(self, message: RecordedMessage | None) -> None:
        if message is not None:
            self._take(message)
