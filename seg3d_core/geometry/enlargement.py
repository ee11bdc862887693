"""How much larger a dense cloud may become, so that small things are seen with fine voxels."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from seg3d_core.geometry.voxels import voxelize

_POINTS_PER_VOXEL = 2
"""That are left on the average: a fused cloud has a little more than one point in voxels of its own size, and must not
be torn apart."""


def enlargement(points: Float32[np.ndarray, "N 3"], voxel_size_m: float, most_voxels: int, most: float) -> float:
    """Factor, from 1 to ``most``, by which ``points`` (on surfaces) become as large as they may.

    Voxels of a surface grow with the square of it: so far that there are no more than ``most_voxels`` (0: any number),
    and that points still fill them.

    Raises:
        InputError: as ``voxelize``.
    """
    if most <= 1 or not len(points):
        return 1.0
    voxels = len(voxelize(points, voxel_size_m))
    filled = len(points) / (_POINTS_PER_VOXEL * voxels)
    square = min(filled, most_voxels / voxels) if most_voxels else filled
    return float(np.clip(np.sqrt(square), 1, most))
