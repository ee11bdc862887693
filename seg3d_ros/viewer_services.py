"""Calls of another node's services that are answered, refused or given up, and never waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import Trigger

from seg3d_core.errors import PromptError

PATIENCE_S = 15.0
"""Whoever serves says within ten seconds that it takes longer."""


class ServiceButtons:
    """Trigger services by name.

    Args:
        node: calls.
        names: relative names of the services, each by its button.
        answered: told what a service says.
    """

    def __init__(self, node: Node, names: Sequence[str], answered: Callable[[str], None]) -> None:
        self._node, self._answered = node, answered
        self._clients = {name.rpartition("/")[2]: node.create_client(Trigger, name) for name in names}
        self._asked: dict[str, tuple[Future, float]] = {}

    def press(self, button: str) -> None:
        """Call the service; from any thread.

        Raises:
            PromptError: nobody serves it, or it has not answered the last call yet.
        """
        client = self._clients[button]
        if not client.service_is_ready():
            raise PromptError(f"nobody serves {client.srv_name}: is prompt_node running? (prompt:=true)")
        if button in self._asked:
            raise PromptError(f"{button}: the last call has not been answered yet")
        future = client.call_async(Trigger.Request())
        self._asked[button] = future, time.monotonic() + PATIENCE_S
        future.add_done_callback(lambda done: self._hear(button, done))

    def look(self) -> None:
        """Give up calls that nobody answers."""
        for button, (future, until_s) in list(self._asked.items()):
            if time.monotonic() > until_s:
                self._asked.pop(button, None)
                self._clients[button].remove_pending_request(future)
                self._answered(f"{button}: no answer within {PATIENCE_S:g} s")

    def _hear(self, button: str, done: Any) -> None:
        if self._asked.pop(button, None) is not None:
            self._answered(f"{button}: {done.result().message}")
