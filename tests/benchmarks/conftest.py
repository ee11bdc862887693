"""Benchmarks compare two ways of doing one thing in one run: ``./run bench`` (``pytest tests/benchmarks --bench``).

Without ``--bench`` every benchmark runs once and asserts only that it works, so that it cannot rot.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Comparison:
    name: str
    ours_ms: float
    peer: str
    peer_ms: float
    bound: str

    @property
    def ratio(self) -> float:
        return self.peer_ms / self.ours_ms


_RESULTS: list[Comparison] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not config.getoption("--bench") or not _RESULTS:
        return
    terminalreporter.section("benchmarks (median, alternating runs)")
    terminalreporter.write_line("| what | ours ms | peer | peer ms | peer / ours | bound |")
    terminalreporter.write_line("|---|---|---|---|---|---|")
    for row in _RESULTS:
        terminalreporter.write_line(
            f"| {row.name} | {row.ours_ms:.2f} | {row.peer} | {row.peer_ms:.2f} | {row.ratio:.2f} | {row.bound} |"
        )


@pytest.fixture
def compare(request: pytest.FixtureRequest) -> Callable[..., None]:
    """``compare(name, ours, peer_name, peer, at_least=20, bound="reads 9.8 MB")``: time both by turns.

    ``at_least`` is the smallest allowed ratio peer time / our time; checked only with ``--bench``. ``clock`` says what
    is counted, in seconds: the time that passes, or that of the processor.
    """
    measuring: bool = request.config.getoption("--bench")

    def run(
        name: str,
        ours: Callable[[], object],
        peer_name: str,
        peer: Callable[[], object],
        *,
        at_least: float | None = None,
        bound: str = "",
        rounds: int = 15,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        ours(), peer()
        if not measuring:
            return
        times: dict[Callable[[], object], list[float]] = {ours: [], peer: []}
        for _ in range(rounds):
            for function, spent in times.items():
                start = clock()
                function()
                spent.append((clock() - start) * 1e3)
        result = Comparison(name, statistics.median(times[ours]), peer_name, statistics.median(times[peer]), bound)
        _RESULTS.append(result)
        if at_least is not None:
            assert result.ratio >= at_least, f"{name}: {result.ratio:.2f} x {peer_name}, wanted at least {at_least}"

    return run
