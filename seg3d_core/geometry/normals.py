"""Surface normals: fitted to neighbours, turned toward a viewpoint where one is known."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64, Int32

from seg3d_core.geometry.normals_kernels import plane_normals
from seg3d_core.geometry.voxels import voxel_keys

_CELL_SAMPLES = 3
_MAX_HIDDEN_SHARE = 0.1


def estimate_normals(
    points: Float32[np.ndarray, "N 3"], neighbours: Int32[np.ndarray, "N k"]
) -> Float32[np.ndarray, "N 3"]:
    """Unit normal of the plane through each point and its neighbours (-1 = none); the sign is arbitrary.

    Zero where no plane is defined: fewer than two neighbours, or all of them on one line.
    """
    normals: Float32[np.ndarray, "N 3"] = plane_normals(points, neighbours)
    return normals


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
    order = np.argsort(voxel_keys(directions, width), kind="stable")
    keys = voxel_keys(directions[order], width)
    starts = np.flatnonzero(np.diff(keys, prepend=-1) > 0)
    nearest = np.minimum.reduceat(ranges[order], starts)
    farthest = np.maximum.reduceat(ranges[order], starts)
    # Twelve cells of depth per cell of width: a surface seen at less than 5 degrees.
    hidden = farthest - nearest > 12 * width * nearest
    return bool(hidden.mean() < _MAX_HIDDEN_SHARE)
