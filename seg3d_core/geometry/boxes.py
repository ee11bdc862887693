"""Boxes around objects: upright, turned about the vertical to be as small as possible."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float32, Float64

from seg3d_core.errors import InputError
from seg3d_core.geometry.boxes_kernels import upright_box

EDGES = np.array([(a, a | axis) for axis in (1, 2, 4) for a in range(8) if not a & axis])
"""(12, 2) corners that each edge joins, in the order of ``OrientedBox.corners``."""


@dataclass(frozen=True, eq=False)
class OrientedBox:
    """A box in the frame of the points it was made from ("world").

    Attributes:
        center: (3,) m.
        size: (3,) full edge lengths along the box's own x, y, z, m; x is the longer horizontal side, z is up.
        T_world_box: (4, 4) from the box's frame (origin in the centre) to the world.
    """

    center: Float64[np.ndarray, "3"]
    size: Float64[np.ndarray, "3"]
    T_world_box: Float64[np.ndarray, "4 4"]

    def corners(self) -> Float64[np.ndarray, "8 3"]:
        """Corners in the world, m; bits 0, 1, 2 of a corner's number say whether it is at +x, +y, +z of the box."""
        signs = (np.arange(8)[:, None] >> np.arange(3) & 1) - 0.5
        corners: Float64[np.ndarray, "8 3"] = (signs * self.size) @ self.T_world_box[:3, :3].T + self.center
        return corners


def oriented_box(points: Float32[np.ndarray, "N 3"], up: tuple[float, float, float] = (0.0, 0.0, 1.0)) -> OrientedBox:
    """The box around ``points`` that stands upright and has the smallest base.

    Args:
        points: in any frame, m.
        up: the vertical in that frame, any length but 0.

    The sides of the base are exact (rotating callipers on the convex hull), not along principal axes: a box of a box
    is the box itself, however its surface was sampled.

    Raises:
        InputError: there are no points, or ``up`` has no direction.
    """
    if len(points) == 0:
        raise InputError("cannot put a box around 0 points, at least 1 is needed")
    basis = _upright_basis(up)
    c, s, (low, high) = upright_box(points, basis)
    basis = basis @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    T = np.eye(4)
    T[:3, :3] = basis
    T[:3, 3] = points[0] + basis @ ((low + high) / 2)
    return OrientedBox(T[:3, 3].copy(), high - low, T)


@lru_cache(maxsize=8)
def _upright_basis(up: tuple[float, float, float]) -> Float64[np.ndarray, "3 3"]:
    """Right-handed axes in columns with ``up`` last and the first as near to the frame's x axis as possible."""
    length = np.linalg.norm(up)
    if not 0 < length < np.inf:
        raise InputError(f"up = {up} has no direction")
    z = np.array(up, np.float64) / length
    x = np.eye(3)[0 if abs(z[0]) < 0.9 else 1]
    x = x - z * (x @ z)
    x = x / np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z], axis=1)
