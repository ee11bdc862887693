"""How far an evaluation is: one line that is rewritten on a terminal and repeated, seldom, anywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, runtime_checkable

PLAIN_PERIOD_S = 5.0
LOAD_SHARE = 0.9
"""Part of a scene's time that rendering takes, for the estimate; reading a file takes none, and reports none."""
LEAST_MADE = 0.05
"""Scenes (or parts of one) that an estimate needs."""
_WIDTH = 20


@runtime_checkable
class Stream(Protocol):
    """What is needed of a text file."""

    def write(self, text: str, /) -> int:
        """Write."""
        ...

    def flush(self) -> None:
        """Hand on what was written."""
        ...

    def isatty(self) -> bool:
        """Whether a person looks at it."""
        ...


class Progress:
    """Scenes done of all, rate, time left.

    Args:
        stream: where to; a terminal or not.
        total: scenes.
        kept: how many of them were there before; they count as done but not for the rate.
        now: seconds of a clock that does not jump.
        load_share: part of a scene's time that what is reported takes; the rest is not reported.
    """

    def __init__(
        self,
        stream: Stream,
        total: int,
        kept: int = 0,
        now: Callable[[], float] = time.monotonic,
        load_share: float = LOAD_SHARE,
    ) -> None:
        self._stream, self._total, self._kept, self._now = stream, total, kept, now
        self._load_share = load_share
        self._live = stream.isatty()
        self._done, self._name = 0, ""
        self._started, self._printed = now(), -PLAIN_PERIOD_S

    def begin(self, name: str) -> None:
        """A scene is taken up."""
        self._name = name
        self.report(0.0, "")

    def report(self, share: float, words: str) -> None:
        """This share (0..1) of what is reported of the scene is done."""
        now = self._now()
        if not self._live and now - self._printed < PLAIN_PERIOD_S:
            return
        self._printed = now
        self._write(self._line(now - self._started, share * self._load_share, words))

    def end(self) -> None:
        """The scene is done, well or badly."""
        self._done += 1

    def close(self) -> None:
        """Leave the terminal's line empty for what comes next."""
        if self._live:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _line(self, spent_s: float, share: float, words: str) -> str:
        done = self._kept + self._done
        filled = _WIDTH * done // max(self._total, 1)
        line = f"scenes [{'#' * filled}{'.' * (_WIDTH - filled)}] {done}/{self._total}"
        made = self._done + share
        if made >= LEAST_MADE and spent_s > 0:
            left_s = (self._total - done - share) * spent_s / made
            line += f" | {made / spent_s * 60:.1f} a minute | {duration(left_s)} left"
        return f"{line} | {self._name}{' ' + words if words else ''}"

    def _write(self, line: str) -> None:
        self._stream.write(f"\r\x1b[K{line}" if self._live else f"{line}\n")
        self._stream.flush()


def duration(seconds: float) -> str:
    """Seconds as people read them: 42 s, 3 min 07 s, 2 h 05 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return (
        f"{whole // 60} min {whole % 60:02d} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    )
