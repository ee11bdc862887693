"""Thinning: how many stay, which, and that the nearest really is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from seg3d_core.errors import InputError
from seg3d_core.geometry.thinning import thin


def surface(count: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    points = random.uniform(-1, 1, (count, 3))
    points[np.arange(count), random.integers(0, 3, count)] = 0.5
    return points.astype(np.float32)


def test_few_points_all_stay():
    thinned = thin(surface(50, 0), 50)
    assert thinned.kept.tolist() == thinned.nearest.tolist() == list(range(50))


@pytest.mark.parametrize("limit", [1, 7, 500, 4000])
def test_surfaces_keep_nearly_what_is_allowed(limit):
    thinned = thin(surface(20_000, 1), limit)
    assert 0.5 * limit <= len(thinned) <= limit


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 400),
    st.integers(1, 60),
    st.sampled_from([1e-3, 1.0, 300.0]),
    st.sampled_from([0.0, 5000.0]),
)
def test_nearest_of_those_kept(seed, count, limit, scale, shift):
    random = np.random.default_rng(seed)
    points = (random.normal(size=(count, 3)) * scale * random.integers(0, 2, (count, 1)) + shift).astype(np.float32)
    thinned = thin(points, limit)
    assert len(thinned) <= limit
    assert (np.diff(thinned.kept) > 0).all()
    kept = points[thinned.kept]
    expected, _ = cKDTree(kept).query(points)
    found = np.linalg.norm(points.astype(np.float64) - kept[thinned.nearest], axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-6 * scale, rtol=1e-6)
    if len(np.unique(kept, axis=0)) == len(kept):
        assert np.array_equal(thinned.nearest[thinned.kept], np.arange(len(kept)))


def test_points_that_crowd_in_two_places():
    points = np.repeat(np.array([[0, 0, 0], [100, 0, 0]], np.float32), 1000, axis=0)
    thinned = thin(points, 100)
    assert thinned.kept.tolist() == [0, 1000]
    assert np.array_equal(thinned.nearest, np.repeat([0, 1], 1000))


def test_something_must_stay():
    with pytest.raises(InputError, match="0 points were asked for, at least 1 must stay"):
        thin(surface(5, 0), 0)
