from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg3d_core.errors import InputError
from seg3d_ros.worker import Backlog, LatestSlot, Mailbox, Worker

WAIT_S = 10.0


class Bench:
    """A worker whose work can be held up, and everything that it did."""

    def __init__(self, mailbox: Mailbox[object]) -> None:
        self.done: list[object] = []
        self.errors: list[Exception] = []
        self.entered = threading.Semaphore(0)
        self.gate = threading.Event()
        self.gate.set()
        self.worker: Worker[object] = Worker("bench", mailbox, self._work, self.errors.append)

    def _work(self, item: object) -> None:
        self.entered.release()
        assert self.gate.wait(WAIT_S)
        if isinstance(item, Exception):
            raise item
        self.done.append(item)


@pytest.fixture(params=[LatestSlot, Backlog])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    bench = Bench(request.param())
    bench.worker.start()
    yield bench
    bench.gate.set()
    assert bench.worker.stop()


@given(st.lists(st.integers(), max_size=20))
def test_latest_slot_keeps_the_newest_and_counts_the_rest(items: list[int]) -> None:
    slot: LatestSlot[int] = LatestSlot()
    for item in items:
        slot.put(item)
    assert slot.dropped == max(0, len(items) - 1)
    assert [slot.take() for _ in range(len(slot))] == items[-1:]


@given(st.lists(st.integers(), max_size=20))
def test_backlog_keeps_everything_in_order(items: list[int]) -> None:
    backlog: Backlog[int] = Backlog()
    for item in items:
        backlog.put(item)
    assert [backlog.take() for _ in range(len(backlog))] == items
    assert backlog.dropped == 0


@pytest.mark.parametrize(
    ("mailbox", "expected", "dropped"), [(LatestSlot(), [0, 4], 3), (Backlog(), [0, 1, 2, 3, 4], 0)]
)
def test_what_waits_while_the_worker_is_busy(mailbox: Mailbox[object], expected: list[int], dropped: int) -> None:
    bench = Bench(mailbox)
    bench.worker.start()
    bench.gate.clear()
    bench.worker.put(0)
    assert bench.entered.acquire(timeout=WAIT_S)
    for item in range(1, 5):
        bench.worker.put(item)
    assert not bench.worker.idle
    bench.gate.set()
    assert bench.worker.wait_idle(WAIT_S)
    assert bench.done == expected
    assert bench.worker.dropped == dropped
    assert bench.worker.stop()


def test_it_outlives_errors_expected_and_not(bench: Bench) -> None:
    for item in (InputError("no points"), ZeroDivisionError("bug"), "good"):
        bench.worker.put(item)
        assert bench.worker.wait_idle(WAIT_S)
    assert [type(error) for error in bench.errors] == [InputError, ZeroDivisionError]
    assert bench.done == ["good"]


def test_calls_come_before_inputs_and_on_the_thread(bench: Bench) -> None:
    bench.gate.clear()
    bench.worker.put("first")
    assert bench.entered.acquire(timeout=WAIT_S)
    bench.worker.put("second")
    threads: list[threading.Thread] = []
    bench.worker.call(lambda: (bench.done.append("call"), threads.append(threading.current_thread()))[0])
    bench.gate.set()
    assert bench.worker.wait_idle(WAIT_S)
    assert bench.done == ["first", "call", "second"]
    assert threads[0].name == "bench"


def test_stopping_finishes_the_current_input_and_forgets_the_others(bench: Bench) -> None:
    bench.gate.clear()
    bench.worker.put("first")
    assert bench.entered.acquire(timeout=WAIT_S)
    bench.worker.put("second")
    assert not bench.worker.stop(timeout_s=0.05), "still busy: it must say so"
    bench.gate.set()
    assert bench.worker.queued == 0
    assert bench.worker.dropped == 1


def test_calls_are_made_without_a_thread_too(bench: Bench) -> None:
    assert bench.worker.stop()
    bench.worker.call(lambda: bench.done.append(threading.current_thread()))
    assert bench.done == [threading.current_thread()]


def test_it_can_be_started_again(bench: Bench) -> None:
    for number in range(3):
        assert bench.worker.stop()
        bench.worker.start()
        bench.worker.put(number)
        assert bench.worker.wait_idle(WAIT_S)
    assert bench.done == [0, 1, 2]
    assert not Bench(LatestSlot()).worker.wait_idle(0.0) or bench.worker.idle
