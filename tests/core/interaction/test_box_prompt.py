"""Points in boxes, and the click that stands for a region."""

from __future__ import annotations

import numpy as np
import pytest

from seg3d_core.errors import PromptError
from seg3d_core.interaction.box_prompt import points_in_box
from seg3d_core.interaction.deepest import deepest_row
from seg3d_core.learning.clicks import deepest_point

GRID = np.stack(np.meshgrid(*[np.arange(10)] * 3, indexing="ij"), -1).reshape(-1, 3).astype(np.float32)


def test_corners_in_any_order():
    for a, b in (([2, 3, 4], [5, 6, 7]), ([5, 3, 7], [2, 6, 4])):
        inside = points_in_box(GRID, np.array(a, float), np.array(b, float), 0.0)
        assert inside.sum() == 4**3
        assert GRID[inside].min(axis=0).tolist() == [2, 3, 4]
    assert points_in_box(GRID, np.full(3, 2.0), np.full(3, 5.0), 1.0).sum() == 6**3


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (
            [20, 0, 0],
            [21, 2, 4],
            r"there are no points in the box of 1\.2 x 2\.2 x 4\.2 m, the nearest is 10\.9 m from",
        ),
        (
            [0, 0, 0],
            [np.nan, 1, 1],
            r"the corners of the box are not finite: \[\[0\.0, 0\.0, 0\.0\], \[nan, 1\.0, 1\.0\]\]",
        ),
    ],
)
def test_refused(a, b, message):
    with pytest.raises(PromptError, match=message):
        points_in_box(GRID, np.array(a, float), np.array(b, float), 0.1)


def test_the_deepest_point_is_that_of_simulated_clicks():
    random = np.random.default_rng(3)
    points = random.random((3000, 3)).astype(np.float32)
    region = points_in_box(points, np.zeros(3), np.array([0.4, 0.5, 0.6]), 0.0)
    assert deepest_row(points, region) == deepest_point(points, region)[0]


def test_large_regions_are_thinned_and_still_deep():
    random = np.random.default_rng(4)
    points = random.random((200_000, 3)).astype(np.float32) * 2
    region = np.linalg.norm(points - 1, axis=1) < 0.8
    assert np.linalg.norm(points[deepest_row(points, region)] - 1) < 0.1


def test_a_region_without_outside_has_its_middle():
    assert GRID[deepest_row(GRID, np.ones(1000, bool))].tolist() == [4, 4, 4]
    one = np.arange(1000) == 17
    assert deepest_row(GRID, one) == 17
