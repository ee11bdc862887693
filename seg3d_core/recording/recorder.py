"""A thread that records messages, so that whoever receives them only hands them over."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from seg3d_core.errors import InputError
from seg3d_core.recording.bag_folder import BagFolder
from seg3d_core.recording.latched import LatchedMemory
from seg3d_core.recording.message import RecordedMessage
from seg3d_core.recording.ring import Ring
from seg3d_core.recording.settings import RecordingConfig

Prepare = Callable[[RecordedMessage], RecordedMessage]
"""What is done to a message of a topic before it is recorded, for example compressing its image."""

_LATCHED_BYTES = 1_000_000
"""Smaller messages of latched topics have twice the room: without static transforms the rest is of little use."""

STOP_LIMIT_S = 30.0
"""A disk that is slower than this is not waited for."""


@dataclass(frozen=True)
class RecorderStatus:
    """What a recorder is doing.

    Attributes:
        path: that is being recorded to; None while nothing is.
        messages: recorded there.
        waiting_bytes: in the queue.
        dropped: messages that found the queue full.
        ring_s, ring_bytes: how far a snapshot would reach back, and what it takes in memory; zero without a ring.
    """

    path: Path | None
    messages: int
    waiting_bytes: int
    dropped: int
    ring_s: float
    ring_bytes: int


class Recorder:
    """Records what it is handed, in the order in which it comes, on a thread of its own.

    ``put`` and ``call`` never wait for the disk. ``begin``, ``end`` and ``snapshot`` are to be called on the thread, by
    ``call``: then they take their turn among the messages.

    Args:
        config: bounds and files.
        keep_ring: keep the last seconds in memory, for ``snapshot``.
        stopped: told, on the thread, why a recording came to its end by itself.
        failed: told, on the thread, about messages that could not be prepared and are recorded as they are.
        crashed: told about everything unexpected, on the thread; must not raise.
    """

    def __init__(
        self,
        config: RecordingConfig,
        keep_ring: bool,
        stopped: Callable[[InputError], None],
        failed: Callable[[InputError], None],
        crashed: Callable[[Exception], None],
    ) -> None:
        self._config = config
        self._latched = LatchedMemory()
        self._ring = Ring(config.ring, self._latched) if keep_ring else None
        self._stopped = stopped
        self._failed = failed
        self._crashed = crashed
        self._prepare: dict[str, Prepare] = {}
        self._queue: deque[RecordedMessage | Callable[[], object]] = deque()
        self._waiting_bytes = 0
        self._dropped: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._running = False
        self._thread: threading.Thread | None = None
        self._bag: BagFolder | None = None

    # From any thread.

    def start(self) -> None:
        """Start the thread."""
        self._running = True
        self._thread = threading.Thread(target=self._loop, name="recorder", daemon=True)
        self._thread.start()

    def stop(self) -> bool:
        """Record what waits, end the recording, end the thread; False if that took longer than ``STOP_LIMIT_S``."""
        with self._changed:
            self._running = False
            self._changed.notify_all()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(STOP_LIMIT_S)
            return not thread.is_alive()
        return True

    def prepare(self, topic: str, prepare: Prepare) -> None:
        """Pass all messages of a topic through ``prepare``, on the thread."""
        self._prepare[topic] = prepare

    def put(self, message: RecordedMessage) -> bool:
        """Hand over a message; False, and counted, if too much waits already."""
        limit = self._config.queue_mb * 1_000_000
        with self._changed:
            waiting = self._waiting_bytes + message.cost_bytes
            matters = message.topic.is_latched and message.cost_bytes < _LATCHED_BYTES
            if waiting > (2 * limit if matters else limit):
                self._dropped[message.topic.name] += 1
                return False
            self._waiting_bytes += message.cost_bytes
            self._queue.append(message)
            self._changed.notify_all()
        return True

    def call(self, function: Callable[[], object]) -> bool:
        """Run ``function`` on the thread after all that was handed over before; False if there is no thread."""
        with self._changed:
            if not self._running:
                return False
            self._queue.append(function)
            self._changed.notify_all()
        return True

    def status(self) -> RecorderStatus:
        """What is going on."""
        bag, ring = self._bag, self._ring
        with self._changed:
            waiting, dropped = self._waiting_bytes, self._dropped.total()
        return RecorderStatus(
            bag.path if bag else None,
            bag.messages if bag else 0,
            waiting,
            dropped,
            ring.span_s if ring else 0.0,
            ring.size_bytes if ring else 0,
        )

    def dropped(self) -> dict[str, int]:
        """Messages that found the queue full, by topic."""
        with self._changed:
            return dict(self._dropped)

    # On the thread.

    def begin(self, path: Path, custom: Mapping[str, str], now_ns: int) -> None:
        """Record to a new folder from now on (``now_ns``, the clock of ``log_ns``), beginning with what is latched.

        Raises:
            InputError: something is being recorded already, or the folder cannot be made.
        """
        if self._bag is not None:
            raise InputError(f"already recording to {self._bag.path}")
        self._bag = BagFolder(path, self._config.files, custom)
        for message in self._latched.at(now_ns):
            self._write(message)

    def end(self, custom: Mapping[str, str] | None = None) -> str:
        """End the recording; what was recorded, in words.

        Raises:
            InputError: nothing is being recorded, or the disk is full.
        """
        bag, self._bag = self._bag, None
        if bag is None:
            raise InputError("nothing is being recorded")
        bag.custom |= custom or {}
        bag.close()
        return f"{bag.messages} messages: {bag.path}"

    def snapshot(self, path: Path, custom: Mapping[str, str]) -> str:
        """Write what the ring holds to a new folder; what was written, in words.

        Raises:
            InputError: there is no ring, nothing is in it, or the folder cannot be written.
        """
        if self._ring is None:
            raise InputError("nothing is kept for snapshots")
        messages = self._ring.messages()
        if not messages:
            raise InputError("nothing has been received yet, there is nothing to keep")
        bag = BagFolder(path, self._config.files, custom)
        try:
            for message in messages:
                bag.write(message)
        finally:
            bag.close()
        return f"{bag.messages} messages of the last {self._ring.span_s:.1f} s: {path}"

    def _loop(self) -> None:
        going_on = True
        while going_on:
            item, going_on = self._next()
            try:
                self._do(item)
            except InputError as error:
                self._stopped(error)
            except Exception as error:  # one bad message must not end the recording
                self._crashed(error)

    def _next(self) -> tuple[RecordedMessage | Callable[[], object], bool]:
        """What is to be done next, and whether anything is to be done after it."""
        with self._changed:
            if not self._queue and self._running:
                self._changed.wait(self._config.files.chunk_period_s / 2)
            if not self._queue:
                return (self._tick, True) if self._running else (self._end_if_any, False)
            item = self._queue.popleft()
            if isinstance(item, RecordedMessage):
                self._waiting_bytes -= item.cost_bytes
            return item, True

    def _do(self, item: RecordedMessage | Callable[[], object]) -> None:
        if not isinstance(item, RecordedMessage):
            item()
            return
        message = self._prepared(item)
        self._latched.see(message)
        if self._ring is not None:
            self._ring.add(message)
        self._write(message)

    def _prepared(self, message: RecordedMessage) -> RecordedMessage:
        prepare = self._prepare.get(message.topic.name)
        if prepare is None:
            return message
        try:
            return prepare(message)
        except InputError as error:
            self._failed(error)
            return message

    def _write(self, message: RecordedMessage) -> None:
        if self._bag is not None:
            try:
                self._bag.write(message)
            except InputError as error:
                self._give_up(self._bag, error)

    def _tick(self) -> None:
        if self._bag is not None:
            try:
                self._bag.tick()
            except InputError as error:
                self._give_up(self._bag, error)

    def _end_if_any(self) -> None:
        if self._bag is not None:
            self.end()

    def _give_up(self, bag: BagFolder, error: InputError) -> None:
        """The disk is full or gone: end properly what can be ended, and say so."""
        self._bag = None
        try:
            bag.close()
        except InputError as second:
            error = second
        lost = f", {bag.lost} messages were lost" if bag.lost else ""
        raise InputError(f"{error}; recording has stopped, {bag.messages} messages are in {bag.path}{lost}") from error
