"""Nearest neighbours, by buckets and by all pairs, against every distance sorted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

torch = pytest.importorskip("torch", reason="torch is not installed")

from seg3d_core.errors import InputError  # noqa: E402
from seg3d_core.point_ops import neighbours  # noqa: E402
from seg3d_core.point_ops.neighbours import nearest, search_all_pairs  # noqa: E402


def clouds(elements, most=150):
    return arrays(np.float32, st.tuples(st.integers(1, most), st.just(3)), elements=elements)


any_cloud = st.one_of(
    clouds(st.integers(-2, 2).map(float)),
    clouds(st.floats(-4, 4, width=32)),
    clouds(st.floats(1000, np.float32(1000.001), width=32)),
    clouds(st.floats(-(2.0**-70), 2.0**-70, width=32)),
)
some_queries = st.one_of(
    clouds(st.integers(-2, 2).map(float), 12), clouds(st.floats(-4, 4, width=32), 12), clouds(st.just(1000.0), 2)
)


def slowly(points, queries, k):
    dx, dy, dz = (points[None] - queries[:, None]).transpose(2, 0, 1)
    distances = np.sqrt(dx * dx + dy * dy + dz * dz)
    squared = dx * dx + dy * dy + dz * dz
    rows = np.argsort(squared, axis=1, kind="stable")[:, :k]
    return rows, np.take_along_axis(distances, rows, axis=1)


def test_equal_distances_come_in_the_order_of_the_points():
    points = torch.tensor([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, 0, 0]])
    rows, distances = nearest(points, torch.zeros(1, 3), 4)
    assert rows.tolist() == [[3, 0, 1, 2]]
    assert distances.tolist() == [[0, 1, 1, 1]]
    assert nearest(points, torch.zeros(1, 3), 3)[0].tolist() == [[3, 0, 1]]
    assert nearest(points, torch.tensor([[0.0, 3, 4]]), 1)[1].tolist() == [[pytest.approx(np.sqrt(20))]]


@given(any_cloud, some_queries, st.data())
def test_both_ways_equal_all_distances_sorted(points, queries, data):
    k = data.draw(st.integers(1, min(len(points), 20)), "k")
    expected_rows, expected = slowly(points, queries, k)
    rows, distances = nearest(torch.from_numpy(points), torch.from_numpy(queries), k)
    assert rows.tolist() == expected_rows.tolist()
    assert distances.tolist() == expected.tolist()
    all_rows, squared = search_all_pairs(torch.from_numpy(points), torch.from_numpy(queries), k)
    assert all_rows.tolist() == expected_rows.tolist()
    assert np.sqrt(squared.numpy()).tolist() == expected.tolist()


@pytest.mark.parametrize("copies", [2, 60, 3000])
def test_more_equal_points_than_are_asked_for(copies):
    random = np.random.default_rng(copies)
    points = random.permutation(np.repeat(random.integers(-2, 3, (3000 // copies, 3)), copies, axis=0))
    points = points.astype(np.float32)
    rows, _ = nearest(torch.from_numpy(points), torch.from_numpy(points[:20]), 9)
    assert rows.tolist() == slowly(points, points[:20], 9)[0].tolist()


@pytest.mark.parametrize("k", [1, 3, 64, 65, 400, 700, 2000])
def test_many_neighbours_in_many_buckets(k):
    """Some on a grid, so that many are equally far; more than one limit and one portion of those found."""
    random = np.random.default_rng(k)
    points = np.concatenate([random.normal(size=(1000, 3)), random.integers(-4, 5, (1000, 3))]).astype(np.float32)
    queries = np.concatenate([points[990:1010], random.normal(scale=3, size=(20, 3))]).astype(np.float32)
    rows, distances = nearest(torch.from_numpy(points), torch.from_numpy(queries), k)
    expected_rows, expected = slowly(points, queries, k)
    assert rows.tolist() == expected_rows.tolist()
    assert distances.tolist() == expected.tolist()


def test_threads_share_the_queries():
    random = np.random.default_rng(1)
    points, queries = (torch.from_numpy(random.normal(size=(n, 3)).astype(np.float32)) for n in (500, 1100))
    alone = nearest(points, queries, 7)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        together = nearest(points, queries, 7)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(alone[0], together[0]) and torch.equal(alone[1], together[1])


def test_distances_beyond_the_largest_number():
    points = torch.tensor([[0.0, 0, 0], [3e38, 0, 0], [-3e38, 0, 0], [1, 0, 0]])
    rows, distances = nearest(points, points[:2], 4)
    assert rows.tolist() == [[0, 3, 1, 2], [1, 0, 2, 3]]
    assert distances.tolist() == [[0, 1, float("inf"), float("inf")], [0, *[float("inf")] * 3]]


def test_memory_is_shared_out_among_chunks(monkeypatch):
    monkeypatch.setattr(neighbours, "_PAIRS_AT_ONCE", 500)
    random = np.random.default_rng(0)
    points = random.integers(-3, 4, (300, 3)).astype(np.float32)
    queries = random.normal(size=(50, 3)).astype(np.float32)
    expected = slowly(points, queries, 5)[0].tolist()
    assert nearest(torch.from_numpy(points), torch.from_numpy(queries), 5)[0].tolist() == expected
    assert search_all_pairs(torch.from_numpy(points), torch.from_numpy(queries), 5)[0].tolist() == expected


def test_a_batch_is_its_clouds():
    generator = torch.Generator().manual_seed(0)
    points, queries = torch.rand(2, 3, 30, 3, generator=generator), torch.rand(2, 3, 7, 3, generator=generator)
    rows, distances = nearest(points, queries, 4)
    assert rows.shape == distances.shape == (2, 3, 7, 4)
    alone_rows, alone = nearest(points[1, 2], queries[1, 2], 4)
    assert torch.equal(rows[1, 2], alone_rows) and torch.equal(distances[1, 2], alone)


def test_no_queries_find_nothing():
    points = torch.zeros(4, 3)
    assert search_all_pairs(points, torch.zeros(0, 3), 2)[0].shape == (0, 2)


def test_bad_input_is_refused_in_words():
    points = torch.eye(3)
    for k in (0, 4):
        with pytest.raises(
            InputError, match=f"{k} nearest neighbours were asked of 3 points, from 1 to 3 are possible"
        ):
            nearest(points, points, k)
    with pytest.raises(InputError, match=r"1 of 3 queries are NaN or infinite, the first is row \[1\]"):
        nearest(points, torch.tensor([[0.0, 0, 0], [0, torch.nan, 0], [0, 0, 0]]), 1)
    with pytest.raises(InputError, match=r"1 of 1 points are NaN or infinite"):
        nearest(torch.full((1, 3), torch.inf), points, 1)
    with pytest.raises(InputError, match=r"points are a batch \(1,\), queries \(2,\)"):
        neighbours.nearest.__wrapped__(points[None], points.repeat(2, 1, 1), 1)
    with pytest.raises(InputError, match="points are on cpu, queries on meta"):
        neighbours.require_one_device("points", points, "queries", points.to("meta"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_gives_the_rows_of_the_cpu():
    random = np.random.default_rng(3)
    for points in (random.normal(size=(20_000, 3)), random.integers(-15, 16, (20_000, 3))):
        cloud = torch.from_numpy(points.astype(np.float32))
        rows, distances = nearest(cloud, cloud[:900], 65)
        cuda_rows, cuda_distances = nearest(cloud.cuda(), cloud[:900].cuda(), 65)
        assert torch.equal(cuda_rows.cpu(), rows) and torch.equal(cuda_distances.cpu(), distances)
