"""Boxes around objects: upright, turned about the vertical to be as small as possible."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from seg3d_core.errors import InputError
from seg3d_core.geometry.boxes_kernels import convex_hull, outer_points, smallest_rectangle

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
    basis = _upright_basis(np.array(up, np.float64))
    # Relative to one of them: far from the origin, squares of coordinates would lose the millimetres.
    origin = points[0].astype(np.float64)
    # One row per axis: numpy finds extrema along rows many times faster than along columns of three.
    offsets = points.T.astype(np.float64, order="C") - origin[:, None]
    basis = basis @ _yaw((basis.T @ offsets)[:2])
    local = basis.T @ offsets
    low, high = local.min(axis=1), local.max(axis=1)
    T = np.eye(4)
    T[:3, :3] = basis
    T[:3, 3] = origin + basis @ ((low + high) / 2)
    return OrientedBox(T[:3, 3].copy(), high - low, T)


def _upright_basis(up: Float64[np.ndarray, "3"]) -> Float64[np.ndarray, "3 3"]:
    """Right-handed axes in columns with ``up`` last and the first as near to the frame's x axis as possible."""
    length = np.linalg.norm(up)
    if not 0 < length < np.inf:
        raise InputError(f"up = {tuple(up.tolist())} has no direction")
    z = up / length
    x = np.eye(3)[0 if abs(z[0]) < 0.9 else 1]
    x = x - z * (x @ z)
    x = x / np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z], axis=1)


def _yaw(plane: Float64[np.ndarray, "2 N"]) -> Float64[np.ndarray, "3 3"]:
    """Turn about the third axis after which the longer side of the smallest rectangle lies along the first.

    Of the two directions along that side, the one within 90 degrees of the first axis is taken: boxes of one object
    do not flip from one moment to the next.
    """
    outer = np.ascontiguousarray(plane[:, outer_points(plane)].T)
    hull = convex_hull(outer[np.lexsort((outer[:, 1], outer[:, 0]))])
    c, s = smallest_rectangle(hull)
    along, across = hull @ (c, s), hull @ (-s, c)
    if np.ptp(across) > np.ptp(along):
        c, s = -s, c
    if c < 0 or (c == 0 and s < 0):
        c, s = -c, -s
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
