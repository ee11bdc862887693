"""Ray casting on Open3D's Embree scene with numpy arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import open3d as o3d
from jaxtyping import Bool, Float32, UInt32


@dataclass(frozen=True, eq=False)
class Hits:
    """The nearest hit of each ray.

    Attributes:
        distance: (N,) in lengths of the ray's direction; infinite where nothing is hit.
        triangle: (N,) row of the triangle; undefined where nothing is hit.
        uv: (N, 2) weights of the triangle's second and third corner.
    """

    distance: Float32[np.ndarray, " N"]
    triangle: UInt32[np.ndarray, " N"]
    uv: Float32[np.ndarray, "N 2"]


class Rays:
    """Triangles that rays can be cast at; all in one frame, metres."""

    def __init__(self, corners: Float32[np.ndarray, "T 3 3"]) -> None:
        self._scene = o3d.t.geometry.RaycastingScene()
        triangles = np.arange(len(corners) * 3, dtype=np.uint32).reshape(-1, 3)
        self._scene.add_triangles(_tensor(corners.reshape(-1, 3)), _tensor(triangles))

    def cast(self, starts: Float32[np.ndarray, "N 3"], directions: Float32[np.ndarray, "N 3"]) -> Hits:
        """Nearest hits."""
        hits = self._scene.cast_rays(_tensor(np.concatenate([starts, directions], axis=1)))
        return Hits(hits["t_hit"].numpy(), hits["primitive_ids"].numpy(), hits["primitive_uvs"].numpy())

    def blocked(
        self, starts: Float32[np.ndarray, "N 3"], directions: Float32[np.ndarray, "N 3"], until: float
    ) -> Bool[np.ndarray, " N"]:
        """Whether anything is hit before ``until`` lengths of the direction."""
        rays = _tensor(np.concatenate([starts, directions], axis=1))
        return np.asarray(self._scene.test_occlusions(rays, tfar=until).numpy())

    def distance_m(self, points: Float32[np.ndarray, "N 3"]) -> Float32[np.ndarray, " N"]:
        """Distance of points to the nearest surface, metres."""
        return np.asarray(self._scene.compute_distance(_tensor(points)).numpy())


def _tensor(values: np.ndarray) -> o3d.core.Tensor:
    return o3d.core.Tensor.from_numpy(np.ascontiguousarray(values))
