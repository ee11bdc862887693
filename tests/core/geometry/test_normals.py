from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seg3d_core.geometry.normals import estimate_normals, is_seen_from, passes_against_noise, toward
from seg3d_core.geometry.surface import nearest_within


def fitted_by_svd(points: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """The plain version of ``estimate_normals``."""
    normals = []
    for i, row in enumerate(neighbours):
        patch = points[np.append(i, row[row >= 0])].astype(np.float64)
        normals.append(np.linalg.svd(patch - patch.mean(0))[2][2])
    return np.array(normals)


@given(st.integers(0, 2**32 - 1), st.floats(-1000, 1000))
def test_normals_equal_those_of_a_singular_value_decomposition(seed: int, offset: float) -> None:
    rng = np.random.default_rng(seed)
    points = (rng.random((60, 3)) * [1, 1, 0.1] + round(offset)).astype(np.float32)
    neighbours = nearest_within(points, 8, 10.0, 0.3)
    ours, reference = estimate_normals(points, neighbours), fitted_by_svd(points, neighbours)
    patches = [points[row].astype(np.float64) - points[row].mean(0) for row in neighbours]
    spectra = np.array([np.linalg.svd(patch, compute_uv=False) for patch in patches])
    clear = spectra[:, 2] < 0.5 * spectra[:, 1]
    agreement = np.abs((ours * reference).sum(1))
    assert (agreement[clear] > 0.999).all()


def test_wider_patches_average_noise_away() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random((2, 2000))
    points = np.stack([x, y, rng.normal(0, 0.02, 2000)], 1).astype(np.float32)
    neighbours = nearest_within(points, 12, 1.0, 0.1)
    tilt = [
        float(np.abs(estimate_normals(points, neighbours, np.full(2000, passes))[:, 2]).mean())
        for passes in (1, 2, 4, 8)
    ]
    assert tilt == sorted(tilt)
    assert tilt[0] < 0.95 and tilt[-1] > 0.99


def test_widening_touches_only_what_is_far() -> None:
    points = np.array([[0, 0, 0.5], [0, 0, 1.5], [0, 0, 3.0], [0, 0, 30.0]], np.float32)
    assert passes_against_noise(points, np.zeros(3)).tolist() == [1, 1, 4, 12]
    rng = np.random.default_rng(0)
    points = rng.random((50, 3)).astype(np.float32)
    neighbours = nearest_within(points, 8, 1.0, 0.3)
    passes = np.array([1, 3] * 25)
    widened, plain = estimate_normals(points, neighbours, passes), estimate_normals(points, neighbours)
    np.testing.assert_array_equal(widened[passes == 1], plain[passes == 1])
    assert (widened[passes == 3] != plain[passes == 3]).any()


def test_a_line_and_a_heap_have_no_normal() -> None:
    line = np.zeros((5, 3), np.float32)
    line[:, 0] = np.arange(5)
    neighbours = np.array([[1, 2, -1], [0, 2, 3], [1, 3, -1], [2, 4, -1], [3, 2, -1]], np.int32)
    assert (estimate_normals(line, neighbours) == 0).all()
    assert (estimate_normals(np.ones((5, 3), np.float32), neighbours) == 0).all()


def test_fewer_than_two_neighbours_define_no_plane() -> None:
    points = np.eye(3, dtype=np.float32)
    assert (estimate_normals(points, np.array([[1], [-1], [0]], np.int32)) == 0).all()


def test_normals_turn_toward_the_viewpoint() -> None:
    points = np.array([[0, 0, 1], [0, 0, 3]], np.float32)
    normals = np.array([[0, 0, 1], [0, 0, 1]], np.float32)
    np.testing.assert_array_equal(
        toward(normals, points, np.array([0.0, 0.0, 2.0])), np.array([[0, 0, 1], [0, 0, -1]], np.float32)
    )


def sphere(radius: float, count: int = 20_000) -> np.ndarray:
    directions = np.random.default_rng(0).normal(size=(count, 3))
    return (radius * directions / np.linalg.norm(directions, axis=1, keepdims=True)).astype(np.float32)


def test_what_hides_behind_something_was_not_seen_from_there() -> None:
    shell, spacing = sphere(1.0), 0.025
    assert is_seen_from(shell, np.zeros(3), spacing)
    assert not is_seen_from(shell, np.array([0.0, 0.0, -5.0]), spacing), "the far half hides behind the near half"
    assert not is_seen_from(np.concatenate([shell, sphere(2.0)]), np.zeros(3), spacing)
    assert not is_seen_from(sphere(0.05), np.zeros(3), spacing), "too near to tell"
