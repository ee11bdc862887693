"""Rigid transforms as 4x4 float64 matrices: ``T_a_b`` maps coordinates in b to coordinates in a."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64
from scipy.spatial.transform import Rotation

from seg3d_core.errors import InputError

_RIGID_TOLERANCE = 1e-3
"""Largest entry of |R^T R - I|: published poses carry 4 to 6 digits, a scaled or mirrored matrix is off by far more."""


def apply(T: Float64[np.ndarray, "4 4"], points: Float32[np.ndarray, "N 3"]) -> Float32[np.ndarray, "N 3"]:
    """Points mapped by ``T``; computed in double precision, so that far-away frames lose nothing."""
    mapped: Float64[np.ndarray, "N 3"] = points @ T[:3, :3].T + T[:3, 3]
    return mapped.astype(np.float32)


def invert(T: Float64[np.ndarray, "4 4"]) -> Float64[np.ndarray, "4 4"]:
    """``T_b_a`` of ``T_a_b``; rigid transforms only."""
    inverse = np.eye(4)
    inverse[:3, :3] = T[:3, :3].T
    inverse[:3, 3] = -T[:3, :3].T @ T[:3, 3]
    return inverse


def from_quaternion(
    translation: Float64[np.ndarray, "3"], xyzw: Float64[np.ndarray, "4"]
) -> Float64[np.ndarray, "4 4"]:
    """Transform of a translation (m) and a quaternion (x, y, z, w) of any length but 0.

    Raises:
        InputError: a value is not finite, or the quaternion is shorter than 1e-6 and turns by no known angle.
    """
    if not (np.isfinite(translation).all() and np.isfinite(xyzw).all()):
        raise InputError(f"pose is not finite: translation {translation.tolist()} m, quaternion {xyzw.tolist()} (xyzw)")
    length = float(np.linalg.norm(xyzw))
    if length < 1e-6:
        raise InputError(f"quaternion {xyzw.tolist()} (xyzw) has length {length:g}, it must have length 1")
    T = np.eye(4)
    T[:3, :3] = Rotation.from_quat(xyzw).as_matrix()
    T[:3, 3] = translation
    return T


def to_quaternion(T: Float64[np.ndarray, "4 4"]) -> tuple[Float64[np.ndarray, "3"], Float64[np.ndarray, "4"]]:
    """Translation (m) and unit quaternion (x, y, z, w), w >= 0."""
    return T[:3, 3].copy(), Rotation.from_matrix(T[:3, :3]).as_quat(canonical=True)


def interpolate(
    T_a: Float64[np.ndarray, "4 4"], T_b: Float64[np.ndarray, "4 4"], fraction: float
) -> Float64[np.ndarray, "4 4"]:
    """Between ``T_a`` (fraction 0) and ``T_b`` (1): straight line and the shorter turn at constant speed (slerp)."""
    turn = Rotation.from_matrix(T_a[:3, :3].T @ T_b[:3, :3]).as_rotvec()
    T = np.eye(4)
    T[:3, :3] = T_a[:3, :3] @ Rotation.from_rotvec(fraction * turn).as_matrix()
    T[:3, 3] = (1 - fraction) * T_a[:3, 3] + fraction * T_b[:3, 3]
    return T


def check_rigid(T: Float64[np.ndarray, "4 4"], name: str) -> None:
    """Refuse what is not a rotation and a translation; ``name`` is said in the message.

    Raises:
        InputError: not finite, scaled, sheared, mirrored, or with a last row other than 0 0 0 1.
    """
    if T.shape != (4, 4):
        raise InputError(f"{name} has shape {T.shape}, expected (4, 4)")
    if not np.isfinite(T).all():
        raise InputError(f"{name} has {int((~np.isfinite(T)).sum())} of 16 values that are not finite")
    if not np.allclose(T[3], (0, 0, 0, 1), atol=1e-9):
        raise InputError(f"{name} has last row {T[3].tolist()}, expected [0, 0, 0, 1]")
    R = T[:3, :3]
    error = float(np.abs(R.T @ R - np.eye(3)).max())
    if error > _RIGID_TOLERANCE:
        raise InputError(f"{name} is not rigid: |R^T R - I| = {error:.3g}, at most {_RIGID_TOLERANCE:g} is allowed")
    if np.linalg.det(R) < 0:
        raise InputError(f"{name} mirrors: det R = {np.linalg.det(R):.3g}, it must be 1")
