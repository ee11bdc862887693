from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg3d_core.geometry.distortion import COEFFICIENTS, distort, undistort


def small(limit: float) -> st.SearchStrategy[float]:
    return st.floats(-limit, limit, allow_nan=False)


REAL_LENSES = {
    "plumb_bob": [0.262383, -0.953104, -0.005358, 0.002628, 1.163314],
    "rational_polynomial": [0.43, -2.64, 0.0007, -0.0004, 1.49, 0.31, -2.47, 1.43],
    "equidistant": [-0.0095, 0.0026, -0.0020, 0.0002],
}


@given(
    coefficients=st.tuples(small(0.1), small(0.02), small(0.005), small(0.005), small(0.005)),
    points=st.lists(st.tuples(small(0.7), small(0.7)), min_size=1, max_size=20),
)
def test_undistort_inverts_brown(coefficients: tuple[float, ...], points: list[tuple[float, float]]) -> None:
    xy = np.array(points)
    back = undistort("plumb_bob", np.array(coefficients), distort("plumb_bob", np.array(coefficients), xy))
    np.testing.assert_allclose(back, xy, atol=1e-7)


@given(
    coefficients=st.tuples(small(0.05), small(0.01), small(0.005), small(0.001)),
    points=st.lists(st.tuples(small(4), small(4)), min_size=1, max_size=20),
)
def test_undistort_inverts_fisheye(coefficients: tuple[float, ...], points: list[tuple[float, float]]) -> None:
    xy = np.array(points)
    back = undistort("equidistant", np.array(coefficients), distort("equidistant", np.array(coefficients), xy))
    np.testing.assert_allclose(back, xy, atol=1e-5)


@pytest.mark.parametrize("model", COEFFICIENTS)
def test_real_lenses_over_their_whole_image(model: str) -> None:
    grid = np.stack(np.meshgrid(np.linspace(-0.62, 0.62, 41), np.linspace(-0.47, 0.47, 31)), -1).reshape(-1, 2)
    coefficients = np.array(REAL_LENSES[model])
    ideal = undistort(model, coefficients, grid)
    assert np.isfinite(ideal).all()
    np.testing.assert_allclose(distort(model, coefficients, ideal), grid, atol=1e-9)


def test_brown_by_hand() -> None:
    # r2 = 0.25; radial = 1 + 0.1*0.25 + 0.2*0.0625 + 0.4*0.015625 = 1.04375
    distorted = distort("plumb_bob", np.array([0.1, 0.2, 0.01, 0.02, 0.4]), np.array([[0.3, 0.4]]))
    x = 0.3 * 1.04375 + 2 * 0.01 * 0.12 + 0.02 * (0.25 + 0.18)
    y = 0.4 * 1.04375 + 0.01 * (0.25 + 0.32) + 2 * 0.02 * 0.12
    np.testing.assert_allclose(distorted, [[x, y]])


def test_fisheye_by_hand() -> None:
    # 45 degrees off axis without coefficients: the image radius is the angle.
    np.testing.assert_allclose(distort("equidistant", np.zeros(4), np.array([[1.0, 0.0]])), [[np.pi / 4, 0]])


def test_optical_axis_stays() -> None:
    for model, coefficients in REAL_LENSES.items():
        np.testing.assert_array_equal(undistort(model, np.array(coefficients), np.zeros((1, 2))), np.zeros((1, 2)))


def test_nan_where_no_ray_leads_there() -> None:
    # Barrel distortion with k1 = -0.3 reaches at most r * (1 - 0.3 r^2) = 0.703 at r = 1.054.
    barrel = np.array([-0.3, 0, 0, 0, 0])
    assert np.isnan(undistort("plumb_bob", barrel, np.array([[0.75, 0.0]]))).all()
    assert np.isfinite(undistort("plumb_bob", barrel, np.array([[0.69, 0.0]]))).all()
    # An ideal fisheye pixel at 100 degrees from the axis looks backwards.
    assert np.isnan(undistort("equidistant", np.zeros(4), np.array([[np.deg2rad(100), 0.0]]))).all()
