"""Services whose work is done on a node's worker thread, answered when it is done, without keeping anybody waiting."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import Trigger

from seg3d_core.errors import Seg3dError

ANSWER_LIMIT_S = 10.0
"""Whoever asks gets an answer after this at the latest; what they asked for is done all the same, in its turn."""

LOOK_PERIOD_S = 0.25


@dataclass(frozen=True)
class Answer:
    """What a Trigger service says."""

    success: bool
    message: str


@dataclass(frozen=True)
class _Asked:
    """An answer that somebody waits for until ``until_s``, ``time.monotonic``."""

    answer: Future
    until_s: float


class WorkerServices:
    """Trigger services of a node.

    Each request is handed to the worker and its callback suspended, not blocked, until the worker has answered: the
    executor goes on with whatever else there is, also on its one thread.

    Args:
        node: serves.
        run_soon: runs a function on the worker thread; False if there is none.
        refused: told about everything that was asked for and cannot be done.
        actions: what each service does, on the worker thread, and says then. Raises ``Seg3dError`` to refuse.
        waits_for: what keeps the worker busy when an answer takes long.
        limit_s: an answer is given after this at the latest; by default after ``ANSWER_LIMIT_S``.
    """

    def __init__(
        self,
        node: Node,
        run_soon: Callable[[Callable[[], None]], bool],
        refused: Callable[[str], None],
        actions: dict[str, Callable[[], str]],
        waits_for: str = "the cloud being encoded",
        limit_s: float | None = None,
    ) -> None:
        self._node = node
        self._waits_for, self._limit_s = waits_for, limit_s
        self._run_soon = run_soon
        self._refused = refused
        self._asked: list[_Asked] = []
        # A suspended callback would keep its group: its own services', the parameters', all of the default group.
        group = ReentrantCallbackGroup()
        for name, act in actions.items():
            node.create_service(Trigger, f"~/{name}", self._service(name, act), callback_group=group)
        node.create_timer(LOOK_PERIOD_S, self._give_up, clock=Clock(clock_type=ClockType.STEADY_TIME))

    @property
    def _patience_s(self) -> float:
        return ANSWER_LIMIT_S if self._limit_s is None else self._limit_s

    def _service(self, name: str, act: Callable[[], str]) -> Callable[..., object]:
        async def serve(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            answer = await self._ask(name, act)
            response.success, response.message = answer.success, answer.message
            return response

        return serve

    async def _ask(self, name: str, act: Callable[[], str]) -> Answer:
        future: Future = Future(executor=self._node.executor)
        # A future by itself does not wake an executor that waits for messages; its callbacks do.
        future.add_done_callback(lambda _done: None)
        if not self._run_soon(lambda: self._run(name, act, future)):
            return Answer(False, "the node is not active")
        self._asked.append(_Asked(future, time.monotonic() + self._patience_s))
        answer: Answer = await future
        return answer

    def _run(self, name: str, act: Callable[[], str], future: Future) -> None:
        answer = Answer(False, "internal error, see the log")
        try:
            answer = Answer(True, act())
        except Seg3dError as error:
            self._refused(f"{name}: {error}")
            answer = Answer(False, str(error))
        finally:
            if not future.done():
                future.set_result(answer)

    def _give_up(self) -> None:
        now = time.monotonic()
        late = [asked for asked in self._asked if asked.until_s <= now and not asked.answer.done()]
        self._asked = [asked for asked in self._asked if not asked.answer.done() and asked not in late]
        for asked in late:
            asked.answer.set_result(
                Answer(False, f"not done yet after {self._patience_s:g} s: it waits for {self._waits_for}")
            )
