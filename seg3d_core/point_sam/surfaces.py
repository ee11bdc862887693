"""Masks that follow the surface: each point listens to the patch of surface that it lies on. Not in the paper.

The network sees a cloud through a few hundred patches of points and is unsure near the borders of objects, where the
surface bends and a geometric over-segmentation is sure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int32

from seg3d_core.config import GraphConfig
from seg3d_core.geometry.superpoints import cloud_superpoints
from seg3d_core.geometry.surface import point_spacing
from seg3d_core.types import Cloud

_PATCHES = GraphConfig.build({"k": 0.01, "min_samples": 40})
"""Smaller than for whole objects: what is joined here cannot be told apart by clicks as easily."""

_FINEST_M, _COARSEST_M = 0.001, 0.5
"""Of the samples of a cloud of radius 1; in between they are as far apart as the points: a border is worth a point."""

_SURE = 4.0
"""Logits count up to this: a point that is very sure does not outvote its patch."""

_FAR = 1000.0
"""Clouds this many radii away from the origin are brought there: no camera stood in it, and voxel numbers end."""


@dataclass(frozen=True, eq=False)
class Surfaces:
    """Patches of a cloud's surface.

    Attributes:
        point_to_patch: (N,) dense from 0.
        sizes: (S,) points of each.
    """

    point_to_patch: Int32[np.ndarray, " N"]
    sizes: Float64[np.ndarray, " S"]

    @classmethod
    def of(cls, cloud: Cloud, radius_m: float) -> Surfaces | None:
        """Those of a cloud of that radius, whatever its size: resolution follows the radius.

        None of clouds with too few points for a surface.
        """
        if len(cloud) <= _PATCHES.neighbours:
            return None
        scaled = _with_radius_1(cloud, radius_m)
        voxel_size_m = float(np.clip(point_spacing(scaled.points), _FINEST_M, _COARSEST_M))
        point_to_patch = cloud_superpoints(scaled, _PATCHES.model_copy(update={"voxel_size_m": voxel_size_m}))
        return cls(point_to_patch, np.bincount(point_to_patch).astype(np.float64))

    def blend(self, mask_logits: Float32[np.ndarray, "C N"], weight: float) -> Float32[np.ndarray, "C N"]:
        """Logits, each with ``weight`` (0..1) that of its patch's mean; within -4..4."""
        within = np.clip(mask_logits, -_SURE, _SURE)
        means = np.stack([np.bincount(self.point_to_patch, each) for each in within]) / self.sizes
        patches = means.astype(np.float32)[:, self.point_to_patch]
        blended: Float32[np.ndarray, "C N"] = within + np.float32(weight) * (patches - within)
        return blended


def _with_radius_1(cloud: Cloud, radius_m: float) -> Cloud:
    """The same shape about the same origin, but for clouds that are far from it."""
    centre = cloud.points.mean(axis=0, dtype=np.float64)
    origin = centre if np.linalg.norm(centre) > _FAR * radius_m else np.zeros(3)
    viewpoint = None if cloud.viewpoint is None else (cloud.viewpoint - origin) / radius_m
    points = ((cloud.points - origin) / radius_m).astype(np.float32)
    return Cloud(points, normals=cloud.normals, viewpoint=viewpoint, known_finite=True)
