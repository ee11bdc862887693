"""Work shared out among threads: every part once, in equal shares of its cost."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg3d_core.threads import share_out, usable_cores


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.integers(1, 5))
def test_every_part_is_done_once(costs, threads):
    done = np.zeros(len(costs), np.int64)

    def work(first: int, last: int) -> None:
        done[first:last] += 1

    share_out(work, np.concatenate([[0], np.cumsum(costs)]), threads)
    assert (done == 1).all()


def test_shares_follow_the_cost():
    parts = []
    share_out(lambda first, last: parts.append((first, last)), np.cumsum([0, 6, 1, 1, 1, 1, 1, 1]), 2)
    assert sorted(parts) == [(0, 1), (1, 7)]


def test_what_goes_wrong_in_a_part_is_raised():
    def work(first: int, last: int) -> None:
        if first > 0:
            raise ZeroDivisionError(f"{first} to {last}")

    with pytest.raises(ZeroDivisionError, match="5 to 10"):
        share_out(work, np.arange(11), 2)


@pytest.mark.parametrize(("wish", "expected"), [("1", 1), ("100000", None), ("", None), ("many", None)])
def test_cores_can_be_kept_to_fewer(monkeypatch, wish, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", wish)
    assert usable_cores() == (expected or len(os.sched_getaffinity(0)))
