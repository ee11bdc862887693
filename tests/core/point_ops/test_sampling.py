"""Farthest point sampling in all its ways against a slow version that recomputes every distance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

torch = pytest.importorskip("torch", reason="torch is not installed")

from seg3d_core.errors import InputError  # noqa: E402
from seg3d_core.geometry import neighbours as obvious  # noqa: E402
from seg3d_core.point_ops.sampling import farthest_points  # noqa: E402
from seg3d_core.point_ops.sampling_device import sample_with_torch  # noqa: E402
from seg3d_core.point_ops.ties import released_order  # noqa: E402


def clouds(elements, most=200):
    return arrays(np.float32, st.tuples(st.integers(1, most), st.just(3)), elements=elements)


coarse = clouds(st.integers(-3, 3).map(float))
"""Many duplicates, many ties."""

fine = clouds(st.floats(-4, 4, width=32))
lines = arrays(np.float32, st.integers(1, 200), elements=st.integers(-50, 50).map(float)).map(
    lambda x: np.outer(x, np.array([1, 0, 0], np.float32))
)
any_cloud = st.one_of(coarse, fine, lines)


def slowly(points, count, start=0, order=None, candidates=None):
    """Every distance from scratch for every choice; the first in ``order`` of the farthest."""
    order = np.arange(len(points)) if order is None else order
    chosen = [start]
    while len(chosen) < count:
        dx, dy, dz = (points[:, None] - points[chosen]).transpose(2, 0, 1)
        squared = (dx * dx + dy * dy + dz * dz).min(axis=1)
        if candidates is not None:
            squared[~candidates] = -np.inf
        chosen.append(int(order[squared[order].argmax()]))
    return chosen


def test_a_line_by_hand():
    line = torch.tensor([[0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0], [4, 0, 0]], dtype=torch.float32)
    assert farthest_points(line, 4).tolist() == [0, 4, 2, 1]  # 1 and 3 tie
    assert farthest_points(line, 3, start=4).tolist() == [4, 0, 2]
    # The first in order among four threads (0 2 1 3) that take rows 0 4, 1, 2, 3.
    assert farthest_points(line, 5, ties="released").tolist() == [0, 4, 2, 1, 3]
    square = torch.tensor([[0, 0, 0], [1, 0, 0], [0, 1, 0]], dtype=torch.float32)
    assert farthest_points(square, 2).tolist() == [0, 1]
    # Two threads: the first takes rows 0 and 2.
    assert farthest_points(square, 2, ties="released").tolist() == [0, 2]


def test_the_released_order_is_a_permutation_that_starts_with_row_0():
    assert released_order(10, torch.device("cpu")).tolist() == [0, 8, 4, 2, 6, 1, 9, 5, 3, 7]
    assert released_order(1, torch.device("cpu")).tolist() == [0]


@given(any_cloud, st.data())
def test_every_way_equals_the_slow_one(points, data):
    count = data.draw(st.integers(1, 30), "count")
    start = data.draw(st.integers(0, len(points) - 1), "start")
    ties = data.draw(st.sampled_from(["lowest_index", "released"]), "ties")
    candidates = data.draw(st.none() | arrays(bool, len(points)), "candidates")
    order = released_order(len(points), torch.device("cpu")).numpy() if ties == "released" else None
    allowed = None if candidates is None else torch.from_numpy(candidates)
    chosen = farthest_points(torch.from_numpy(points), count, start, ties, allowed)
    assert chosen.tolist() == slowly(points, count, start, order, candidates)


@given(any_cloud, st.data())
def test_the_version_for_devices_is_the_one_for_the_cpu(points, data):
    count = data.draw(st.integers(1, 30), "count")
    start = data.draw(st.integers(0, len(points) - 1), "start")
    columns = torch.from_numpy(points).T.contiguous()[None]
    squared = torch.full((1, len(points)), torch.inf)
    rows = sample_with_torch(columns, squared, torch.tensor([start]), count)
    assert rows[0].tolist() == farthest_points(torch.from_numpy(points), count, start).tolist()


@given(st.integers(0, 2**31), st.sampled_from([1e-30, 1e-3, 1.0, 1e4, 1e15]))
def test_many_buckets_at_any_scale(seed, scale):
    random = np.random.default_rng(seed)
    points = (random.normal(size=(3000, 3)) * [1, 1, 0.01] * scale + random.normal(size=3)).astype(np.float32)
    reference = obvious.farthest_points(points, 100, start=17)
    assert farthest_points(torch.from_numpy(points), 100, start=17).tolist() == reference.tolist()


def test_squared_distances_beyond_float32_are_all_equal():
    points = np.array([[0, 0, 0], [1, 0, 0], [1e30, 0, 0], [-1e30, 0, 0]], np.float32)
    with np.errstate(over="ignore"):
        assert farthest_points(torch.from_numpy(points), 4).tolist() == slowly(points, 4)


def test_fewer_points_than_asked_for():
    points = torch.tensor([[1.0, 0, 0], [1, 0, 0], [5, 0, 0]])
    assert farthest_points(points, 6).tolist() == [0, 2, 0, 0, 0, 0]
    assert farthest_points(points, 3, start=1).tolist() == [1, 2, 0]
    assert farthest_points(points[:1], 3).tolist() == [0, 0, 0]


def test_without_candidates_row_0_repeats():
    points = torch.arange(9.0).reshape(3, 3)
    nothing = torch.zeros(3, dtype=torch.bool)
    assert farthest_points(points, 3, start=2, candidates=nothing).tolist() == [2, 0, 0]


@given(st.integers(0, 2**31))
def test_a_batch_is_its_clouds(seed):
    points = torch.from_numpy(np.random.default_rng(seed).normal(size=(2, 3, 40, 3)).astype(np.float32))
    together = farthest_points(points, 7)
    assert together.shape == (2, 3, 7)
    for one, rows in zip(points.flatten(0, 1), together.flatten(0, 1), strict=True):
        assert farthest_points(one, 7).tolist() == rows.tolist()


@given(st.integers(0, 2**31))
def test_the_order_of_the_points_does_not_matter(seed):
    random = np.random.default_rng(seed)
    points = torch.from_numpy(random.normal(size=(150, 3)).astype(np.float32))  # no ties
    order = torch.from_numpy(random.permutation(150))
    again = farthest_points(points[order], 20, start=int(order.argsort()[9]))
    assert torch.equal(order[again], farthest_points(points, 20, start=9))


def test_points_that_need_gradients_are_only_looked_at():
    points = torch.eye(3, requires_grad=True)
    assert farthest_points(points, 2).tolist() == [0, 1]


def test_bad_input_is_refused_in_words():
    points = torch.zeros(4, 3)
    with pytest.raises(InputError, match="0 farthest points were asked of 4 points, both must be at least 1"):
        farthest_points(points, 0)
    for start in (-1, 4):
        with pytest.raises(InputError, match=f"start point {start} is not one of 4 points"):
            farthest_points(points, 2, start=start)
    with pytest.raises(InputError, match=r"shape \(0, 3\), must be \(..., N, 3\) with N at least 1"):
        farthest_points(points[:0], 2)
    points[2, 1] = torch.nan
    points[3, 0] = torch.inf
    with pytest.raises(InputError, match=r"2 of 4 points are NaN or infinite, the first is row \[2\]"):
        farthest_points(points, 2)
    with pytest.raises(InputError, match="points are on cpu, candidates on meta"):
        farthest_points(torch.zeros(4, 3), 2, candidates=torch.ones(4, dtype=torch.bool, device="meta"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("count", [100, 8192, 20_000])
@pytest.mark.parametrize("ties", ["lowest_index", "released"])
def test_cuda_gives_the_rows_of_the_cpu(count, ties):
    random = np.random.default_rng(count)
    smooth = random.normal(size=(count, 3)).astype(np.float32)
    points = torch.from_numpy(np.stack([smooth, random.integers(-20, 20, (count, 3)).astype(np.float32)]))
    on_cpu = farthest_points(points, 90, 5, ties)
    assert torch.equal(farthest_points(points.cuda(), 90, 5, ties).cpu(), on_cpu)
    columns, first = points.cuda().mT.contiguous(), torch.tensor([5], device="cuda")
    in_torch = sample_with_torch(columns, torch.full_like(columns[:, 0], torch.inf), first, 90)
    assert torch.equal(in_torch.cpu(), farthest_points(points, 90, 5))
