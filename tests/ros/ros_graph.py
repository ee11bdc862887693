"""A ROS graph under test: node processes as a user starts them, and a probe in the test's own process."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

ROOT = Path(__file__).resolve().parents[2]
Found = TypeVar("Found")

LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
EVERYTHING = QoSProfile(
    history=HistoryPolicy.KEEP_ALL,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
"""For a probe that must not miss one result of a latched output."""


UNLESS_SAID: dict[str, dict[str, object]] = {"scene_node": {"model": "graph"}}
"""Parameters of nodes: most tests are not about what segments, and the geometric segmenter is there in no time."""


class Child:
    """A node process. Its output is kept in a file and shown when a test fails."""

    def __init__(self, command: list[str], domain: int, log: Path) -> None:
        self.log = log
        environment = {**os.environ, "ROS_DOMAIN_ID": str(domain), "PYTHONUNBUFFERED": "1"}
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        with log.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, *command], cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
            )

    def text(self) -> str:
        return self.log.read_text()

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def stop(self, sent: int = signal.SIGINT) -> int:
        """Ask it to end as Ctrl-C does; its exit status."""
        if self.alive:
            self.process.send_signal(sent)
        try:
            return self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return -9

    def resident_mb(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(float(line.split()[1]) / 1024 for line in fields if line.startswith("VmRSS"))


class Graph:
    """Starts node processes in one domain, and talks to them through a node of its own."""

    def __init__(self, domain: int, folder: Path) -> None:
        self.domain = domain
        self.children: list[Child] = []
        self._folder = folder
        self._context = Context()
        rclpy.init(context=self._context, domain_id=domain)
        self.probe = Node("probe", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.probe)
        self._statuses: list[dict[str, str]] = []
        self.probe.create_subscription(DiagnosticArray, "/diagnostics", self._hear_status, 100)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def start(self, module: str, *arguments: str, namespace: str = "", **parameters: object) -> Child:
        """``python -m seg3d_ros.<module>`` with ROS arguments; a module with a path runs as that file."""
        command = ["-m", f"seg3d_ros.{module}"] if "/" not in module else [module]
        command += ["--ros-args", *arguments]
        if namespace:
            command += ["-r", f"__ns:={namespace}"]
        for name, value in {**UNLESS_SAID.get(module, {}), **parameters}.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            command += ["-p", f"{name.replace('__', '.')}:={text}"]
        child = Child(command, self.domain, self._folder / f"{len(self.children)}.log")
        self.children.append(child)
        return child

    def collect(self, message_type: type, topic: str, qos: QoSProfile = EVERYTHING) -> list[Any]:
        """A list that everything published on ``topic`` is appended to."""
        messages: list[Any] = []
        self.probe.create_subscription(message_type, topic, messages.append, qos)
        return messages

    def publisher(self, message_type: type, topic: str, qos: QoSProfile) -> Any:
        return self.probe.create_publisher(message_type, topic, qos)

    def until(self, what: Callable[[], Found], timeout_s: float = 60.0) -> Found:
        """The first true value of ``what``; fails when it takes too long or a node ends by itself."""
        end = time.monotonic() + timeout_s
        while not (value := what()):
            assert time.monotonic() < end, f"nothing in {timeout_s:g} s"
            assert all(child.alive for child in self.children), "a node has ended by itself"
            time.sleep(0.02)
        return value

    def subscribed(self, publisher: Any, count: int = 1) -> None:
        """Wait until somebody hears ``publisher`` and has settled on how."""
        self.until(lambda: publisher.get_subscription_count() >= count)
        time.sleep(0.6)  # a node looks at its publishers every quarter of a second and may subscribe again

    def call(self, service_type: type, name: str, request: Any, timeout_s: float = 60.0) -> Any:
        client = self.probe.create_client(service_type, name)
        self.until(client.service_is_ready, timeout_s)
        future = client.call_async(request)
        self.until(future.done, timeout_s)
        self.probe.destroy_client(client)
        return future.result()

    def transition(self, node: str, number: int) -> bool:
        request = ChangeState.Request()
        request.transition.id = number
        return bool(self.call(ChangeState, f"{node}/change_state", request).success)

    def state(self, node: str) -> str:
        return str(self.call(GetState, f"{node}/get_state", GetState.Request()).current_state.label)

    def active(self, node: str) -> None:
        """Wait for it; the first start on a machine compiles."""
        self.until(lambda: self.status(node).get("state") == "active", 240.0)

    def status(self, node: str) -> dict[str, str]:
        """The newest diagnostics of a node, with its "level" and "message"; empty before the first."""
        return next((status for status in reversed(self._statuses) if status["name"] == node), {})

    def set_parameter(self, node: str, name: str, value: object) -> Any:
        from rcl_interfaces.srv import SetParameters

        request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
        return self.call(SetParameters, f"{node}/set_parameters", request).results[0]

    def close(self) -> None:
        for child in self.children:
            child.stop()
            print(f"--- {' '.join(map(str, child.process.args))} (exit {child.process.returncode})\n{child.text()}")
        self._executor.shutdown()
        self._thread.join(10)
        self.probe.destroy_node()
        rclpy.try_shutdown(context=self._context)

    def _hear_status(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {value.key: value.value for value in status.values}
            self._statuses.append(
                {**values, "name": status.name, "level": str(status.level[0]), "message": status.message}
            )

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()
