"""The progress line on a terminal and in a log."""

from __future__ import annotations

import io

import pytest

from seg3d_core.evaluation.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_rate_and_time_left_come_from_the_scenes_of_this_run(clock: Clock) -> None:
    stream = Terminal()
    progress = Progress(stream, total=8, kept=2, now=clock)
    progress.begin("a")
    clock.seconds = 30.0
    progress.end()
    progress.begin("b")
    last = stream.getvalue().rpartition("\r\x1b[K")[2]
    assert last == "scenes [#######.............] 3/8 | 2.0 a minute | 2 min 30 s left | b"
    progress.close()
    assert stream.getvalue().endswith("\r\x1b[K")


def test_a_part_of_a_scene_counts(clock: Clock) -> None:
    stream = Terminal()
    progress = Progress(stream, total=2, now=clock)
    progress.begin("a")
    clock.seconds = 45.0
    progress.report(0.5, "frame 51 of 100")
    last = stream.getvalue().rpartition("\r\x1b[K")[2]
    assert last == "scenes [....................] 0/2 | 0.6 a minute | 2 min 35 s left | a frame 51 of 100"


def test_a_log_gets_a_line_every_five_seconds(clock: Clock) -> None:
    stream = io.StringIO()
    progress = Progress(stream, total=100, now=clock)
    for index in range(100):
        progress.begin(str(index))
        clock.seconds += 0.1
        progress.end()
    progress.close()
    assert len(stream.getvalue().splitlines()) == 2
    assert "\x1b" not in stream.getvalue()


def test_hours_are_said_as_hours(clock: Clock) -> None:
    stream = Terminal()
    progress = Progress(stream, total=101, now=clock)
    clock.seconds = 75.0
    progress.end()
    progress.begin("b")
    assert "| 2 h 05 min left |" in stream.getvalue()
