"""A cloud as a sampled surface: one sample per voxel, spatially sorted, with its nearest neighbours.

Thinning makes density even (a depth camera samples near surfaces hundreds of times more densely than far ones),
averages noise, and bounds the work that follows by the size of the scene instead of the number of points.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float32, Int32

from seg3d_core.geometry.sorting_kernels import (
    compact_keys,
    count_distinct,
    group_of_each,
    group_starts,
    radix_order,
)
from seg3d_core.geometry.surface_kernels import group_means
from seg3d_core.geometry.surface_neighbours_kernels import grid_neighbours
from seg3d_core.geometry.voxels import voxel_keys
from seg3d_core.threads import share_out, usable_cores
from seg3d_core.types import Cloud

_POINTS_PER_THREAD = 5000
"""Fewer take less time than handing them over saves."""


@dataclass(frozen=True, eq=False)
class Surface:
    """Samples of a cloud's surface, one per occupied voxel, in spatial order.

    Attributes:
        points: (S, 3) mean of each voxel's points, metres, the cloud's frame.
        rgb: (S, 3) mean colour in 0..1, or None.
        normals: (S, 3) unit mean of the cloud's normals (zero where they cancel), or None.
        point_to_sample: (N,) sample of each point of the cloud.
        voxel_size_m: edge of the voxels.
    """

    points: Float32[np.ndarray, "S 3"]
    rgb: Float32[np.ndarray, "S 3"] | None
    normals: Float32[np.ndarray, "S 3"] | None
    point_to_sample: Int32[np.ndarray, " N"]
    voxel_size_m: float

    def __len__(self) -> int:
        return len(self.points)


def thin(cloud: Cloud, voxel_size_m: float) -> Surface:
    """One sample per occupied voxel of edge ``voxel_size_m``.

    Raises:
        InputError: a point is too far from the origin for a voxel number.
    """
    keys = compact_keys(voxel_keys(cloud.points, voxel_size_m))
    order = radix_order(keys)
    starts = group_starts(keys, order)
    return Surface(
        points=group_means(cloud.points, order, starts),
        rgb=None if cloud.rgb is None else group_means(cloud.rgb, order, starts),
        normals=None if cloud.normals is None else _unit(group_means(cloud.normals, order, starts)),
        point_to_sample=group_of_each(order, starts),
        voxel_size_m=voxel_size_m,
    )


def point_spacing(points: Float32[np.ndarray, "N 3"], coarse_m: float = 0.03) -> float:
    """Typical distance (m) between neighbouring points: the side of each point's share of the surface.

    The surface is measured by the occupied voxels of edge ``coarse_m``; a smooth surface in general position occupies
    about 1.5 voxels per square of that edge.
    """
    occupied = count_distinct(voxel_keys(points, coarse_m))
    return coarse_m * float(np.sqrt(occupied / 1.5 / max(len(points), 1)))


def nearest_within(
    points: Float32[np.ndarray, "S 3"], k: int, radius_m: float, cell_size_m: float
) -> Int32[np.ndarray, "S k"]:
    """The ``k`` nearest other points within ``radius_m`` of each point, nearest first, -1 where there are fewer.

    Exact; of equal distances the point in the earlier cell, then the earlier point, comes first. ``cell_size_m`` only
    decides the speed: best is about the distance of the k-th neighbour.

    Raises:
        InputError: a point is too far from the origin for a cell number.
    """
    keys = voxel_keys(points, cell_size_m)
    order = radix_order(compact_keys(keys))
    starts = group_starts(keys, order)
    found = np.full((len(points), k), np.int32(-1))
    search = partial(grid_neighbours, points, order, keys[order[starts[:-1]]], starts, cell_size_m, radius_m, found)
    share_out(search, starts.astype(np.int64), max(1, min(usable_cores(), len(points) // _POINTS_PER_THREAD)))
    return found


def _unit(vectors: Float32[np.ndarray, "S 3"]) -> Float32[np.ndarray, "S 3"]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True).astype(np.float32)
    units: Float32[np.ndarray, "S 3"] = vectors * np.divide(
        1, lengths, out=np.zeros_like(lengths), where=lengths > 1e-6
    )
    return units
