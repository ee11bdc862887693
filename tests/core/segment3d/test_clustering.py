"""Clusters of subsets against DBSCAN as it is written in the paper."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seg3d_core.segment3d.clustering import DensityClusters
from seg3d_core.segment3d.proposals import Proposals


def _subset(mask):
    return np.flatnonzero(mask).astype(np.int32)


def _slow(points, eps_m, min_samples):
    points = points.astype(np.float64)
    near = ((points[:, None] - points) ** 2).sum(axis=2) <= eps_m**2
    core = near.sum(axis=1) >= min_samples
    labels = np.full(len(points), -1)
    for label, seed in enumerate(iter(lambda: next((i for i in np.flatnonzero(core) if labels[i] < 0), None), None)):
        reached = np.zeros(len(points), bool)
        reached[seed] = True
        while True:
            grown = reached | near[reached & core].any(axis=0)
            if (grown == reached).all():
                break
            reached = grown
        labels[reached & (labels < 0)] = label
    return labels


@given(
    seed=st.integers(0, 2**31),
    count=st.integers(0, 120),
    spread=st.floats(0.05, 0.6),
    min_samples=st.integers(1, 8),
    on_grid=st.booleans(),
)
def test_every_subset_is_clustered_as_by_the_slow_version(seed, count, spread, min_samples, on_grid):
    rng = np.random.default_rng(seed)
    points = rng.uniform(-spread, spread, (count, 3))
    if on_grid:  # distances of exactly eps
        points = np.round(points * 20) * 0.05
    points = points.astype(np.float32)
    clusters = DensityClusters(points, 0.1, min_samples)
    for share in (1.0, 0.6, 0.2):
        subsets = [_subset(rng.random(count) < part) for part in (share, 0.5, 0.0)]
        rng.shuffle(subsets[0])
        bounds = np.cumsum([0] + [len(subset) for subset in subsets])
        expected = [_slow(points[subset], 0.1, min_samples) for subset in subsets]
        assert clusters.labels(np.concatenate(subsets), bounds).tolist() == np.concatenate(expected).tolist()


def test_two_things_and_a_stray_point():
    line = np.linspace(0, 0.2, 11)
    points = np.zeros((23, 3), np.float32)
    points[:11, 0], points[11:22, 0], points[22] = line, line + 1, 5
    labels = DensityClusters(points, 0.05, 3).labels(_subset(np.ones(23)), np.array([0, 23]))
    assert labels.tolist() == [0] * 11 + [1] * 11 + [-1]
    # Without its middle a line falls apart.
    members = np.r_[0:4, 7:11].astype(np.int32)
    assert DensityClusters(points, 0.05, 3).labels(members, np.array([0, 8])).tolist() == [0] * 4 + [1] * 4


def test_clusters_become_proposals_and_small_ones_and_noise_nothing():
    points = np.zeros((9, 3), np.float32)
    points[:, 0] = [0, 0.04, 0.08, 1, 1.04, 2, 3, 3.04, 3.08]
    masks = np.array([[1, 1, 0, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0, 0, 0, 0]], bool)
    found = DensityClusters(points, 0.05, 2).split(Proposals.from_masks(masks, np.float32([0.9, 0.4])), 1)
    assert [np.flatnonzero(mask).tolist() for mask in found.masks] == [[0, 1], [3, 4], [6, 7, 8], [0, 1, 2]]
    np.testing.assert_allclose(found.scores, [0.9, 0.9, 0.9, 0.4], rtol=1e-6)


def test_crowded_points_are_all_neighbours():
    """More neighbours than lists have room for at first."""
    points = np.random.default_rng(0).uniform(0, 0.02, (300, 3)).astype(np.float32)
    clusters = DensityClusters(points, 0.05, 300)
    assert clusters.labels(_subset(np.ones(300)), np.array([0, 300])).tolist() == [0] * 300
    assert clusters.labels(_subset(np.arange(300) > 0), np.array([0, 299])).tolist() == [-1] * 299
