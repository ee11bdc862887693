"""The line that says how far a download is."""

from __future__ import annotations

import io

from seg3d_core.download.progress import ByteProgress


class Clock:
    def __init__(self) -> None:
        self.time_s = 100.0

    def __call__(self) -> float:
        return self.time_s


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_share_rate_and_time_left_without_what_was_there_before():
    stream, clock = Terminal(), Clock()
    progress = ByteProgress(stream, clock)
    progress(50_000_000, 100_000_000)
    clock.time_s += 10
    progress(70_000_000, 100_000_000)
    lines = stream.getvalue().split("\r\x1b[K")
    assert lines[1] == "[##########..........] 50.0 of 100.0 MB"
    assert lines[2] == "[##############......] 70.0 of 100.0 MB | 2.0 MB/s | 15 s left"
    progress.close()
    assert stream.getvalue().endswith("\r\x1b[K")


def test_files_get_a_line_now_and_then_and_the_last():
    stream, clock = io.StringIO(), Clock()
    progress = ByteProgress(stream, clock)
    for have in range(0, 1_000_001, 10_000):
        progress(have, 1_000_000)
        clock.time_s += 0.1
    lines = stream.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[-1] == "[####################] 1.0 of 1.0 MB | 0.1 MB/s | 0 s left"
    progress.close()


def test_an_unknown_total_and_a_new_beginning():
    stream, clock = Terminal(), Clock()
    progress = ByteProgress(stream, clock)
    progress(5_000_000, None)
    clock.time_s += 1
    progress(9_000_000, None)
    clock.time_s += 1
    progress(1_000_000, None)
    assert stream.getvalue().split("\r\x1b[K")[1:] == ["5.0 MB", "9.0 MB | 4.0 MB/s", "1.0 MB"]
