from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seg3d_core.errors import InputError
from seg3d_core.geometry.neighbours import farthest_points, nearest

clouds = arrays(np.float32, st.tuples(st.integers(3, 40), st.just(3)), elements=st.integers(-3, 3).map(float))


def test_farthest_points_of_a_line_by_hand() -> None:
    points = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0], [4, 0, 0]], np.float32)
    assert farthest_points(points, 4).tolist() == [0, 4, 2, 1]  # 1 and 3 tie
    assert farthest_points(points, 2, start=4).tolist() == [4, 0]


@given(clouds)
def test_each_choice_is_the_farthest_from_those_before(points: np.ndarray) -> None:
    chosen = farthest_points(points, len(points) // 2)
    for i in range(1, len(chosen)):
        distance = np.linalg.norm(points[:, None] - points[chosen[:i]], axis=-1).min(axis=1)
        assert chosen[i] == np.flatnonzero(np.isclose(distance, distance.max(), atol=1e-6))[0]


@given(clouds, arrays(np.float32, (4, 3), elements=st.floats(-3, 3, width=32)))
def test_nearest_equals_all_distances_sorted(points: np.ndarray, queries: np.ndarray) -> None:
    indices, distances_m = nearest(points, queries, 3)
    every = np.linalg.norm(queries[:, None].astype(np.float64) - points, axis=-1)
    np.testing.assert_allclose(distances_m, np.sort(every, axis=1)[:, :3], atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(every, indices, axis=1), distances_m, atol=1e-6)


def test_equal_distances_come_in_the_order_of_the_points() -> None:
    points = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, 0, 0]], np.float32)
    indices, distances_m = nearest(points, np.zeros((1, 3), np.float32), 4)
    assert indices.tolist() == [[3, 0, 1, 2]]
    assert distances_m.tolist() == [[0, 1, 1, 1]]


def test_one_neighbour_keeps_its_axis() -> None:
    indices, distances_m = nearest(np.eye(3, dtype=np.float32), np.zeros((2, 3), np.float32), 1)
    assert indices.shape == distances_m.shape == (2, 1)


@pytest.mark.parametrize("count", [0, 4])
def test_counts_that_do_not_fit_are_refused(count: int) -> None:
    points = np.eye(3, dtype=np.float32)
    with pytest.raises(InputError, match=f"{count} farthest points were asked of 3 points"):
        farthest_points(points, count)
    with pytest.raises(InputError, match=f"{count} nearest neighbours were asked of 3 points"):
        nearest(points, points, count)
    with pytest.raises(InputError, match="start point 7"):
        farthest_points(points, 1, start=7)
