"""Compiled loops on several cores: parts of one array each, on threads that are kept."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
from jaxtyping import Int64


def usable_cores() -> int:
    """Cores that this process may use; OMP_NUM_THREADS, where it is set, keeps it to fewer."""
    allowed = len(os.sched_getaffinity(0))
    wish = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(allowed, int(wish))) if wish.isdigit() else allowed


def share_out(work: Callable[[int, int], None], costs: Int64[np.ndarray, " N"], threads: int) -> None:
    """Run ``work(first, last)`` on parts of about the same cost, on up to ``threads`` threads; returns when all ended.

    Args:
        work: compiled, lets other threads run meanwhile.
        costs: cumulative, beginning with that of nothing.
        threads: 1 or more.
    """
    parts = min(threads, len(costs) - 1)
    if parts <= 1:
        work(0, len(costs) - 1)
        return
    wanted = np.linspace(costs[0], costs[-1], parts + 1)[1:-1]
    bounds = [0, *np.searchsorted(costs, wanted).tolist(), len(costs) - 1]
    list(_pool(threads, os.getpid()).map(work, bounds[:-1], bounds[1:]))


@cache
def _pool(threads: int, _process: int) -> ThreadPoolExecutor:
    """Threads of this process: those of its parent would not run."""
    return ThreadPoolExecutor(threads, thread_name_prefix="seg3d")
