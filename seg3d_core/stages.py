"""Where the time goes: named stages, timed only while somebody asks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass
class StageTimes:
    """What stages took.

    Attributes:
        milliseconds: sum for each name, in the order in which they first ended.
        wait: called before the clock is read; waits for a device that works on its own.
    """

    milliseconds: dict[str, float] = field(default_factory=dict)
    wait: Callable[[], object] | None = None

    def now_ms(self) -> float:
        """The time, once all work so far is done."""
        if self.wait is not None:
            self.wait()
        return time.perf_counter() * 1e3


_RECORDING: ContextVar[StageTimes | None] = ContextVar("stage times", default=None)


@contextmanager
def recorded(wait: Callable[[], object] | None = None) -> Iterator[StageTimes]:
    """Time the stages that this thread goes through inside the block.

    Args:
        wait: waits for the device, for example ``torch.cuda.synchronize``; without it a stage on a GPU seems to take
            as long as its launches.
    """
    times = StageTimes(wait=wait)
    token = _RECORDING.set(times)
    try:
        yield times
    finally:
        _RECORDING.reset(token)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """The block is the stage ``name``; it costs nothing to speak of where nobody records."""
    times = _RECORDING.get()
    if times is None:
        yield
        return
    started = times.now_ms()
    yield
    times.milliseconds[name] = times.milliseconds.get(name, 0.0) + times.now_ms() - started
