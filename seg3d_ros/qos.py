"""Subscriptions that hear every publisher, whatever quality of service it offers, and say so when they cannot.

A best-effort publisher gives nothing to a reliable subscription, a volatile one nothing to a transient-local (latched)
subscription, and a latched one gives a volatile subscription nothing of what it published before. So the publishers are
looked at, and the subscription is made to fit them, again whenever they change.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any, Literal, NamedTuple
from zlib import crc32

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription

from seg3d_ros.conversions.stamps import stamp_ns

try:
    from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks, UnsupportedEventTypeError

OVERRIDABLE = (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.RELIABILITY, QoSPolicyKind.DURABILITY)
"""Policies that ``qos_overrides.<topic>.<publisher|subscription>.<policy>`` may set."""

HEARD = 1000
"""So many stamps are remembered to recognise what a latched publisher repeats to a new subscription."""

TELLING_BYTES = 4096
"""So much of a message is looked at to recognise it."""

REPEATED_WITHIN_S = 5.0
"""What comes later with the same stamp is another message: people's own often have no stamp at all."""


Past = Literal["as offered", "expected", "ignored"]
"""What was published before the subscription: heard if the publishers keep it, asked for also while there are none, or
never heard, because it was meant for another moment."""


def output_qos() -> QoSProfile:
    """Profile of results, a new one each time because rclpy writes overrides into it.

    Latched: who comes late gets the last result.
    """
    return QoSProfile(
        depth=1,
        history=HistoryPolicy.KEEP_LAST,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    )


def profile_for(publishers: list[QoSProfile], depth: int, keep_all: bool, past: Past = "as offered") -> QoSProfile:
    """The strictest subscription that is compatible with every one of ``publishers``.

    Without publishers: what hears any live publisher (best effort), or, with ``keep_all``, what loses nothing, or, with
    a ``past`` that is expected, what hears a result that is published once.
    """
    expected = past == "expected"
    reliable = [offer.reliability != ReliabilityPolicy.BEST_EFFORT for offer in publishers] or [keep_all or expected]
    latched = [offer.durability == DurabilityPolicy.TRANSIENT_LOCAL for offer in publishers] or [expected]
    if past == "ignored":
        latched = [False]
    return QoSProfile(
        depth=depth,
        history=HistoryPolicy.KEEP_ALL if keep_all else HistoryPolicy.KEEP_LAST,
        reliability=ReliabilityPolicy.RELIABLE if all(reliable) else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if all(latched) else DurabilityPolicy.VOLATILE,
    )


def incompatibility(request: QoSProfile, offer: QoSProfile) -> str | None:
    """Why a subscription with ``request`` hears nothing of a publisher with ``offer``; None if it does hear it."""
    asks_reliable = request.reliability == ReliabilityPolicy.RELIABLE
    if asks_reliable and offer.reliability == ReliabilityPolicy.BEST_EFFORT:
        return "reliability: publisher offers best_effort, subscription requests reliable"
    asks_latched = request.durability == DurabilityPolicy.TRANSIENT_LOCAL
    if asks_latched and offer.durability == DurabilityPolicy.VOLATILE:
        return "durability: publisher offers volatile, subscription requests transient_local"
    return None


class Times(NamedTuple):
    """When a message was published and received, ns since 1970 by the machines' clocks; 0 where that is not told."""

    published_ns: int
    received_ns: int


class MatchingSubscription:
    """A subscription of stamped messages that is made again, to fit, when its publishers change.

    ``check`` has to be called from time to time. Policies that the user overrides are left as they are.

    Args:
        node: subscribes.
        message_type: must have a header, unless ``raw``.
        topic: relative name.
        callback: gets every message.
        depth: messages that wait in the middleware.
        keep_all: lose nothing: reliable and unbounded where the publisher lets it.
        report: called with (topic, problem or None) when compatibility changes.
        lost: called with the number of messages that the middleware reports as lost.
        past: see ``Past``.
        group: callback group.
        raw: the callback gets the bytes of each message, which then needs no header, and when it was published and
            received: see ``Times``.
    """

    def __init__(
        self,
        node: Node,
        message_type: type,
        topic: str,
        callback: Callable[..., None],
        *,
        depth: int,
        keep_all: bool,
        report: Callable[[str, str | None], None],
        lost: Callable[[int], None],
        past: Past = "as offered",
        group: CallbackGroup | None = None,
        raw: bool = False,
    ) -> None:
        self._node = node
        self._raw = raw
        self._type = message_type
        self.topic = node.resolve_topic_name(topic)
        self._callback = callback
        self._depth = depth
        self._keep_all = keep_all
        self._report = report
        self._lost = lost
        self._past: Past = past
        self._group = group
        prefix = f"qos_overrides.{self.topic}.subscription."
        self._overridden = any(name.startswith(prefix) for name in node._parameter_overrides)
        self._heard: deque[int] = deque(maxlen=HEARD)
        self._repeats: set[int] = set()
        self._repeats_until_s = 0.0
        self._profile = profile_for(self._offers(), depth, keep_all, past)
        self._subscription = self._subscribe()

    def check(self) -> None:
        """Look at the publishers; subscribe again if another profile fits them better; report what does not fit."""
        offers = self._offers()
        if offers and not self._overridden:
            wanted = profile_for(offers, self._depth, self._keep_all, self._past)
            if (wanted.reliability, wanted.durability) != (self._profile.reliability, self._profile.durability):
                self._node.destroy_subscription(self._subscription)
                self._profile = wanted
                # A latched publisher repeats what was heard already, and at once.
                self._repeats = set(self._heard)
                self._repeats_until_s = time.monotonic() + REPEATED_WITHIN_S
                self._subscription = self._subscribe()
        reasons = {reason for offer in offers if (reason := incompatibility(self._profile, offer))}
        problem = f"incompatible QoS on {self.topic}: {'; '.join(sorted(reasons))}" if reasons else None
        self._report(self.topic, problem)

    def destroy(self) -> None:
        """Stop listening."""
        self._node.destroy_subscription(self._subscription)
        self._report(self.topic, None)

    @property
    def profile(self) -> QoSProfile:
        """What is requested at present."""
        return self._profile

    def _offers(self) -> list[QoSProfile]:
        return [info.qos_profile for info in self._node.get_publishers_info_by_topic(self.topic)]

    def _subscribe(self) -> Subscription:
        # The middleware names one policy and no publisher; looking at the publishers names all of them.
        incompatible = SubscriptionEventCallbacks(incompatible_qos=lambda _event: self.check())
        losing = SubscriptionEventCallbacks(
            incompatible_qos=incompatible.incompatible_qos,
            message_lost=lambda event: self._lost(event.total_count_change),
        )
        try:
            return self._create(losing)
        except UnsupportedEventTypeError:  # not every middleware notices what it loses
            return self._create(incompatible)

    def _create(self, events: SubscriptionEventCallbacks) -> Subscription:
        return self._node.create_subscription(
            self._type,
            self.topic,
            self._hear_raw if self._raw else self._hear,
            self._profile,
            callback_group=self._group,
            event_callbacks=events,
            qos_overriding_options=QoSOverridingOptions(OVERRIDABLE) if self._overridden else None,
            raw=self._raw,
        )

    @property
    def _hear_raw(self) -> Callable[..., None]:
        if not hasattr(Subscription, "CallbackType"):  # Humble does not tell the times
            return lambda data: self._hear_bytes(data, Times(0, 0))
        return lambda data, info: self._hear_bytes(data, Times(info["source_timestamp"], info["received_timestamp"]))

    def _hear_bytes(self, data: bytes, times: Times) -> None:
        # The beginning tells: there the stamp is, where a message has one.
        if self._is_new(crc32(data[:TELLING_BYTES])):
            self._callback(data, times)

    def _hear(self, message: Any) -> None:
        if self._is_new(stamp_ns(message.header.stamp)):
            self._callback(message)

    def _is_new(self, stamp: int) -> bool:
        if stamp in self._repeats and time.monotonic() < self._repeats_until_s:
            self._repeats.remove(stamp)
            return False
        self._repeats.clear()
        self._heard.append(stamp)
        return True
