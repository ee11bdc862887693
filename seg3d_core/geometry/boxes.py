"""Boxes around objects: upright, turned about the vertical to be as small as possible."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float32, Float64, Int64

from seg3d_core.errors import InputError
from seg3d_core.geometry.boxes_kernels import upright_boxes

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
        corners: Float64[np.ndarray, "8 3"] = _corners(self.center, self.size, self.T_world_box)
        return corners


@dataclass(frozen=True, eq=False)
class OrientedBoxes:
    """Many boxes at once; each as ``OrientedBox`` has it."""

    center: Float64[np.ndarray, "Q 3"]
    size: Float64[np.ndarray, "Q 3"]
    T_world_box: Float64[np.ndarray, "Q 4 4"]

    def __len__(self) -> int:
        return len(self.center)

    def __getitem__(self, row: int) -> OrientedBox:
        return OrientedBox(self.center[row], self.size[row], self.T_world_box[row])

    def corners(self) -> Float64[np.ndarray, "Q 8 3"]:
        """Corners of each in the world, m."""
        return _corners(self.center, self.size, self.T_world_box)


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
    return oriented_boxes(points, np.array([0, len(points)]), up)[0]


def oriented_boxes(
    points: Float32[np.ndarray, "M 3"],
    starts: Int64[np.ndarray, " _"],
    up: tuple[float, float, float] = (0.0, 0.0, 1.0),
) -> OrientedBoxes:
    """``oriented_box`` of each of Q groups of points; group q is ``points[starts[q] : starts[q + 1]]``.

    Raises:
        InputError: a group has no points, or ``up`` has no direction.
    """
    if (np.diff(starts) <= 0).any():
        raise InputError("cannot put a box around 0 points, at least 1 is needed")
    upright = _upright_basis(up)
    turns, extents = upright_boxes(points, starts, upright)
    T = np.tile(np.eye(4), (len(turns), 1, 1))
    T[:, :3, :3] = upright @ _about_z(turns)
    middles = extents.mean(axis=1)
    T[:, :3, 3] = points[starts[:-1]] + np.einsum("qij,qj->qi", T[:, :3, :3], middles)
    return OrientedBoxes(T[:, :3, 3].copy(), extents[:, 1] - extents[:, 0], T)


def _about_z(turns: Float64[np.ndarray, "Q 2"]) -> Float64[np.ndarray, "Q 3 3"]:
    """Rotations by angles of these cosines and sines."""
    c, s = turns.T
    R = np.tile(np.eye(3), (len(turns), 1, 1))
    R[:, 0, 0], R[:, 0, 1], R[:, 1, 0], R[:, 1, 1] = c, -s, s, c
    return R


def _corners(
    center: Float64[np.ndarray, "*Q 3"], size: Float64[np.ndarray, "*Q 3"], T: Float64[np.ndarray, "*Q 4 4"]
) -> Float64[np.ndarray, "*Q 8 3"]:
    signs = (np.arange(8)[:, None] >> np.arange(3) & 1) - 0.5
    turned = (signs * size[..., None, :]) @ np.swapaxes(T[..., :3, :3], -1, -2)
    corners: Float64[np.ndarray, "*Q 8 3"] = turned + center[..., None, :]
    return corners


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
