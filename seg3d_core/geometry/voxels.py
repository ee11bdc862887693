"""Quantisation of points into cubic voxels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int32, Int64

from seg3d_core.errors import InputError
from seg3d_core.geometry.voxels_kernels import group_keys, pack_points, unpack_keys

KEY_BITS = 21
"""Bits per axis of a packed voxel key: coordinates from -2^20 to 2^20 - 1, 21 km each way at 2 cm."""


@dataclass(frozen=True, eq=False)
class Voxels:
    """Occupied voxels of a cloud, V of them, numbered in the order in which the points first enter them.

    Attributes:
        coordinates: (V, 3) floor(point / voxel size).
        point_to_voxel: (N,) voxel of each point.
        first_point: (V,) the first point of each voxel, its representative; ascending.
    """

    coordinates: Int32[np.ndarray, "V 3"]
    point_to_voxel: Int32[np.ndarray, " N"]
    first_point: Int64[np.ndarray, " V"]

    def __len__(self) -> int:
        return len(self.coordinates)


def voxelize(points: Float32[np.ndarray, "N 3"], voxel_size_m: float) -> Voxels:
    """The voxels of ``points`` (m), with maps both ways. An empty cloud has no voxels.

    Raises:
        InputError: the voxel size is not positive, or a point is not finite or too far from the origin for a key.
    """
    keys = voxel_keys(points, voxel_size_m)
    point_to_voxel, first_point = group_keys(keys)
    return Voxels(unpack_keys(keys[first_point]), point_to_voxel, first_point)


def voxel_keys(points: Float32[np.ndarray, "N 3"], voxel_size_m: float) -> Int64[np.ndarray, " N"]:
    """One non-negative integer per voxel; keys sort as their coordinates do (x, then y, then z).

    Raises:
        InputError: as ``voxelize``.
    """
    if not (voxel_size_m > 0 and np.isfinite(voxel_size_m)):
        raise InputError(f"voxel size is {voxel_size_m:g} m, it must be above 0 m")
    keys, outside = pack_points(points, voxel_size_m)
    if outside >= 0:
        limit_m = voxel_size_m * 2 ** (KEY_BITS - 1)
        raise InputError(
            f"point {outside} at {points[outside].tolist()} m is beyond {limit_m:g} m, "
            f"the reach of voxels of {voxel_size_m:g} m"
        )
    return keys
