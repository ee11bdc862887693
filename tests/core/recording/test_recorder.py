from __future__ import annotations

import random
import resource
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from seg3d_core.data.bags import read_bag
from seg3d_core.errors import InputError
from seg3d_core.recording.message import RecordedMessage
from seg3d_core.recording.recorder import Recorder
from seg3d_core.recording.settings import RecordingConfig
from seg3d_core.recording.topics import TypeDefinitions

S = 1_000_000_000
TYPES = TypeDefinitions()
CHATTER = TYPES.topic("/chatter", "std_msgs/msg/String")
OTHER = TYPES.topic("/other", "std_msgs/msg/String")
MAP = TYPES.topic("/map", "std_msgs/msg/String", is_latched=True)


def message(second: float, data: bytes = b"x", topic=CHATTER) -> RecordedMessage:
    return RecordedMessage(topic, round(second * S), round(second * S), data)


class Running:
    """A recorder, and calls that wait for its thread."""

    def __init__(self, keep_ring: bool, **values: object) -> None:
        self.failures: list[str] = []
        self.stops: list[str] = []
        self.crashes: list[Exception] = []
        config = RecordingConfig.build({"files": {"min_free_mb": 0}, **values})
        self.recorder = Recorder(
            config,
            keep_ring,
            lambda error: self.stops.append(str(error)),
            lambda error: self.failures.append(str(error)),
            self.crashes.append,
        )
        self.recorder.start()

    def on_thread(self, function: Callable[[], object]) -> object:
        done = threading.Event()
        result: list[object] = []

        def run() -> None:
            try:
                result.append(function())
            except InputError as error:
                result.append(error)
            finally:
                done.set()

        assert self.recorder.call(run)
        assert done.wait(20)
        if isinstance(result[0], InputError):
            raise result[0]
        return result[0]

    def begin(self, path: Path, second: float = 0) -> None:
        self.on_thread(lambda: self.recorder.begin(path, {}, round(second * S)))

    def end(self) -> object:
        return self.on_thread(self.recorder.end)

    def snapshot(self, path: Path) -> object:
        return self.on_thread(lambda: self.recorder.snapshot(path, {"robot": "r2"}))


@pytest.fixture
def plain() -> Iterator[Running]:
    running = Running(False)
    yield running
    assert running.recorder.stop()


@pytest.fixture
def with_ring() -> Iterator[Running]:
    running = Running(True, ring={"seconds": 5})
    yield running
    assert running.recorder.stop()


def test_messages_between_begin_and_end_are_recorded(plain: Running, tmp_path: Path) -> None:
    plain.recorder.put(message(1, b"early"))
    plain.recorder.put(message(1, b"map", MAP))
    plain.begin(tmp_path / "a", 2)
    plain.recorder.put(message(3, b"in"))
    assert plain.end() == f"2 messages: {tmp_path / 'a'}"
    plain.recorder.put(message(4, b"late"))
    plain.begin(tmp_path / "b", 5)
    plain.recorder.put(message(6, b"again"))
    plain.end()
    assert [(m.stamp_ns // S, m.data) for m in read_bag(tmp_path / "a")] == [(2, b"map"), (3, b"in")]
    assert [(m.stamp_ns // S, m.data) for m in read_bag(tmp_path / "b")] == [(5, b"map"), (6, b"again")]


def test_what_cannot_be_done_is_said(plain: Running, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing is being recorded"):
        plain.end()
    with pytest.raises(InputError, match="nothing is kept for snapshots"):
        plain.snapshot(tmp_path / "s")
    plain.begin(tmp_path / "a")
    with pytest.raises(InputError, match=r"already recording to .*/a"):
        plain.begin(tmp_path / "b")


def test_stopping_records_what_waits_and_ends_properly(tmp_path: Path) -> None:
    running = Running(False)
    running.begin(tmp_path / "bag")
    for second in range(500):
        running.recorder.put(message(second, bytes(1000)))
    assert running.recorder.stop()
    assert len(list(read_bag(tmp_path / "bag"))) == 500
    assert not running.recorder.call(lambda: None)
    assert (running.failures, running.crashes) == ([], [])


def test_a_snapshot_holds_the_last_seconds_and_the_recorder_goes_on(with_ring: Running, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing has been received yet"):
        with_ring.snapshot(tmp_path / "none")
    with_ring.recorder.put(message(0, b"map", MAP))
    for second in range(1, 11):
        with_ring.recorder.put(message(second))
    said = with_ring.snapshot(tmp_path / "one")
    assert said == f"7 messages of the last 5.0 s: {tmp_path / 'one'}"
    assert [m.stamp_ns // S for m in read_bag(tmp_path / "one")] == [5, 5, 6, 7, 8, 9, 10]
    for second in range(11, 14):
        with_ring.recorder.put(message(second))
    with_ring.snapshot(tmp_path / "two")
    assert [m.stamp_ns // S for m in read_bag(tmp_path / "two")] == [8, 8, 9, 10, 11, 12, 13]
    assert with_ring.recorder.status().ring_s == 5.0


def test_a_slow_disk_drops_and_counts_and_keeps_what_is_latched(tmp_path: Path) -> None:
    running = Running(False, queue_mb=1)
    running.begin(tmp_path / "bag")
    gate = threading.Event()
    running.recorder.call(lambda: gate.wait(20))
    taken = [running.recorder.put(message(number, bytes(300_000))) for number in range(5)]
    other = running.recorder.put(message(5, bytes(300_000), OTHER))
    latched = running.recorder.put(message(6, b"map", MAP))
    assert (taken, other, latched) == ([True, True, True, False, False], False, True)
    assert running.recorder.dropped() == {"/chatter": 2, "/other": 1}
    assert running.recorder.status().waiting_bytes > 900_000
    gate.set()
    running.end()
    assert [m.stamp_ns // S for m in read_bag(tmp_path / "bag")] == [0, 1, 2, 6]
    assert running.recorder.status().waiting_bytes == 0
    running.recorder.stop()


def test_a_full_disk_stops_the_recording_and_is_said(plain: Running, tmp_path: Path) -> None:
    plain.begin(tmp_path / "bag")
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The operating system refuses to make files larger, in the middle of a write: as on a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, unlimited[1]))
    try:
        for second in range(20):
            plain.recorder.put(message(second, random.Random(second).randbytes(600_000)))
        plain.on_thread(lambda: None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert plain.recorder.status().path is None
    (said,) = plain.stops
    assert "bag: File too large; recording has stopped, 6 messages are in " in said
    assert said.endswith("bag, 2 messages were lost")
    assert [m.stamp_ns // S for m in read_bag(tmp_path / "bag")] == list(range(6))
    plain.begin(tmp_path / "next")
    plain.end()


def test_messages_are_prepared_on_the_thread(plain: Running, tmp_path: Path) -> None:
    def shorten(given: RecordedMessage) -> RecordedMessage:
        assert threading.current_thread().name == "recorder"
        if given.data == b"bad":
            raise InputError("it is bad")
        if given.data == b"worse":
            raise ZeroDivisionError
        return replace(given, data=given.data[:2])

    plain.recorder.prepare("/chatter", shorten)
    plain.begin(tmp_path / "bag")
    for number, data in enumerate((b"long", b"bad", b"worse", b"longer")):
        plain.recorder.put(message(number, data))
    plain.end()
    assert [m.data for m in read_bag(tmp_path / "bag")] == [b"lo", b"bad", b"lo"]
    assert plain.failures == ["it is bad"]
    assert [type(error) for error in plain.crashes] == [ZeroDivisionError]
