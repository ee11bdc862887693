"""Surface normals: fitted to neighbours, turned toward a viewpoint where one is known."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64

from seg3d_core.geometry.normals_kernels import moment_normals, patch_moments, widen
from seg3d_core.geometry.sorting_kernels import compact_keys, group_starts, radix_order
from seg3d_core.geometry.voxels import voxel_keys

_QUIET_RANGE_M = 1.5
"""Up to here the noise of a depth camera (about 2 mm per square metre of range) is small against a patch."""

_MAX_PASSES = 12

_CELL_SAMPLES = 3
_MAX_HIDDEN_SHARE = 0.1


def estimate_normals(
    points: Float32[np.ndarray, "N 3"],
    neighbours: Int32[np.ndarray, "N k"],
    passes: Int64[np.ndarray, " N"] | None = None,
) -> Float32[np.ndarray, "N 3"]:
    """Unit normal of the plane through each point and its neighbours (-1 = none); the sign is arbitrary.

    ``passes`` widens the patch of each point: 1 is its neighbours, 2 theirs as well with less weight, and so on.
    Zero where no plane is defined: fewer than two neighbours, or all of them on one line.
    """
    moments = patch_moments(points, neighbours)
    if passes is not None and len(passes):
        moments = widen(moments, neighbours, passes)
    normals: Float32[np.ndarray, "N 3"] = moment_normals(moments)
    return normals


def passes_against_noise(
    points: Float32[np.ndarray, "N 3"], viewpoint: Float64[np.ndarray, "3"]
) -> Int64[np.ndarray, " N"]:
    """How far to widen patches seen by a depth camera at ``viewpoint``, whose noise grows with the range squared."""
    ranges = np.linalg.norm(points - viewpoint, axis=1)
    passes: Int64[np.ndarray, " N"] = np.clip(np.round((ranges / _QUIET_RANGE_M) ** 2), 1, _MAX_PASSES).astype(np.int64)
    return passes


def toward(
    normals: Float32[np.ndarray, "N 3"], points: Float32[np.ndarray, "N 3"], viewpoint: Float64[np.ndarray, "3"]
) -> Float32[np.ndarray, "N 3"]:
    """``normals``, each turned to the side of ``viewpoint`` (m, the points' frame)."""
    away = ((points - viewpoint) * normals).sum(1) > 0
    return np.where(away[:, None], -normals, normals)


def is_seen_from(points: Float32[np.ndarray, "N 3"], viewpoint: Float64[np.ndarray, "3"], spacing_m: float) -> bool:
    """Whether one camera at ``viewpoint`` can have seen all of ``points``: hardly any hides behind another.

    Directions are binned about three samples wide (``spacing_m`` at the median range). A bin is doubtful when its
    ranges spread by more than what a surface seen at a shallow angle explains; outlines of objects always give some.
    """
    rays = points.astype(np.float64) - viewpoint
    ranges = np.linalg.norm(rays, axis=1)
    typical = float(np.median(ranges)) if len(ranges) else 0.0
    if typical <= 10 * spacing_m:
        return False
    width = _CELL_SAMPLES * spacing_m / typical
    directions = (rays / np.maximum(ranges, 1e-9)[:, None]).astype(np.float32)
    keys = compact_keys(voxel_keys(directions, width))
    order = radix_order(keys)
    starts = group_starts(keys, order)[:-1]
    nearest = np.minimum.reduceat(ranges[order], starts)
    farthest = np.maximum.reduceat(ranges[order], starts)
    # Twelve cells of depth per cell of width: a surface seen at less than 5 degrees.
    hidden = farthest - nearest > 12 * width * nearest
    return bool(hidden.mean() < _MAX_HIDDEN_SHARE)
