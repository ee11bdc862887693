"""Thinning and neighbours against slow, obvious versions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from seg3d_core.errors import InputError
from seg3d_core.geometry import surface
from seg3d_core.geometry.surface import nearest_within, point_spacing, thin
from seg3d_core.geometry.voxels import voxel_keys
from seg3d_core.types import Cloud


def cloud_of(count: int, seed: int, extent_m: float = 0.5) -> Cloud:
    rng = np.random.default_rng(seed)
    points = (rng.random((count, 3)) * extent_m - extent_m / 2).astype(np.float32)
    normals = rng.normal(size=(count, 3))
    normals = (normals / np.linalg.norm(normals, axis=1, keepdims=True)).astype(np.float32)
    return Cloud(points, rgb=rng.random((count, 3)).astype(np.float32), normals=normals)


@given(st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_thinning_averages_each_voxel(count: int, seed: int) -> None:
    cloud, size = cloud_of(count, seed), 0.1
    surface = thin(cloud, size)
    cells = np.floor(cloud.points.astype(np.float64) / size).astype(int)
    occupied = {tuple(cell) for cell in cells.tolist()}
    assert len(surface) == len(occupied)
    assert surface.rgb is not None and surface.normals is not None
    for sample in range(len(surface)):
        members = surface.point_to_sample == sample
        assert len({tuple(cell) for cell in cells[members].tolist()}) == 1
        np.testing.assert_allclose(surface.points[sample], cloud.points[members].mean(0), atol=1e-6)
        np.testing.assert_allclose(surface.rgb[sample], cloud.rgb[members].mean(0), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(surface.normals, axis=1), 1, atol=1e-5)


@given(st.integers(1, 200), st.integers(0, 2**32 - 1))
def test_order_of_points_does_not_matter(count: int, seed: int) -> None:
    cloud = cloud_of(count, seed)
    order = np.random.default_rng(seed).permutation(count)
    surface, shuffled = thin(cloud, 0.1), thin(cloud.select(order), 0.1)
    np.testing.assert_allclose(shuffled.points, surface.points, atol=1e-7)
    np.testing.assert_array_equal(shuffled.point_to_sample, surface.point_to_sample[order])


@settings(max_examples=30)
@given(st.integers(1, 300), st.integers(1, 12), st.floats(0.03, 1.0), st.floats(0.02, 0.3), st.integers(0, 2**32 - 1))
def test_neighbours_equal_those_of_a_tree(count: int, k: int, radius: float, cell: float, seed: int) -> None:
    points = cloud_of(count, seed).points
    found = nearest_within(points, k, radius, cell)
    doubles = points.astype(np.float64)
    distances, indices = cKDTree(doubles).query(doubles, k=np.arange(1, k + 2), distance_upper_bound=radius)
    distances, indices = distances[:, 1:], indices[:, 1:]
    expected = np.where(np.isfinite(distances), indices, -1)
    np.testing.assert_array_equal(found, expected)


def test_equal_distances_go_to_the_first_point() -> None:
    points = np.array([[2, 2, 2], [3, 2, 2], [1, 2, 2], [2, 3, 2]], np.float32)
    np.testing.assert_array_equal(nearest_within(points, 2, 1.5, 10.0)[0], [1, 2])


def test_spacing_of_a_grid() -> None:
    i, j = np.meshgrid(np.arange(300), np.arange(300))
    points = np.stack([i * 0.005, j * 0.005 * 0.8, j * 0.005 * 0.6], -1).reshape(-1, 3).astype(np.float32)
    assert point_spacing(points) == pytest.approx(0.005, rel=0.2)


def test_points_out_of_reach_are_refused() -> None:
    with pytest.raises(InputError, match=r"beyond 10485\.8 m"):
        thin(Cloud(np.array([[1e5, 0, 0]], np.float32)), 0.01)


@settings(max_examples=30)
@given(st.integers(1, 9), st.floats(0.02, 0.2), st.integers(0, 2**32 - 1))
def test_equal_distances_go_to_the_earlier_cell_then_the_earlier_point(k: int, cell: float, seed: int) -> None:
    """Points on a lattice, some of them twice: nearly every distance occurs several times."""
    rng = np.random.default_rng(seed)
    radius, spacing = 0.1, 1 / 32
    points = (rng.integers(0, 6, (120, 3)) * spacing).astype(np.float32)
    order = np.argsort(voxel_keys(points, cell), kind="stable")
    squares = ((points[:, None].astype(np.float64) - points[None]) ** 2).sum(2)
    np.fill_diagonal(squares, np.inf)
    expected = np.full((len(points), k), -1)
    for point, row in enumerate(squares):
        near = order[np.argsort(row[order], kind="stable")][:k]
        near = near[row[near] <= radius**2]
        expected[point, : len(near)] = near
    np.testing.assert_array_equal(nearest_within(points, k, radius, cell), expected)


def test_many_points_in_one_cell() -> None:
    points = (np.random.default_rng(0).random((700, 3)) * 0.05).astype(np.float32)
    doubles = points.astype(np.float64)
    np.testing.assert_array_equal(nearest_within(points, 5, 1.0, 0.5), cKDTree(doubles).query(doubles, 6)[1][:, 1:])


def test_several_threads_find_what_one_does(monkeypatch):
    points = np.random.default_rng(3).uniform(0, 2, (30_000, 3)).astype(np.float32)
    monkeypatch.setattr(surface, "usable_cores", lambda: 1)
    alone = nearest_within(points, 6, 0.3, 0.1)
    monkeypatch.setattr(surface, "usable_cores", lambda: 4)
    np.testing.assert_array_equal(nearest_within(points, 6, 0.3, 0.1), alone)
