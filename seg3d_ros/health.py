"""What a node has done, lost and refused, as one line on /diagnostics."""

from __future__ import annotations

import re
import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from rclpy.impl.rcutils_logger import RcutilsLogger

from seg3d_core.errors import Seg3dError

WINDOW = 200
"""Latencies and ages are quantiles of the last so many."""

RATE_WINDOW_S = 10.0
"""Rates and the level look back this far."""

SAY_AGAIN_S = 30.0
"""The same refusal is logged again after this, with how often it came."""

MAX_MESSAGES = 12
"""At most so many distinct refusals are listed in diagnostics, the latest ones."""


@dataclass
class _Refusal:
    message: str
    count: int = 0
    said_at: float = -np.inf


@dataclass
class Health:
    """Counters, rates, latencies and the last error of one node. Every method may be called from any thread.

    Attributes:
        now_ns: the node's clock, ns.
        logger: of the node.
    """

    now_ns: Callable[[], int]
    logger: RcutilsLogger
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _counts: Counter[str] = field(default_factory=Counter)
    _recent: dict[str, deque[float]] = field(default_factory=dict)
    _age_ms: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    _stage_ms: dict[str, deque[float]] = field(default_factory=dict)
    _refusals: dict[str, _Refusal] = field(default_factory=dict)
    _problems: dict[str, str] = field(default_factory=dict)
    _warnings: dict[str, str] = field(default_factory=dict)
    _gauges: dict[str, Callable[[], object]] = field(default_factory=dict)
    _last_error: str = ""

    def count(self, name: str, amount: int = 1) -> None:
        """Add to a counter and remember when: ``frames_in``, ``frames_used``, ``frames_bad``, ``messages_lost`` ..."""
        with self._lock:
            self._counts[name] += amount
            recent = self._recent.setdefault(name, deque(maxlen=1000))
            recent.extend([time.monotonic()] * min(amount, 1000))

    def gauge(self, name: str, read: Callable[[], object]) -> None:
        """Show what ``read`` returns as the value of ``name``."""
        with self._lock:
            self._gauges[name] = read

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure what is done inside as ``latency_ms_<name>``; a stage that raises is not measured."""
        start = time.perf_counter()
        yield
        spent_ms = (time.perf_counter() - start) * 1e3
        with self._lock:
            self._stage_ms.setdefault(name, deque(maxlen=WINDOW)).append(spent_ms)

    def published(self, stamp_ns: int) -> None:
        """A result left; its age is the node's time minus the stamp of the input it was made from."""
        with self._lock:
            self._age_ms.append((self.now_ns() - stamp_ns) * 1e-6)

    def failed(self, error: Exception) -> None:
        """An input could not be used: count it, say it once, and again only after ``SAY_AGAIN_S``."""
        if isinstance(error, Seg3dError):
            self.count("frames_bad")
            self._say(str(error), self.logger.warning)
            return
        self.count("crashes")
        trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        self._say(f"{type(error).__name__}: {error}", lambda text: self.logger.error(f"{text}\n{trace}"))

    def refused(self, message: str) -> None:
        """Somebody asked for what cannot be done: count it and say it every time, because they wait for the answer."""
        self.count("prompts_refused")
        self._say(message, self.logger.warning, again_s=0.0)

    def problem(self, source: str, message: str | None) -> None:
        """A standing problem of ``source`` (a topic): ERROR until it is lifted with None."""
        self._stand(self._problems, source, message, self.logger.error)

    def warning(self, source: str, message: str | None) -> None:
        """Something that makes results worse, not impossible: WARN until it is lifted with None."""
        self._stand(self._warnings, source, message, self.logger.warning)

    def total(self, name: str) -> int:
        """Value of a counter."""
        with self._lock:
            return self._counts[name]

    def status(self, name: str, state: str) -> DiagnosticStatus:
        """Everything as one status; ``state`` is the lifecycle state, shown in the summary."""
        with self._lock:
            level, summary = self._judge(state)
            values = [KeyValue(key=key, value=str(value)) for key, value in self._values().items()]
        return DiagnosticStatus(level=level, name=name, message=summary, hardware_id="", values=values)

    def _stand(self, messages: dict[str, str], source: str, message: str | None, log: Callable[[str], object]) -> None:
        with self._lock:
            before = messages.pop(source, None)
            if message is not None:
                messages[source] = message
        if message is not None and message != before:
            log(message)

    def _say(self, message: str, log: Callable[[str], object], again_s: float = SAY_AGAIN_S) -> None:
        # Numbers differ from frame to frame; the same sentence with other numbers is the same message.
        key = re.sub(r"\d+(\.\d+)?", "#", message)
        now = time.monotonic()
        with self._lock:
            self._last_error = message
            refusal = self._refusals.pop(key, None) or _Refusal(message)
            refusal.message = message
            refusal.count += 1
            self._refusals[key] = refusal
            while len(self._refusals) > MAX_MESSAGES:
                self._refusals.pop(next(iter(self._refusals)))
            due = now - refusal.said_at >= again_s
            refusal.said_at = now if due else refusal.said_at
            times = refusal.count
        if due:
            log(message if times == 1 else f"{message} ({times} times so far)")

    def _values(self) -> dict[str, object]:
        names = ("frames_in", "frames_used", "frames_dropped", "frames_bad")
        values: dict[str, object] = {name: self._counts[name] for name in names}
        values |= {name: count for name, count in sorted(self._counts.items()) if name not in names}
        values |= {name: read() for name, read in self._gauges.items()}
        values["rate_hz"] = f"{self._rate_hz('frames_used'):.2f}"
        for name, samples in [("age_ms", self._age_ms)] + [
            (f"latency_ms_{stage}", taken) for stage, taken in self._stage_ms.items()
        ]:
            if samples:
                p50, p95 = np.percentile(samples, [50, 95])
                values |= {f"{name}_p50": f"{p50:.1f}", f"{name}_p95": f"{p95:.1f}"}
        values["last_error"] = self._last_error
        values |= {f"refused: {refusal.message}": refusal.count for refusal in self._refusals.values()}
        return values

    def _judge(self, state: str) -> tuple[bytes, str]:
        if self._problems:
            return DiagnosticStatus.ERROR, "; ".join(self._problems.values())
        if self._within_window("crashes"):
            return DiagnosticStatus.ERROR, f"internal error: {self._last_error}"
        if bad := self._within_window("frames_bad"):
            return DiagnosticStatus.WARN, f"{bad} inputs refused in {RATE_WINDOW_S:.0f} s: {self._last_error}"
        if refused := self._within_window("prompts_refused"):
            return DiagnosticStatus.WARN, f"{refused} prompts refused in {RATE_WINDOW_S:.0f} s: {self._last_error}"
        if self._warnings:
            return DiagnosticStatus.WARN, "; ".join(self._warnings.values())
        if state == "active" and not self._within_window("frames_in"):
            return DiagnosticStatus.WARN, f"active, but no input in {RATE_WINDOW_S:.0f} s"
        return DiagnosticStatus.OK, f"{state}, {self._rate_hz('frames_used'):.1f} Hz"

    def _within_window(self, name: str) -> int:
        after = time.monotonic() - RATE_WINDOW_S
        return sum(moment >= after for moment in self._recent.get(name, ()))

    def _rate_hz(self, name: str) -> float:
        return self._within_window(name) / RATE_WINDOW_S
