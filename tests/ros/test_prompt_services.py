"""Services of the worker thread: answered when done, with nobody kept waiting meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the ROS wheels (Python 3.11, 3.12) or a sourced ROS 2")

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from ros_graph import Graph
from std_srvs.srv import Trigger

from seg3d_core.errors import PromptError
from seg3d_ros import prompt_services
from seg3d_ros.prompt_services import WorkerServices

pytestmark = pytest.mark.ros


class Desk:
    """A node with one slow service and one ordinary one, spun by one thread; its worker works when it is told to."""

    def __init__(self, graph: Graph) -> None:
        self.node = Node("desk", context=graph._context)
        self.work: list[Callable[[], None]] = []
        self.refused: list[str] = []
        self.active = True
        WorkerServices(self.node, self._soon, self.refused.append, {"slow": lambda: "done", "bad": self._bad})
        self.node.create_service(Trigger, "~/ordinary", self._ordinary)
        self._executor = SingleThreadedExecutor(context=graph._context)
        self._executor.add_node(self.node)
        self._running = True
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._running = False
        self._thread.join(10)
        self._executor.shutdown()
        self.node.destroy_node()

    def _soon(self, function: Callable[[], None]) -> bool:
        if self.active:
            self.work.append(function)
        return self.active

    def _bad(self) -> str:
        raise PromptError("there is nothing to undo")

    def _ordinary(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = True, "at once"
        return response

    def _spin(self) -> None:
        while self._running:
            self._executor.spin_once(0.2)


@pytest.fixture
def desk(graph: Graph) -> Iterator[Desk]:
    desk = Desk(graph)
    yield desk
    desk.close()


def test_others_are_answered_while_the_worker_works(graph: Graph, desk: Desk) -> None:
    client = graph.probe.create_client(Trigger, "/desk/slow")
    graph.until(client.service_is_ready)
    asked = [client.call_async(Trigger.Request()) for _ in range(3)]
    graph.until(lambda: len(desk.work) == 3)
    assert graph.call(Trigger, "/desk/ordinary", Trigger.Request()).message == "at once"
    assert not any(future.done() for future in asked)
    for job in desk.work:
        job()
    graph.until(lambda: all(future.done() for future in asked), 5)
    assert [(future.result().success, future.result().message) for future in asked] == [(True, "done")] * 3
    assert desk.refused == []


def test_refused_and_not_active(graph: Graph, desk: Desk) -> None:
    client = graph.probe.create_client(Trigger, "/desk/bad")
    graph.until(client.service_is_ready)
    asked = client.call_async(Trigger.Request())
    graph.until(lambda: desk.work)
    desk.work.pop()()
    graph.until(asked.done)
    assert (asked.result().success, asked.result().message) == (False, "there is nothing to undo")
    assert desk.refused == ["bad: there is nothing to undo"]
    desk.active = False
    assert graph.call(Trigger, "/desk/bad", Trigger.Request()).message == "the node is not active"


def test_an_answer_in_bounded_time(graph: Graph, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_services, "ANSWER_LIMIT_S", 0.1)
    answer = graph.call(Trigger, "/desk/slow", Trigger.Request())
    assert (answer.success, "not done yet after 0.1 s" in answer.message) == (False, True)
    desk.work.pop()()  # what was asked for is done all the same
