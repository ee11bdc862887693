from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg3d_core.errors import InputError
from seg3d_core.geometry.trajectory import PoseBuffer

SECOND = 1_000_000_000


def at(x: float) -> np.ndarray:
    T = np.eye(4)
    T[0, 3] = x
    return T


def test_between_two_poses() -> None:
    buffer = PoseBuffer(10.0)
    buffer.insert(1 * SECOND, at(1))
    buffer.insert(3 * SECOND, at(3))
    assert buffer.newest_ns == 3 * SECOND
    assert buffer.lookup(2 * SECOND, 0.2)[0, 3] == pytest.approx(2)
    assert buffer.lookup(3 * SECOND, 0.0)[0, 3] == 3


def test_what_happened_in_a_long_gap_is_not_made_up() -> None:
    buffer = PoseBuffer(60.0)
    for second in (0, 10, 11):
        buffer.insert(second * SECOND, at(second))
    with pytest.raises(InputError, match=r"10\.000 s apart, at most 1\.000 s \(10 times the tolerance\)"):
        buffer.lookup(5 * SECOND, 0.1)
    # The neighbours' own stamps are known all the same, and so is what lies behind the gap.
    assert buffer.lookup(10 * SECOND, 0.1)[0, 3] == 10
    assert buffer.lookup(10 * SECOND + SECOND // 2, 0.1)[0, 3] == pytest.approx(10.5)
    with pytest.raises(InputError, match=r"at most 0\.000 s"):
        buffer.lookup(10 * SECOND + SECOND // 2, 0.0)


def test_ends_hold_within_the_tolerance_and_not_beyond() -> None:
    buffer = PoseBuffer(10.0)
    buffer.insert(1 * SECOND, at(1))
    buffer.insert(2 * SECOND, at(2))
    assert buffer.lookup(2 * SECOND + SECOND // 20, 0.1)[0, 3] == 2
    assert buffer.lookup(SECOND - SECOND // 20, 0.1)[0, 3] == 1
    with pytest.raises(InputError, match=r"0\.500 s after the newest camera pose, at most 0\.100 s"):
        buffer.lookup(2 * SECOND + SECOND // 2, 0.1)
    with pytest.raises(InputError, match=r"1\.000 s before the oldest camera pose"):
        buffer.lookup(0, 0.1)


@given(st.permutations(range(12)), st.integers(0, 11 * SECOND))
def test_order_of_arrival_does_not_matter(order: list[int], stamp_ns: int) -> None:
    buffer = PoseBuffer(100.0)
    for second in order:
        buffer.insert(second * SECOND, at(second))
    assert buffer.lookup(stamp_ns, 0.1)[0, 3] == pytest.approx(stamp_ns / SECOND)


def test_old_poses_go_and_a_repeated_stamp_replaces() -> None:
    buffer = PoseBuffer(2.0)
    for second in range(10):
        buffer.insert(second * SECOND, at(second))
    assert len(buffer) == 3
    buffer.insert(9 * SECOND, at(-1))
    assert len(buffer) == 3
    assert buffer.lookup(9 * SECOND, 0.0)[0, 3] == -1
    buffer.insert(SECOND, at(1))  # arrives after it has expired
    assert len(buffer) == 3


def test_empty_and_cleared() -> None:
    buffer = PoseBuffer(1.0)
    buffer.insert(5, at(1))
    buffer.clear()
    assert buffer.newest_ns is None
    with pytest.raises(InputError, match="no camera pose"):
        buffer.lookup(5, 1.0)


def test_bad_poses_and_durations_are_refused() -> None:
    with pytest.raises(InputError, match="not rigid"):
        PoseBuffer(1.0).insert(0, np.diag([2.0, 2, 2, 1]))
    with pytest.raises(InputError, match="above 0 s"):
        PoseBuffer(0.0)
