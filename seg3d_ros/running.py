"""A managed node in a process of its own: brought up, spun until a signal comes, shut down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn

from seg3d_ros.lifecycle import ManagedNode
from seg3d_ros.process import Interrupt, run_process

PATIENCE_S = 0.2
"""A signal is noticed after this long when the node has nothing to do."""


def run(make_node: Callable[[], ManagedNode[Any]], arguments: list[str] | None = None) -> NoReturn:
    """Run a node until SIGINT or SIGTERM, and end the process.

    The exit status is 0, or 2 if the command line is wrong, or if ``autostart`` is on and the node could not be
    configured and activated (it has said why).
    """
    run_process(make_node, _live, arguments)


def _live(node: ManagedNode[Any], interrupt: Interrupt) -> int:
    try:
        if node.get_parameter("autostart").value and not _bring_up(node):
            return 2
        interrupt.raises = False  # callbacks are finished
        _spin(node, interrupt)
        return 0
    finally:
        interrupt.raises = False
        node.shut_down()


def _spin(node: ManagedNode[Any], interrupt: Interrupt) -> None:
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while not interrupt.asked:
        executor.spin_once(PATIENCE_S)
    executor.shutdown()


def _bring_up(node: ManagedNode[Any]) -> bool:
    done = TransitionCallbackReturn.SUCCESS
    return node.trigger_configure() == done and node.trigger_activate() == done
