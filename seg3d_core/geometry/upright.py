"""Clouds turned so that what is up in them is z: as rooms stand in which networks were trained."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64
from scipy.spatial.transform import Rotation

from seg3d_core.errors import InputError

_UPRIGHT = 1 - 1e-9
"""Cosine between up and z from which on nothing is turned."""


def upright(points: Float32[np.ndarray, "N 3"], up: Float64[np.ndarray, " 3"]) -> Float32[np.ndarray, "N 3"]:
    """``points`` turned about the origin, by the least angle that brings ``up`` (any length but 0) to z."""
    R = upright_rotation(up)
    if np.array_equal(R, np.eye(3)):
        return points
    turned: Float32[np.ndarray, "N 3"] = (points.astype(np.float64) @ R.T).astype(np.float32)
    return turned


def upright_rotation(up: Float64[np.ndarray, " 3"]) -> Float64[np.ndarray, "3 3"]:
    """The least rotation that brings ``up`` to z.

    Raises:
        InputError: ``up`` is no direction.
    """
    length = float(np.linalg.norm(up))
    if not (np.isfinite(length) and length > 0):
        raise InputError(f"up is {up.tolist()}, it must be a direction")
    x, y, z = (up / length).tolist()
    if z > _UPRIGHT:
        return np.eye(3)
    across = float(np.hypot(x, y))
    axis = np.array([y, -x, 0.0]) / across if across > 0 else np.array([1.0, 0.0, 0.0])
    matrix: Float64[np.ndarray, "3 3"] = Rotation.from_rotvec(axis * np.arctan2(across, z)).as_matrix()
    return matrix
