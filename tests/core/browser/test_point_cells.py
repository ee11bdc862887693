"""What is near, found by cells, against looking at every point."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg3d_core.browser.point_cells import PointCells
from seg3d_core.browser.pointing import SLOPE, point_under
from seg3d_core.errors import PromptError


def cloud(random, count):
    """Points about a place that may be far from the origin, of sizes between millimetres and streets."""
    size_m = 10.0 ** random.uniform(-3, 2)
    return (random.uniform(-1, 1, 3) * 1000 + size_m * random.normal(size=(count, 3))).astype(np.float32), size_m


@given(st.integers(0, 2**31), st.integers(1, 300))
def test_a_ray_means_the_same_point(seed, count):
    random = np.random.default_rng(seed)
    points, size_m = cloud(random, count)
    cells, eye = PointCells(points), points[0] + size_m * random.normal(size=3)
    for aim in points[:3]:
        direction = 3.0 * (aim - eye)
        rows = cells.near_ray(eye, direction, 0.02 * size_m, SLOPE)
        assert (np.diff(rows) > 0).all()
        assert point_under(points[rows], eye, direction, 0.02 * size_m) == point_under(
            points, eye, direction, 0.02 * size_m
        )


@given(st.integers(0, 2**31), st.integers(1, 300))
def test_nothing_near_a_place_is_left_out(seed, count):
    random = np.random.default_rng(seed)
    points, size_m = cloud(random, count)
    place, reach_m = points[-1] + 0.3 * size_m * random.normal(size=3), size_m * random.uniform(0, 1)
    away = np.linalg.norm(points - place, axis=1)
    rows = PointCells(points).near_place(place, reach_m)
    assert set(np.flatnonzero(away <= reach_m)) <= set(rows)
    assert (np.diff(rows) > 0).all()


def test_far_away_is_not_near():
    points = np.random.default_rng(0).uniform(0, 1, (5000, 3)).astype(np.float32)
    cells = PointCells(points)
    assert 0 < len(cells.near_ray(np.array([0.5, 0.5, 2.0]), np.array([0, 0, -1.0]), 0.02, SLOPE)) < 200
    assert len(cells.near_place(np.full(3, 0.5), 0.1)) < 200
    assert len(cells.near_place(np.full(3, 9.0), 0.1)) == 0


def test_a_ray_that_is_none_is_near_nothing():
    points = np.ones((3, 3), np.float32)
    rows = PointCells(points).near_ray(np.zeros(3), np.zeros(3), 0.1, SLOPE)
    assert len(rows) == 0
    with pytest.raises(PromptError, match="is none"):
        point_under(points[rows], np.zeros(3), np.zeros(3), 0.1)
