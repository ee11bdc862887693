"""How far a download is: one line, rewritten on a terminal and repeated, seldom, anywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable

from seg3d_core.evaluation.progress import PLAIN_PERIOD_S, Stream, duration

LIVE_PERIOD_S = 0.1
_WIDTH = 20


class ByteProgress:
    """Share, rate and time left.

    Args:
        stream: where to; a terminal or not.
        now: seconds of a clock that does not jump.
    """

    def __init__(self, stream: Stream, now: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._now = stream, now
        self._live = stream.isatty()
        self._period_s = LIVE_PERIOD_S if self._live else PLAIN_PERIOD_S
        self._began: tuple[float, int] | None = None
        self._printed = -self._period_s

    def __call__(self, have: int, total: int | None) -> None:
        """So many bytes are here, of so many."""
        now = self._now()
        if self._began is None or have < self._began[1]:
            self._began = now, have  # what was there before counts as done but not for the rate
        if now - self._printed < self._period_s and have != total:
            return
        self._printed = now
        line = self._line(have, total, now - self._began[0])
        self._stream.write(f"\r\x1b[K{line}" if self._live else f"{line}\n")
        self._stream.flush()

    def close(self) -> None:
        """Leave the terminal's line empty for what comes next."""
        if self._live:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _line(self, have: int, total: int | None, spent_s: float) -> str:
        assert self._began is not None
        rate = (have - self._began[1]) / spent_s if spent_s > 0 else 0.0
        speed = f" | {rate / 1e6:.1f} MB/s" if rate else ""
        if total is None:
            return f"{have / 1e6:,.1f} MB{speed}"
        filled = _WIDTH * have // max(total, 1)
        left = f" | {duration((total - have) / rate)} left" if rate else ""
        bar = f"[{'#' * filled}{'.' * (_WIDTH - filled)}]"
        return f"{bar} {have / 1e6:,.1f} of {total / 1e6:,.1f} MB{speed}{left}"
