"""Every size in a process of its own: none finds memory that another has left behind."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

P = TypeVar("P")
M = TypeVar("M")


def measure_all(measure: Callable[[P, int], M], plan: P, sizes: Sequence[int]) -> Iterator[M]:
    """``measure(plan, size)`` of one size after the other, smallest first; ``measure`` is a module's function.

    Raises what ``measure`` raises.
    """
    # fork would take over threads and memory of this process.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as pool:
        for size in sorted(sizes):
            yield pool.submit(measure, plan, size).result()
