"""From the command line to a spinning node and back: the body of every ``main``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn

from seg3d_ros.lifecycle import ManagedNode


def run(make_node: Callable[[], ManagedNode[Any]], arguments: list[str] | None = None) -> int:
    """Run a node until SIGINT or SIGTERM.

    Returns:
        The exit status of the process: 0, or 2 if the command line is wrong, or if ``autostart`` is on and the node
        could not be configured and activated (it has said why).
    """
    try:
        rclpy.init(args=arguments)
        node = make_node()
    except Exception as error:  # rclpy raises many kinds for a command line that it cannot read
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    try:
        return _spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    finally:
        node.shut_down()
        rclpy.try_shutdown()


def _spin(node: ManagedNode[Any]) -> int:
    if node.get_parameter("autostart").value and not _bring_up(node):
        # Interrupted during the warm-up is not a failure to set up.
        return 2 if rclpy.ok() else 0
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    executor.spin()
    return 0


def _bring_up(node: ManagedNode[Any]) -> bool:
    done = TransitionCallbackReturn.SUCCESS
    return node.trigger_configure() == done and node.trigger_activate() == done
