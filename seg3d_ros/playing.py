"""What the nodes that play something have in common: wait for a listener, play once, exit."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher

from seg3d_core.errors import Seg3dError
from seg3d_ros.process import Interrupt, run_process

SUBSCRIBER_TIMEOUT_S = 120.0
DELIVERY_TIMEOUT_S = 5.0
"""A subscriber that has not taken what was sent by then is not waited for."""


class Player(Node, ABC):
    """A node that plays something from beginning to end."""

    @abstractmethod
    def play(self) -> int:
        """Publish everything; the number of messages or frames sent. May raise ``Seg3dError``."""


def await_subscribers(publishers: Sequence[Publisher], timeout_s: float = SUBSCRIBER_TIMEOUT_S) -> None:
    """Return when every topic has a subscriber, so that the first message is not lost.

    Raises:
        Seg3dError: somebody is still missing after ``timeout_s``.
    """
    end = time.monotonic() + timeout_s
    while missing := [publisher.topic_name for publisher in publishers if not publisher.get_subscription_count()]:
        if time.monotonic() > end:
            raise Seg3dError(f"nobody subscribed to {', '.join(missing)} within {timeout_s:.0f} s")
        time.sleep(0.1)


def await_delivery(publishers: Iterable[Publisher]) -> None:
    """Return when reliable subscribers have what was sent, so that the last messages do not end with the process."""
    for publisher in publishers:
        publisher.wait_for_all_acked(Duration(seconds=DELIVERY_TIMEOUT_S))


def play_once(make_player: Callable[[], Player]) -> NoReturn:
    """Body of a player's ``main``: ends the process with 0, or 2 when nothing can be played or nobody listens."""
    run_process(make_player, _play)


def _play(player: Player, interrupt: Interrupt) -> int:
    try:
        player.play()
    except Seg3dError as error:
        player.get_logger().error(str(error))
        return 2
    return 0
