"""How far a long piece of work is: one line that is rewritten on a terminal and repeated, seldom, anywhere else."""

from __future__ import annotations

import signal
import time
from types import FrameType, TracebackType

from seg3d_core.evaluation.progress import Stream, duration

_LIVE_PERIOD_S, _PLAIN_PERIOD_S = 0.2, 30.0
_WIDTH = 20


class StepProgress:
    """Steps done of all, rate, time left.

    Args:
        stream: where to; a terminal or not.
        what: the steps are called.
        kept: how many were done before; they do not count for the rate.
    """

    def __init__(self, stream: Stream, what: str, kept: int = 0) -> None:
        self._stream, self._what, self._kept = stream, what, kept
        self._live = stream.isatty()
        self._started, self._printed = time.monotonic(), 0.0

    def tell(self, done: int, total: int, words: str = "") -> None:
        """So many are done; ``words`` come after the time that is left."""
        now = time.monotonic()
        if done < total and now - self._printed < (_LIVE_PERIOD_S if self._live else _PLAIN_PERIOD_S):
            return
        self._printed = now
        filled = _WIDTH * done // max(total, 1)
        line = f"{self._what} [{'#' * filled}{'.' * (_WIDTH - filled)}] {done}/{total}"
        made, spent_s = done - self._kept, now - self._started
        if made > 0 and spent_s > 0:
            line += f" | {made / spent_s:.2f} a second | {duration((total - done) * spent_s / made)} left"
        self._write(f"{line} | {words}" if words else line, done == total)

    def say(self, words: str) -> None:
        """A line that stays."""
        self._write(words, True)

    def _write(self, line: str, stays: bool) -> None:
        end = "\n" if stays or not self._live else ""
        self._stream.write(f"\r\x1b[K{line}{end}" if self._live else f"{line}\n")
        self._stream.flush()


class Interruption:
    """While it is entered, the first Ctrl-C (or SIGTERM) only asks to stop; the second one stops at once."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Interruption:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._before.clear()
