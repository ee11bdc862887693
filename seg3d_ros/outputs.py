"""Publishers that make a message only when somebody listens, and still serve whoever comes later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from rclpy.node import Node
from rclpy.qos_overriding_options import QoSOverridingOptions

from seg3d_ros.qos import OVERRIDABLE, output_qos

Result = TypeVar("Result")


class Output(Generic[Result]):
    """A latched topic whose messages are made from results.

    A result that nobody wanted is kept until the next one; ``flush`` publishes it to whoever has come since. Not
    locked: it belongs to the worker thread while there is one.

    Args:
        node: publishes.
        message_type: of the topic.
        topic: relative or private name.
        make: the message of a result.
    """

    def __init__(self, node: Node, message_type: type, topic: str, make: Callable[[Result], object]) -> None:
        self._node = node
        self._make = make
        self._pending: Result | None = None
        self._publisher = node.create_publisher(
            message_type, topic, output_qos(), qos_overriding_options=QoSOverridingOptions(OVERRIDABLE)
        )

    @property
    def wanted(self) -> bool:
        """Somebody subscribes."""
        return self._publisher.get_subscription_count() > 0

    def offer(self, result: Result) -> None:
        """Publish ``result`` now, or when somebody wants it."""
        self._pending = result
        self.flush()

    def flush(self) -> None:
        """Publish the result that is kept, if there is one and somebody wants it."""
        if self._pending is None or not self.wanted:
            return
        result, self._pending = self._pending, None
        self._publisher.publish(self._make(result))

    def replace(self, message: object) -> None:
        """Publish ``message`` whoever listens; what was latched or kept is replaced."""
        self._pending = None
        self._publisher.publish(message)

    def forget(self) -> None:
        """Forget the result that is kept."""
        self._pending = None

    def destroy(self) -> None:
        """Withdraw the topic."""
        self._node.destroy_publisher(self._publisher)
