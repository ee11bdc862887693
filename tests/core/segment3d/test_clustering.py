"""Clusters of subsets against DBSCAN as it is written in the paper."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seg3d_core.segment3d.clustering import DensityClusters


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
        members = np.flatnonzero(rng.random(count) < share)
        assert clusters.labels(members).tolist() == _slow(points[members], 0.1, min_samples).tolist()


def test_two_things_and_a_stray_point():
    line = np.linspace(0, 0.2, 11)
    points = np.zeros((23, 3), np.float32)
    points[:11, 0], points[11:22, 0], points[22] = line, line + 1, 5
    labels = DensityClusters(points, 0.05, 3).labels(np.arange(23))
    assert labels.tolist() == [0] * 11 + [1] * 11 + [-1]
    # Without its middle a line falls apart.
    members = np.r_[0:4, 7:11]
    assert DensityClusters(points, 0.05, 3).labels(members).tolist() == [0] * 4 + [1] * 4
