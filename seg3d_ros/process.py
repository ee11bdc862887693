"""The life of a node's process, from its command line to its end: the body of every ``main``.

rclpy's own signal handlers shut the middleware down at once, in a thread of their own, while the node's threads still
use it. Here a signal only asks; the process then ends in order: the node stops its work and is destroyed, the
middleware is shut down, and nothing of it runs any more when the libraries are torn down.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable
from types import FrameType
from typing import NoReturn, TypeVar

import rclpy
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from seg3d_ros.memory import keep_freed_memory

NodeT = TypeVar("NodeT", bound=Node)


class Interrupt:
    """SIGINT and SIGTERM of this process: remembered in ``asked``, and raised where that was allowed.

    A terminal and ros2 launch both send SIGINT to a process that they end; the second one must not cut the end short.
    """

    def __init__(self) -> None:
        self.asked = False
        self.raises = True
        """Whether the first signal raises ``KeyboardInterrupt`` in the main thread; off where that does harm."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._hear)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        first, self.asked = not self.asked, True
        if first and self.raises:
            raise KeyboardInterrupt


def run_process(
    make_node: Callable[[], NodeT], use: Callable[[NodeT, Interrupt], int], arguments: list[str] | None = None
) -> NoReturn:
    """Make a node, use it, and end the process with what ``use`` returns.

    Status 2 if the command line is wrong, 1 after an unexpected error (said on stderr), 0 when interrupted.
    """
    keep_freed_memory()
    faulthandler.enable()  # a crash in native code leaves the stacks of all threads in the log
    status = _status_of(make_node, use, arguments)
    # rclpy keeps a lifecycle node's participant, with its ten threads, until the garbage collector takes the node.
    gc.collect()
    rclpy.try_shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    # Not by returning: there is nothing left to save, and the native libraries (Fast DDS, Open3D, OpenMP, LLVM) would
    # be unloaded in an order that none of them knows, some with threads that still run: a rare crash after the end.
    os._exit(status)


def _status_of(
    make_node: Callable[[], NodeT], use: Callable[[NodeT, Interrupt], int], arguments: list[str] | None
) -> int:
    interrupt = Interrupt()
    try:
        return _use(make_node, use, arguments, interrupt)
    except KeyboardInterrupt:
        return 0
    except Exception:  # nobody else is left to say it
        traceback.print_exc()
        return 1


def _use(
    make_node: Callable[[], NodeT],
    use: Callable[[NodeT, Interrupt], int],
    arguments: list[str] | None,
    interrupt: Interrupt,
) -> int:
    try:
        rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
        node = make_node()
    except Exception as error:  # rclpy raises many kinds for a command line that it cannot read
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    try:
        return use(node, interrupt)
    finally:
        interrupt.raises = False
        node.destroy_node()
