"""Two ways to compute the same, timed by turns in one process: their ratio holds on a busy machine, too."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

_ENOUGH_S = 1.0
"""So long is measured where the rounds asked for take less."""


@dataclass(frozen=True)
class Comparison:
    """What was measured.

    Attributes:
        name: what is computed.
        ours_ms: median of our times.
        peer: the other way.
        peer_ms: median of its times.
        bound: what the machine has to do at least, in words; empty where that says nothing.
    """

    name: str
    ours_ms: float
    peer: str
    peer_ms: float
    bound: str = ""

    @property
    def ratio(self) -> float:
        """How many times longer the other way takes."""
        return self.peer_ms / self.ours_ms

    def figures(self) -> dict[str, Any]:
        """All figures by name."""
        return {**asdict(self), "ratio": self.ratio}


@dataclass(frozen=True)
class Pair:
    """Two ways to compute the same.

    Attributes:
        name: what is computed.
        ours: our way.
        peer: name of the other way.
        theirs: the other way.
        check: raises where the results of ``ours`` and ``theirs`` are not the same.
    """

    name: str
    ours: Callable[[], Any]
    peer: str
    theirs: Callable[[], Any]
    check: Callable[[Any, Any], None]

    def agree(self) -> None:
        """Run both once.

        Raises:
            DisagreementError: their results differ.
        """
        self.check(self.ours(), self.theirs())

    def compared(self, rounds: int) -> Comparison:
        """Time both, ``rounds`` times at least; raises as ``agree``, which comes first and is not counted."""
        self.agree()
        ours_ms, peer_ms = by_turns(self.ours, self.theirs, rounds, enough_s=_ENOUGH_S)
        return Comparison(self.name, ours_ms, self.peer, peer_ms)


def by_turns(
    ours: Callable[[], object],
    peer: Callable[[], object],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
    enough_s: float = 0.0,
) -> tuple[float, float]:
    """Median milliseconds of both.

    Args:
        ours, peer: both have run before.
        rounds: each runs so often, at least once.
        clock: seconds: those that pass, or the processor's.
        enough_s: rounds go on until so much time has passed.
    """
    spent: tuple[list[float], list[float]] = ([], [])
    begin = time.perf_counter()
    while len(spent[0]) < rounds or time.perf_counter() - begin < enough_s:
        for function, times in zip((ours, peer), spent, strict=True):
            start = clock()
            function()
            times.append((clock() - start) * 1e3)
    return statistics.median(spent[0]), statistics.median(spent[1])


def table(comparisons: Sequence[Comparison]) -> str:
    """A row for each, in Markdown; the column of bounds only where there are any."""
    head = ["what", "ours ms", "peer", "peer ms", "peer / ours", "bound"]
    rows = [
        [row.name, f"{row.ours_ms:.2f}", row.peer, f"{row.peer_ms:.2f}", f"{row.ratio:.2f}", row.bound]
        for row in comparisons
    ]
    columns = len(head) if any(row.bound for row in comparisons) else len(head) - 1
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells[:columns]) + " |" for cells in lines)
