from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation

from seg3d_core.errors import InputError
from seg3d_core.geometry.boxes import EDGES, oriented_box, oriented_boxes
from seg3d_core.geometry.boxes_kernels import outer_points

CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) / 2
finite = st.floats(-100, 100, width=32)


def box_points(size: tuple[float, float, float], yaw: float, center: tuple[float, float, float]) -> np.ndarray:
    rng = np.random.default_rng(0)
    inside = rng.uniform(-0.5, 0.5, (500, 3))
    rotation = Rotation.from_euler("z", yaw).as_matrix()
    return (np.concatenate([CORNERS, inside]) * size @ rotation.T + center).astype(np.float32)


@pytest.mark.parametrize("yaw", [0.0, 0.3, -0.7, 1.2, -1.5])
def test_box_of_a_turned_box_is_that_box(yaw: float) -> None:
    box = oriented_box(box_points((2.0, 0.5, 1.0), yaw, (3, -4, 5)))
    np.testing.assert_allclose(box.size, (2.0, 0.5, 1.0), atol=1e-5)
    np.testing.assert_allclose(box.center, (3, -4, 5), atol=1e-5)
    np.testing.assert_allclose(box.T_world_box[:3, :3], Rotation.from_euler("z", yaw).as_matrix(), atol=1e-5)


def test_up_may_be_any_direction() -> None:
    points = box_points((2.0, 0.5, 1.0), 0.4, (0, 0, 0))
    turn = Rotation.from_euler("xyz", (1.1, 0.4, -2.0)).as_matrix()
    box = oriented_box((points @ turn.T).astype(np.float32), up=tuple(3 * turn[:, 2]))
    np.testing.assert_allclose(box.size, (2.0, 0.5, 1.0), atol=1e-5)
    np.testing.assert_allclose(box.T_world_box[:3, 2], turn[:, 2], atol=1e-6)


def test_far_from_the_origin_the_size_stays() -> None:
    points = box_points((2.0, 0.5, 1.0), 0.4, (4096, -8192, 100))
    np.testing.assert_allclose(oriented_box(points).size, (2.0, 0.5, 1.0), atol=2e-3)


@pytest.mark.parametrize(
    ("points", "size"),
    [
        ([[1, 2, 3]], (0, 0, 0)),
        ([[1, 2, 3]] * 5, (0, 0, 0)),
        ([[0, 0, 0], [3, 4, 0]], (5, 0, 0)),
        ([[0, 0, 0], [3, 4, 2], [1.5, 2, 1]], (5, 0, 2)),
        ([[0, 0, 0], [0, 0, 2]], (0, 0, 2)),
    ],
)
def test_points_without_volume(points: list[list[float]], size: tuple[float, float, float]) -> None:
    np.testing.assert_allclose(oriented_box(np.array(points, np.float32)).size, size, atol=1e-6)


def test_edges_join_corners_that_differ_in_one_coordinate() -> None:
    corners = oriented_box(box_points((3.0, 2.0, 1.0), 0.0, (0, 0, 0))).corners()
    lengths = np.linalg.norm(np.diff(corners[EDGES], axis=1)[:, 0], axis=1)
    np.testing.assert_allclose(sorted(lengths), [1] * 4 + [2] * 4 + [3] * 4, atol=1e-5)


@given(arrays(np.float32, st.tuples(st.integers(1, 40), st.just(3)), elements=finite))
@settings(deadline=None, max_examples=200)
def test_all_points_are_inside_and_no_slower_search_finds_a_smaller_base(points: np.ndarray) -> None:
    box = oriented_box(points)
    R = box.T_world_box[:3, :3]
    np.testing.assert_allclose(R.T @ R, np.eye(3), atol=1e-9)
    assert np.linalg.det(R) == pytest.approx(1)
    assert box.size[0] >= box.size[1] - 1e-9
    local = (points.astype(np.float64) - box.center) @ R
    assert (np.abs(local) <= box.size / 2 + 1e-6 * (1 + np.abs(points).max())).all()
    yaw = np.linspace(0, np.pi / 2, 181)
    turned = points[:, :2].astype(np.float64) @ np.stack([np.cos(yaw), np.sin(yaw)])
    across = points[:, :2].astype(np.float64) @ np.stack([-np.sin(yaw), np.cos(yaw)])
    smallest = (np.ptp(turned, axis=0) * np.ptp(across, axis=0)).min()
    assert box.size[0] * box.size[1] <= smallest * (1 + 1e-6) + 1e-6


def test_no_points_and_no_direction_are_refused() -> None:
    with pytest.raises(InputError, match="0 points, at least 1"):
        oriented_box(np.zeros((0, 3), np.float32))
    with pytest.raises(InputError, match=r"up = \(0.0, 0.0, 0.0\)"):
        oriented_box(np.zeros((1, 3), np.float32), up=(0.0, 0.0, 0.0))


def test_a_wall_from_above_keeps_its_hull_and_little_else():
    rng = np.random.default_rng(0)
    along, across = rng.uniform(0, 4, 50_000), rng.normal(scale=0.003, size=50_000)
    plane = np.array([[0.8, -0.6], [0.6, 0.8]]) @ np.stack([along, across])
    outer = outer_points(plane)
    assert set(ConvexHull(plane.T).vertices.tolist()) <= set(outer.tolist())
    assert len(outer) < 5_000
    repeated = np.repeat(plane[:, :300], 5, axis=1)
    corners = {tuple(repeated[:, vertex]) for vertex in ConvexHull(repeated.T).vertices}
    assert corners <= set(map(tuple, repeated[:, outer_points(repeated)].T))


def test_many_boxes_are_what_each_is_alone() -> None:
    groups = [
        box_points((2.0, 0.5, 1.0), 0.3, (3, -4, 5)),
        np.float32([[1, 2, 3]]),
        box_points((1, 1, 1), 1, (0, 0, 0)),
    ]
    starts = np.cumsum([0, *(len(points) for points in groups)])
    boxes = oriented_boxes(np.concatenate(groups), starts, (0.1, 0.0, 2.0))
    assert len(boxes) == 3
    for row, points in enumerate(groups):
        alone = oriented_box(points, (0.1, 0.0, 2.0))
        np.testing.assert_array_equal(boxes[row].T_world_box, alone.T_world_box)
        np.testing.assert_array_equal(boxes[row].size, alone.size)
        np.testing.assert_allclose(boxes.corners()[row], alone.corners(), rtol=0, atol=1e-12)


def test_a_group_without_points_has_no_box() -> None:
    with pytest.raises(InputError, match="0 points"):
        oriented_boxes(np.zeros((2, 3), np.float32), np.array([0, 2, 2]))
