from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seg3d_core.errors import InputError
from seg3d_core.geometry.voxels import Voxels, voxel_keys, voxelize
from seg3d_core.geometry.voxels_kernels import group_keys

clouds = arrays(np.float32, st.tuples(st.integers(0, 60), st.just(3)), elements=st.floats(-2, 2, width=32))


def plain_voxelize(points: np.ndarray, voxel_size_m: float) -> Voxels:
    """The definition: a dictionary from floor(p / size) to the number of the voxel."""
    numbers: dict[tuple[int, ...], int] = {}
    first = []
    point_to_voxel = np.zeros(len(points), np.int32)
    for i, point in enumerate(points.astype(np.float64)):
        coordinate = tuple(int(c) for c in np.floor(point / voxel_size_m))
        if coordinate not in numbers:
            numbers[coordinate] = len(numbers)
            first.append(i)
        point_to_voxel[i] = numbers[coordinate]
    coordinates = np.array(list(numbers), np.int32).reshape(-1, 3)
    return Voxels(coordinates, point_to_voxel, np.array(first, np.int64))


def test_by_hand() -> None:
    points = np.array([[0.05, 0, 0], [-0.05, 0, 0], [0.09, 0.01, 0.02], [0.1, 0, 0]], np.float32)
    voxels = voxelize(points, 0.1)
    assert voxels.coordinates.tolist() == [[0, 0, 0], [-1, 0, 0], [1, 0, 0]]
    assert voxels.point_to_voxel.tolist() == [0, 1, 0, 2]
    assert voxels.first_point.tolist() == [0, 1, 3]


@given(clouds, st.sampled_from([0.02, 0.1, 0.5, 3.0]))
def test_equals_the_definition(points: np.ndarray, voxel_size_m: float) -> None:
    ours, plain = voxelize(points, voxel_size_m), plain_voxelize(points, voxel_size_m)
    np.testing.assert_array_equal(ours.coordinates, plain.coordinates)
    np.testing.assert_array_equal(ours.point_to_voxel, plain.point_to_voxel)
    np.testing.assert_array_equal(ours.first_point, plain.first_point)


@given(clouds)
def test_devoxelised_points_lie_in_their_voxels(points: np.ndarray) -> None:
    voxels = voxelize(points, 0.25)
    corners = voxels.coordinates[voxels.point_to_voxel] * 0.25
    assert ((points >= corners) & (points < corners + 0.25)).all()
    np.testing.assert_array_equal(voxels.point_to_voxel[voxels.first_point], np.arange(len(voxels)))


def test_many_points_equal_numpy_unique() -> None:
    points = np.random.default_rng(0).normal(size=(50_000, 3)).astype(np.float32)
    voxels = voxelize(points, 0.05)
    coordinates = np.floor(points.astype(np.float64) / 0.05).astype(np.int32)
    unique, first, inverse = np.unique(coordinates, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    np.testing.assert_array_equal(voxels.coordinates, unique[order])
    np.testing.assert_array_equal(voxels.first_point, first[order])
    np.testing.assert_array_equal(voxels.coordinates[voxels.point_to_voxel], unique[inverse.reshape(-1)])


@given(clouds)
def test_keys_sort_as_coordinates(points: np.ndarray) -> None:
    keys = voxel_keys(points, 0.1)
    coordinates = np.floor(points.astype(np.float64) / 0.1).astype(np.int64)
    order = np.lexsort(coordinates.T[::-1])
    assert (np.diff(keys[order]) >= 0).all()
    assert (keys >= 0).all()


def test_colliding_keys_are_kept_apart() -> None:
    # Equal high bits after the multiplication land in one slot: probing must go on, also past the end of the table.
    keys = np.arange(4096, dtype=np.int64) << 50
    group, first = group_keys(keys)
    np.testing.assert_array_equal(group, np.arange(4096))
    np.testing.assert_array_equal(first, np.arange(4096))


def test_the_ends_of_the_key_range() -> None:
    reach = 2**20
    points = np.array([[-reach, 0, 0], [reach - 1, -reach, reach - 1]], np.float32)
    assert voxelize(points, 1.0).coordinates.tolist() == points.astype(int).tolist()
    for outside in (reach, -reach - 1):
        with pytest.raises(InputError, match=r"point 1 at .* is beyond 1\.04858e\+06 m, the reach of voxels of 1 m"):
            voxelize(np.array([[0, 0, 0], [0, outside, 0]], np.float32), 1.0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_points_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(InputError, match="point 0 at"):
        voxelize(np.array([[0, value, 0]], np.float32), 0.02)


@pytest.mark.parametrize("size", [0.0, -1.0, np.nan, np.inf])
def test_voxel_sizes_that_are_none_are_refused(size: float) -> None:
    with pytest.raises(InputError, match="voxel size is"):
        voxelize(np.zeros((1, 3), np.float32), size)
