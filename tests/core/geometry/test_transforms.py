from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seg3d_core.errors import InputError
from seg3d_core.geometry.transforms import apply, check_rigid, from_quaternion, interpolate, invert, to_quaternion

TURN_Z = np.array([[0.0, -1, 0, 1], [1, 0, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]])
vectors = arrays(np.float64, 3, elements=st.floats(-10, 10))
quaternions = arrays(np.float64, 4, elements=st.floats(-1, 1))


@st.composite
def poses(draw: st.DrawFn) -> np.ndarray:
    xyzw = draw(quaternions)
    assume(np.linalg.norm(xyzw) > 0.1)
    return from_quaternion(draw(vectors), xyzw)


def test_quarter_turn_by_hand() -> None:
    half = np.sqrt(0.5)
    T = from_quaternion(np.array([1.0, 2, 3]), np.array([0, 0, half, half]))
    np.testing.assert_allclose(T, TURN_Z, atol=1e-15)
    np.testing.assert_allclose(apply(T, np.array([[1, 0, 0]], np.float32)), [[1, 3, 3]])
    translation, xyzw = to_quaternion(T)
    np.testing.assert_allclose(translation, [1, 2, 3])
    np.testing.assert_allclose(xyzw, [0, 0, half, half])


@given(poses(), arrays(np.float32, (5, 3), elements=st.floats(-10, 10, width=32)))
def test_inverse_undoes(T: np.ndarray, points: np.ndarray) -> None:
    np.testing.assert_allclose(invert(T) @ T, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(apply(invert(T), apply(T, points)), points, atol=1e-5)
    np.testing.assert_array_equal(invert(invert(T))[3], [0, 0, 0, 1])


@given(poses())
def test_quaternion_round_trip(T: np.ndarray) -> None:
    translation, xyzw = to_quaternion(T)
    assert xyzw[3] >= 0
    np.testing.assert_allclose(from_quaternion(translation, xyzw), T, atol=1e-12)
    np.testing.assert_allclose(from_quaternion(translation, -3 * xyzw), T, atol=1e-12)


@given(poses(), poses(), st.floats(0, 1))
def test_interpolation_is_rigid_symmetric_and_starts_and_ends_right(a: np.ndarray, b: np.ndarray, f: float) -> None:
    angle = np.arccos(np.clip((np.trace(a[:3, :3].T @ b[:3, :3]) - 1) / 2, -1, 1))
    assume(angle < 3.1)  # opposite rotations have no shorter way
    middle = interpolate(a, b, f)
    check_rigid(middle, "middle")
    np.testing.assert_allclose(interpolate(b, a, 1 - f), middle, atol=1e-6)
    np.testing.assert_allclose(interpolate(a, b, 0.0), a, atol=1e-12)
    np.testing.assert_allclose(interpolate(a, b, 1.0), b, atol=1e-9)


def test_interpolation_turns_at_constant_speed() -> None:
    quarter = interpolate(np.eye(4), TURN_Z, 0.25)
    cos, sin = np.cos(np.pi / 8), np.sin(np.pi / 8)
    np.testing.assert_allclose(quarter[:3, :3], [[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], atol=1e-12)
    np.testing.assert_allclose(quarter[:3, 3], [0.25, 0.5, 0.75])


@pytest.mark.parametrize(
    ("T", "message"),
    [
        (np.full((4, 4), np.nan), "T_a_b has 16 of 16 values"),
        (np.diag([2.0, 2, 2, 1]), "not rigid: .* = 3, at most 0.001"),
        (np.diag([1.0, 1, -1, 1]), "mirrors: det R = -1"),
        (np.ones((4, 4)), "last row"),
        (np.zeros((4, 4)), "last row"),
    ],
)
def test_what_is_not_rigid_is_refused(T: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_rigid(T, "T_a_b")


def test_quaternions_without_rotation_are_refused() -> None:
    with pytest.raises(InputError, match="length 0"):
        from_quaternion(np.zeros(3), np.zeros(4))
    with pytest.raises(InputError, match="not finite"):
        from_quaternion(np.array([np.nan, 0, 0]), np.array([0.0, 0, 0, 1]))
