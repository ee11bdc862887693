"""Clicks on points of the cloud."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg3d_core.errors import PromptError
from seg3d_core.interaction.snapping import snap, squared_distances
from seg3d_core.interaction.snapping_kernels import nearest_row

POINTS = np.array([[0, 0, 0], [1, 0, 0], [1, 0, 0], [0, 2, 0]], np.float32)


def test_by_hand():
    assert snap(POINTS, np.array([0.9, 0.0, 0.0]), 0.5) == (1, pytest.approx(0.1))
    assert snap(POINTS, np.array([0.0, 2.0, 0.0], np.float32), 0.01) == (3, 0.0)


@given(st.integers(0, 2**31), st.integers(1, 200))
def test_nobody_is_nearer(seed, count):
    random = np.random.default_rng(seed)
    points = random.normal(size=(count, 3)).astype(np.float32)
    click = random.normal(size=3)
    distances = np.linalg.norm(points - click, axis=1)
    row, distance_m = snap(points, click, 100.0)
    assert distance_m == pytest.approx(distances[row])
    assert distance_m <= distances.min() * (1 + 1e-5)


@given(st.integers(0, 2**31), st.integers(1, 200))
def test_the_first_of_the_nearest(seed, count):
    random = np.random.default_rng(seed)
    points, click = random.integers(-4, 4, (count, 3)).astype(np.float32), random.integers(-4, 4, 3)
    assert nearest_row(points, click.astype(np.float32)) == squared_distances(points, click.astype(float)).argmin()


@pytest.mark.parametrize(
    ("points", "click", "message"),
    [
        (POINTS, [np.nan, 0, 0], r"the click at \[nan, 0\.0, 0\.0\] m is not finite"),
        (POINTS, [0, np.inf, 0], "is not finite"),
        (
            POINTS,
            [0, 0, 0.25],
            r"the click at \[0\.0, 0\.0, 0\.25\] m is 0\.25 m from the nearest point.* at most 0\.2 m",
        ),
        (POINTS, [1e30, 0, 0], r"is 1e\+30 m from the nearest point"),
        (POINTS[:0], [0, 0, 0], "there is nothing to click on: the cloud has no points"),
    ],
)
def test_refused(points, click, message):
    with pytest.raises(PromptError, match=message):
        snap(points, np.array(click, np.float64), 0.2)
