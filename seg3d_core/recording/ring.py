"""The last seconds of everything, in memory, for snapshots."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from seg3d_core.recording.latched import LatchedMemory
from seg3d_core.recording.message import RecordedMessage
from seg3d_core.recording.settings import RingConfig


class Ring:
    """Messages of the last seconds, within a bound of bytes. Latched ones that fell out are still in ``messages``.

    Args:
        config: the bounds.
        latched: sees every message before it is added here.
    """

    def __init__(self, config: RingConfig, latched: LatchedMemory) -> None:
        self._keep_ns = round(config.seconds * 1e9)
        self._max_bytes = config.max_mb * 1_000_000
        self._recent: deque[RecordedMessage] = deque()
        self._latched = latched
        self.size_bytes = 0
        self.span_s = 0.0
        """How far it reaches back, s; this and ``size_bytes`` may be read by any thread."""

    def add(self, message: RecordedMessage) -> None:
        """Keep a message; what is too old or too much falls out. A clock that went back empties the ring."""
        if self._recent and message.log_ns < self._recent[-1].log_ns - self._keep_ns:
            self._recent.clear()
            self.size_bytes = 0
        self._recent.append(message)
        self.size_bytes += message.cost_bytes
        oldest_ns = message.log_ns - self._keep_ns
        while self._recent and (self.size_bytes > self._max_bytes or self._recent[0].log_ns < oldest_ns):
            self.size_bytes -= self._recent.popleft().cost_bytes
        self.span_s = (message.log_ns - self._recent[0].log_ns) * 1e-9 if self._recent else 0.0

    def messages(self) -> list[RecordedMessage]:
        """What a snapshot holds: latched messages that fell out, as if received when it begins, and all that is in."""
        if not self._recent:
            return self._latched.at(0)
        inside = {id(message) for message in self._recent}
        began_ns = self._recent[0].log_ns
        fallen = [replace(message, log_ns=began_ns) for message in self._latched if id(message) not in inside]
        return fallen + list(self._recent)
