"""The parameters of other nodes, for recordings: what made the results, and with which weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.srv import GetParameters, ListParameters
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python
from rclpy.task import Future


class ParametersOf:
    """Asks nodes for all their parameters: each as soon as it is there, and again when it uses another model.

    Args:
        node: asks.
        names: of the nodes; relative ones are in the namespace of ``node``.
        told: called with the name and the values of each node, in callbacks.
    """

    def __init__(self, node: Node, names: Sequence[str], told: Callable[[str, dict[str, Any]], None]) -> None:
        self._node = node
        self._told = told
        namespace = node.get_namespace().rstrip("/")
        full_names = [name if name.startswith("/") else f"{namespace}/{name}" for name in names]
        self._lists = {name: node.create_client(ListParameters, f"{name}/list_parameters") for name in full_names}
        self._gets = {name: node.create_client(GetParameters, f"{name}/get_parameters") for name in full_names}
        self._waiting = set(full_names)
        self._models: dict[str, tuple[str, str]] = {}
        self._diagnostics = node.create_subscription(DiagnosticArray, "/diagnostics", self._hear, 10)

    def look(self) -> None:
        """Ask those who have come; to be called often."""
        for name in [name for name in sorted(self._waiting) if self._lists[name].service_is_ready()]:
            self._waiting.remove(name)
            future = self._lists[name].call_async(ListParameters.Request())
            future.add_done_callback(lambda done, name=name: self._listed(name, done))

    def destroy(self) -> None:
        """Ask nobody any more."""
        self._node.destroy_subscription(self._diagnostics)
        for client in [*self._lists.values(), *self._gets.values()]:
            self._node.destroy_client(client)
        self._waiting.clear()

    def _hear(self, message: DiagnosticArray) -> None:
        """A node says which model it uses, and how often that was loaded anew: a file may have been written over."""
        for status in message.status:
            values = {pair.key: pair.value for pair in status.values}
            if status.name in self._lists and values.get("model"):
                model = values["model"], values.get("reloads", "0")
                if self._models.get(status.name, model) != model:
                    self._waiting.add(status.name)
                self._models[status.name] = model

    def _listed(self, name: str, done: Future) -> None:
        names = list(done.result().result.names)
        future = self._gets[name].call_async(GetParameters.Request(names=names))
        future.add_done_callback(lambda got: self._told(name, _values(names, got)))


def _values(names: list[str], got: Future) -> dict[str, Any]:
    values = (parameter_value_to_python(value) for value in got.result().values)
    return dict(zip(names, values, strict=True))


def model_digest(values: dict[str, Any]) -> str | None:
    """SHA-256 of the file that the parameter ``model`` names; None where it names none on this machine."""
    model = values.get("model")
    if not isinstance(model, str) or not model or not Path(model).is_file():
        return None
    digest = hashlib.sha256()
    with Path(model).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def as_text(parameters: dict[str, dict[str, Any]], digests: dict[str, str]) -> str:
    """What ~/parameters says: JSON with the parameters of each node, and the SHA-256 of its model."""
    return json.dumps({"parameters": parameters, "model_sha256": digests}, sort_keys=True, default=str)
