"""The demo's live line."""

from __future__ import annotations

import re
import time
from typing import TextIO

from seg3d_ros.demo.observer import Observation
from seg3d_ros.demo.processes import NodeProcess

PLAIN_PERIOD_S = 5.0
"""Without a terminal (a log file) a line is printed this often instead of rewritten."""
_PREPARED = re.compile(r"prepared frame (\d+) of (\d+)")


class ProgressLine:
    """One line that is rewritten on a terminal and repeated, seldom, anywhere else."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._printed_at = 0.0
        self._total = 0

    def show(self, source: NodeProcess, seen: Observation) -> None:
        """Print how far the run is."""
        now = time.monotonic()
        if not self._live and now - self._printed_at < PLAIN_PERIOD_S:
            return
        self._printed_at = now
        text = self._text(source, seen)
        self._stream.write(f"\r\x1b[K{text}" if self._live else f"{text}\n")
        self._stream.flush()

    def close(self) -> None:
        """End the line."""
        if self._live:
            self._stream.write("\n")

    def _text(self, source: NodeProcess, seen: Observation) -> str:
        if prepared := _PREPARED.findall(source.last_lines(1)):
            done, self._total = (int(number) for number in prepared[-1])
            if not seen.frames:
                return f"preparing frames {_bar(done, self._total)} {done}/{self._total}"
        if not seen.frames and not seen.results:
            return "starting nodes"
        text = f"clouds {seen.clouds} | results {len(seen.results)}"
        if self._total:
            text = f"frames {_bar(seen.frames, self._total)} {seen.frames}/{self._total} | {text}"
        if seen.results:
            newest = seen.results[-1]
            text += f" | {len(newest.cloud)} points, {len(newest.instance_ids)} instances, {newest.age_s:.1f} s old"
        return text


def _bar(done: int, total: int, width: int = 20) -> str:
    filled = min(width, width * done // total)
    return "[" + "#" * filled + "." * (width - filled) + "]"
