"""Masks from cloud to cloud."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seg3d_core.interaction.transfer import ObjectPoints, transfer_mask


def obvious(points, mask, target, tolerance_m):
    distances = np.linalg.norm(points[None].astype(float) - target[:, None].astype(float), axis=2)
    inside = distances[:, mask].min(axis=1, initial=np.inf)
    return (inside <= tolerance_m) & (inside <= distances[:, ~mask].min(axis=1, initial=np.inf))


@given(st.integers(0, 2**31), st.floats(0.01, 0.5), st.floats(0, 1))
def test_as_the_obvious_way(seed, tolerance_m, share):
    random = np.random.default_rng(seed)
    points = random.random((120, 3)).astype(np.float32)
    mask = random.random(120) < share
    target = random.random((150, 3)).astype(np.float32) * 1.2
    expected = obvious(points, mask, target, tolerance_m)
    assert np.array_equal(transfer_mask(points, mask, target, tolerance_m), expected)


def test_the_cloud_itself(world):
    cloud, labels = world
    for label in range(4):
        mask = labels == label
        assert np.array_equal(transfer_mask(cloud.points, mask, cloud.points, 0.01), mask)


def test_only_the_neighbourhood_is_kept(world):
    cloud, labels = world
    found = ObjectPoints.of(cloud.points, labels == 3, 0.02)
    assert len(found.points) == (labels == 3).sum()
    assert len(found.surroundings) == 0  # the table top is in the air
    found = ObjectPoints.of(cloud.points, labels == 1, 0.02)
    assert 0 < len(found.surroundings) < 300


def test_nothing_of_nothing():
    none = np.empty((0, 3), np.float32)
    some = np.zeros((2, 3), np.float32)
    assert transfer_mask(none, np.empty(0, bool), some, 1.0).tolist() == [False, False]
    assert transfer_mask(some, np.array([True, True]), none, 1.0).shape == (0,)
    assert transfer_mask(some, np.array([False, False]), some, 1.0).tolist() == [False, False]
    assert transfer_mask(some, np.array([True, True]), some, 1.0).tolist() == [True, True]
