"""The parameters of other nodes, for recordings: what made the results, and with which weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rcl_interfaces.srv import GetParameters, ListParameters
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python
from rclpy.task import Future


class ParametersOf:
    """Asks nodes for all their parameters, each once, as soon as it is there.

    Args:
        node: asks.
        names: of the nodes; relative ones are in the namespace of ``node``.
        told: called with the name and the values of each node, in callbacks.
    """

    def __init__(self, node: Node, names: Sequence[str], told: Callable[[str, dict[str, Any]], None]) -> None:
        self._node = node
        self._told = told
        namespace = node.get_namespace().rstrip("/")
        self._waiting = {
            full: node.create_client(ListParameters, f"{full}/list_parameters")
            for full in (name if name.startswith("/") else f"{namespace}/{name}" for name in names)
        }
        self._clients = list(self._waiting.values())

    def look(self) -> None:
        """Ask those who have come; to be called often."""
        for name in [name for name, client in self._waiting.items() if client.service_is_ready()]:
            client = self._waiting.pop(name)
            future = client.call_async(ListParameters.Request())
            future.add_done_callback(lambda done, name=name: self._listed(name, done))

    def destroy(self) -> None:
        """Ask nobody any more."""
        for client in self._clients:
            self._node.destroy_client(client)
        self._clients.clear()
        self._waiting.clear()

    def _listed(self, name: str, done: Future) -> None:
        names = list(done.result().result.names)
        client = self._node.create_client(GetParameters, f"{name}/get_parameters")
        self._clients.append(client)
        future = client.call_async(GetParameters.Request(names=names))
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
