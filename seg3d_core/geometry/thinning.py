"""Fewer points, evenly spread, and the way back to all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from seg3d_core.errors import InputError
from seg3d_core.geometry.thinning_kernels import nearest_of_voxels
from seg3d_core.geometry.voxels import KEY_BITS, Voxels, voxelize

_ENOUGH = 0.8
"""Of the points that are allowed: a voxel size that leaves so many is not searched any further."""

_TRIES = 12


@dataclass(frozen=True, eq=False)
class Thinned:
    """K of N points.

    Attributes:
        kept: (K,) ascending rows of the points that stay.
        nearest: (N,) which of the kept is nearest to each point, 0..K-1; of equally near ones any.
    """

    kept: Int64[np.ndarray, " K"]
    nearest: Int64[np.ndarray, " N"]

    def __len__(self) -> int:
        return len(self.kept)


def thin(points: Float32[np.ndarray, "N 3"], max_points: int) -> Thinned:
    """All ``points`` where there are no more than ``max_points``, else one of each voxel: the first.

    The voxels are about as small as the limit allows; points that crowd in few places may leave far fewer.

    Raises:
        InputError: ``max_points`` is below 1.
    """
    if max_points < 1:
        raise InputError(f"{max_points} points were asked for, at least 1 must stay")
    if len(points) <= max_points:
        rows = np.arange(len(points))
        return Thinned(rows, rows)
    # From their own corner, so that points far from the origin are within reach of voxel numbers.
    local = points - points.min(axis=0)
    voxels, size_m = _voxels_within(local, max_points)
    nearest = nearest_of_voxels(local, local[voxels.first_point], voxels.point_to_voxel, size_m)
    return Thinned(voxels.first_point, nearest)


def _voxels_within(local: Float32[np.ndarray, "N 3"], limit: int) -> tuple[Voxels, float]:
    """At most ``limit`` voxels, and their size (m)."""
    # A voxel of everything is always within the limit.
    whole_m = 1.01 * max(float(local.max()), float(np.finfo(np.float32).tiny))
    found = voxelize(local, whole_m), whole_m
    size_m = whole_m * 2 / float(np.sqrt(limit))
    for _ in range(_TRIES):
        voxels = voxelize(local, size_m)
        if len(found[0]) < len(voxels) <= limit:
            found = voxels, size_m
            if len(voxels) >= _ENOUGH * limit:
                break
        # As if the points lay on surfaces.
        size_m = max(size_m * float(np.sqrt(len(voxels) / (0.9 * limit))), whole_m / 2 ** (KEY_BITS - 2))
    return found
