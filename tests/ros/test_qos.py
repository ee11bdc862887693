from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the ROS wheels (Python 3.11, 3.12) or a sourced ROS 2")

import rclpy
from geometry_msgs.msg import PoseStamped
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSCompatibility, QoSProfile, ReliabilityPolicy
from rclpy.qos import qos_check_compatible as middleware_says

from seg3d_ros.conversions.stamps import time_msg
from seg3d_ros.qos import MatchingSubscription, incompatibility, output_qos, profile_for

RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
LATCHED, VOLATILE = DurabilityPolicy.TRANSIENT_LOCAL, DurabilityPolicy.VOLATILE


def profile(reliability: ReliabilityPolicy, durability: DurabilityPolicy, depth: int = 5) -> QoSProfile:
    return QoSProfile(depth=depth, reliability=reliability, durability=durability)


OFFERS = [profile(*policies) for policies in product((RELIABLE, BEST_EFFORT), (LATCHED, VOLATILE))]


@pytest.mark.parametrize("keep_all", [False, True])
@pytest.mark.parametrize("offers", [*[[offer] for offer in OFFERS], OFFERS, OFFERS[:2], OFFERS[1:]])
def test_the_chosen_profile_hears_every_publisher(offers: list[QoSProfile], keep_all: bool) -> None:
    chosen = profile_for(offers, 1, keep_all)
    for offer in offers:
        assert incompatibility(chosen, offer) is None
        assert middleware_says(offer, chosen)[0] != QoSCompatibility.ERROR
    assert chosen.history == (HistoryPolicy.KEEP_ALL if keep_all else HistoryPolicy.KEEP_LAST)


@pytest.mark.parametrize(("request_", "offer"), list(product(OFFERS, OFFERS)))
def test_incompatibility_agrees_with_the_middleware(request_: QoSProfile, offer: QoSProfile) -> None:
    refused = middleware_says(offer, request_)[0] == QoSCompatibility.ERROR
    assert (incompatibility(request_, offer) is not None) == refused


def test_one_publisher_is_matched_as_strictly_as_it_offers() -> None:
    for offer in OFFERS:
        chosen = profile_for([offer], 1, keep_all=False)
        assert (chosen.reliability, chosen.durability) == (offer.reliability, offer.durability)


def test_before_any_publisher() -> None:
    assert profile_for([], 1, keep_all=False).reliability == BEST_EFFORT
    assert profile_for([], 1, keep_all=True).reliability == RELIABLE


def test_what_was_published_before_is_heard_as_it_is_wanted() -> None:
    kept = [profile(RELIABLE, LATCHED)]
    expected = profile_for([], 1, False, "expected")
    assert (expected.reliability, expected.durability) == (RELIABLE, LATCHED)
    for offers in ([], kept):
        ignored = profile_for(offers, 1, True, "ignored")
        assert (ignored.reliability, ignored.durability) == (RELIABLE, VOLATILE)
    assert profile_for([profile(RELIABLE, VOLATILE)], 1, False, "expected").durability == VOLATILE


def test_outputs_are_latched_and_each_profile_is_its_own() -> None:
    ours = output_qos()
    assert (ours.reliability, ours.durability, ours.depth) == (RELIABLE, LATCHED, 1)
    assert output_qos() is not output_qos(), "rclpy writes overrides into the profile"


class Pair:
    """Two nodes that find each other, spun by hand."""

    def __init__(self, domain: int, *arguments: str) -> None:
        self.context = Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.listener = Node("listener", context=self.context, cli_args=["--ros-args", *arguments])
        self.talker = Node("talker", context=self.context, use_global_arguments=False)
        self.executor = SingleThreadedExecutor(context=self.context)
        for node in (self.listener, self.talker):
            self.executor.add_node(node)
        self.heard: list[int] = []
        self.problems: list[str | None] = []
        self.lost = 0

    def listen(self, **options: Any) -> MatchingSubscription:
        return MatchingSubscription(
            self.listener, PoseStamped, "topic", lambda message: self.heard.append(message.header.stamp.sec),
            **{"depth": 1, "keep_all": False, **options},
            report=lambda topic, problem: self.problems.append(problem),
            lost=lambda count: None,
        )  # fmt: skip

    def talk(self, publisher: Any, *seconds: int) -> None:
        for second in seconds:
            message = PoseStamped()
            message.header.stamp = time_msg(second * 1_000_000_000)
            publisher.publish(message)

    def spin(self, until: Any, check: MatchingSubscription, timeout_s: float = 20.0) -> bool:
        end = time.monotonic() + timeout_s
        while not until() and time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.05)
            check.check()
        return bool(until())

    def close(self) -> None:
        self.executor.shutdown()
        self.listener.destroy_node()
        self.talker.destroy_node()
        rclpy.try_shutdown(context=self.context)


@pytest.fixture
def pair(domain_id: int) -> Iterator[Pair]:
    pair = Pair(domain_id)
    yield pair
    pair.close()


@pytest.mark.ros
@pytest.mark.parametrize("offer", OFFERS, ids=lambda offer: f"{offer.reliability.name} {offer.durability.name}")
def test_it_becomes_what_its_publisher_offers(pair: Pair, offer: QoSProfile) -> None:
    subscription = pair.listen()
    publisher = pair.talker.create_publisher(PoseStamped, "topic", offer)
    if offer.durability == LATCHED:
        pair.talk(publisher, 1)  # before anybody can hear it live
    fits = (offer.reliability, offer.durability)
    assert pair.spin(
        lambda: (
            (subscription.profile.reliability, subscription.profile.durability) == fits
            and publisher.get_subscription_count()
        ),
        subscription,
    )
    if offer.durability != LATCHED:
        pair.spin(lambda: False, subscription, 0.5)
        pair.talk(publisher, 1)
    assert pair.spin(lambda: pair.heard, subscription)
    pair.talk(publisher, 2)
    assert pair.spin(lambda: len(pair.heard) == 2, subscription)
    assert pair.heard == [1, 2], "once each, also what a latched publisher repeats"
    assert pair.problems[-1] is None


@pytest.mark.ros
def test_it_follows_when_the_publisher_is_replaced(pair: Pair) -> None:
    subscription = pair.listen()
    first = pair.talker.create_publisher(PoseStamped, "topic", profile(RELIABLE, LATCHED))
    assert pair.spin(lambda: subscription.profile.durability == LATCHED, subscription)
    pair.talker.destroy_publisher(first)
    second = pair.talker.create_publisher(PoseStamped, "topic", profile(BEST_EFFORT, VOLATILE))
    assert pair.spin(lambda: subscription.profile.durability == VOLATILE, subscription)
    assert pair.spin(second.get_subscription_count, subscription)
    pair.spin(lambda: False, subscription, 0.5)
    pair.talk(second, 7)
    assert pair.spin(lambda: pair.heard, subscription)
    assert pair.heard == [7]


@pytest.mark.ros
def test_what_the_user_overrides_stays_and_is_reported(domain_id: int) -> None:
    pair = Pair(domain_id, "-p", "qos_overrides./topic.subscription.durability:=transient_local")
    subscription = pair.listen()
    pair.talker.create_publisher(PoseStamped, "topic", profile(RELIABLE, VOLATILE))
    expected = (
        "incompatible QoS on /topic: durability: publisher offers volatile, subscription requests transient_local"
    )
    assert pair.spin(lambda: expected in pair.problems, subscription)
    subscription.destroy()
    assert pair.problems[-1] is None
    pair.close()
