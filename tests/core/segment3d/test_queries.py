"""Farthest point sampling of voxels against a transcription of the rule, thread by thread."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")

from seg3d_core.errors import InputError  # noqa: E402
from seg3d_core.segment3d.queries import query_voxels  # noqa: E402


def _reduce_by_halves(best, best_row):
    """What the threads of a block do: each half of them takes over the larger value of its partner."""
    half = len(best) // 2
    while half:
        for thread in range(half):
            if best[thread + half] > best[thread]:
                best[thread], best_row[thread] = best[thread + half], best_row[thread + half]
        half //= 2
    return best_row[0]


def _slow_released(voxels, count):
    threads = min(512, 2 ** int(np.log2(len(voxels))))
    points = voxels.astype(np.float32)
    squared = np.full(len(points), 1e10, np.float32)
    chosen = [0]
    for _ in range(count - 1):
        best, best_row = [-1.0] * threads, [0] * threads
        for row, point in enumerate(points):
            if (point**2).sum() <= 1e-3:
                continue
            squared[row] = min(squared[row], ((point - points[chosen[-1]]) ** 2).sum())
            if squared[row] > best[row % threads]:
                best[row % threads], best_row[row % threads] = squared[row], row
        chosen.append(_reduce_by_halves(best, best_row))
    return chosen


def _slow_lowest_index(voxels, count):
    points = voxels.astype(np.float32)
    chosen = [0]
    for _ in range(count - 1):
        squared = ((points[:, None] - points[chosen]) ** 2).sum(axis=2).min(axis=1)
        squared[(points == 0).all(axis=1)] = -1
        chosen.append(int(squared.argmax()))
    return chosen


def _voxels(seed, count, extent):
    rng = np.random.default_rng(seed)
    return rng.permutation(np.unique(rng.integers(-extent, extent, (count, 3)), axis=0)).astype(np.int32)


@given(seed=st.integers(0, 2**31), count=st.integers(1, 70), extent=st.integers(1, 5), queries=st.integers(1, 40))
def test_both_tie_rules_are_those_of_the_slow_versions(seed, count, extent, queries):
    voxels = _voxels(seed, count, extent)
    assert query_voxels(torch.from_numpy(voxels), queries).tolist() == _slow_released(voxels, queries)
    lowest = query_voxels(torch.from_numpy(voxels), queries, "lowest_index")
    assert lowest.tolist() == _slow_lowest_index(voxels, queries)


def test_more_voxels_than_threads():
    voxels = _voxels(3, 1500, 8)
    assert len(voxels) > 1000
    assert query_voxels(torch.from_numpy(voxels), 60).tolist() == _slow_released(voxels, 60)


def test_the_origin_is_only_ever_the_first():
    corners = torch.tensor([[1, 0, 0], [0, 0, 0], [5, 0, 0]], dtype=torch.int32)
    assert query_voxels(corners, 4).tolist() == [0, 2, 0, 0]
    assert query_voxels(corners[1:2], 3).tolist() == [0, 0, 0]


def test_no_voxels_and_no_queries_are_refused():
    with pytest.raises(InputError, match="5 queries were asked of 0 voxels"):
        query_voxels(torch.zeros(0, 3, dtype=torch.int32), 5)
    with pytest.raises(InputError, match="0 queries were asked of 1 voxels"):
        query_voxels(torch.ones(1, 3, dtype=torch.int32), 0)
