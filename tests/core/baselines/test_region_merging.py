from __future__ import annotations

import numpy as np
import plain_region_merging
from hypothesis import given, settings
from hypothesis import strategies as st

from seg3d_core.baselines import region_merging
from seg3d_core.baselines.region_merging import absorb_slivers, merge_regions
from seg3d_core.geometry.superpoints import SurfaceGraph
from seg3d_core.geometry.surface import Surface


def graph_of(count: int, edges: dict[tuple[int, int], float]) -> SurfaceGraph:
    points = np.zeros((count, 3), np.float32)
    pairs = np.array(sorted(edges), np.int32).reshape(-1, 2)
    weights = np.array([edges[tuple(pair)] for pair in pairs.tolist()], np.float32)
    surface = Surface(points, None, None, np.arange(count, dtype=np.int32), 0.01)
    return SurfaceGraph(surface, points, pairs[:, 0], pairs[:, 1], weights)


def plainly(graph: SurfaceGraph, labels: np.ndarray, limit: float) -> np.ndarray:
    """Recompute every mean border after every merge."""
    labels = labels.copy()
    while True:
        borders: dict[tuple[int, int], list[float]] = {}
        for a, b, weight in zip(graph.a, graph.b, graph.weights, strict=True):
            x, y = sorted((int(labels[a]), int(labels[b])))
            if x != y:
                borders.setdefault((x, y), []).append(float(weight))
        means = {pair: float(np.mean(weights)) for pair, weights in borders.items()}
        best = min(means, key=means.__getitem__, default=None)
        if best is None or means[best] > limit:
            return labels
        labels[labels == best[1]] = best[0]


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 14), st.floats(0.1, 0.9), st.integers(0, 2**32 - 1))
def test_merging_equals_the_plain_version(count: int, limit: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    edges = {
        (a, b): float(np.float32(rng.random())) for a in range(count) for b in range(a + 1, count) if rng.random() < 0.4
    }
    graph = graph_of(count, edges)
    labels = np.unique(rng.integers(0, count, count), return_inverse=True)[1].astype(np.int32)
    ours, reference = merge_regions(graph, labels, limit), plainly(graph, labels, limit)
    same = ours[:, None] == ours[None, :]
    np.testing.assert_array_equal(same, reference[:, None] == reference[None, :])
    assert sorted(set(ours.tolist())) == list(range(ours.max() + 1))


def test_one_kind_edge_does_not_join_what_the_border_separates() -> None:
    edges = {(0, 1): 0.0, (2, 3): 0.0, (0, 2): 0.0, (0, 3): 0.5, (1, 2): 0.5, (1, 3): 0.5}
    labels = np.array([0, 0, 1, 1], np.int32)
    assert merge_regions(graph_of(4, edges), labels, 0.3).tolist() == [0, 0, 1, 1]
    assert merge_regions(graph_of(4, edges), labels, 0.4).tolist() == [0, 0, 0, 0]


def test_a_strip_between_two_regions_joins_the_one_it_bends_least_toward() -> None:
    """Regions 0-3 and 6-9 in chains, a strip of two samples between them, lighter toward the second."""
    edges = {(i, i + 1): 0.01 for i in range(9)} | {(3, 4): 0.3, (5, 6): 0.2}
    labels = np.array([0, 0, 0, 0, 1, 1, 2, 2, 2, 2], np.int32)
    assert absorb_slivers(graph_of(10, edges), labels).tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 1, 1]


def test_regions_without_neighbours_are_no_slivers() -> None:
    labels = np.array([0, 0, 1, 1], np.int32)
    assert absorb_slivers(graph_of(4, {(0, 1): 0.1, (2, 3): 0.1}), labels).tolist() == [0, 0, 1, 1]


def random_graph(rng: np.random.Generator, count: int, weights: np.ndarray) -> SurfaceGraph:
    """Samples in a row joined to some of those near them, with weights drawn from the given ones."""
    pairs = {(a, a + int(step)) for a in range(count) for step in rng.integers(1, 9, 4) if a + step < count}
    return graph_of(count, {pair: float(rng.choice(weights)) for pair in pairs})


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 120), st.floats(0.0, 1.0), st.booleans(), st.integers(0, 2**32 - 1))
def test_regions_equal_those_of_plain_python_down_to_their_numbers(
    count: int, limit: float, has_ties: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    weights = np.array([0, 0.25, 0.5]) if has_ties else rng.random(50)
    graph = random_graph(rng, count, weights)
    labels = np.unique(rng.integers(0, count, count) // 3, return_inverse=True)[1].astype(np.int32)
    joined, plain = (module.merge_regions(graph, labels, limit) for module in (region_merging, plain_region_merging))
    np.testing.assert_array_equal(joined, plain)
    share = float(rng.random())
    np.testing.assert_array_equal(
        region_merging.absorb_slivers(graph, joined, share), plain_region_merging.absorb_slivers(graph, joined, share)
    )


def test_no_samples_are_no_regions() -> None:
    empty = np.zeros(0, np.int32)
    assert merge_regions(graph_of(0, {}), empty, 0.5).tolist() == absorb_slivers(graph_of(0, {}), empty).tolist() == []
