"""Which way is up, from what cameras saw: people and robots hold them upright, and floors and tables are level."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Float64
from scipy.spatial.transform import Rotation

from seg3d_core.data.scenes.reprojection import Probe
from seg3d_core.errors import InputError

LEVEL_DEG = 40.0
"""Level surfaces face within this angle of the mean of the cameras' up."""

NORMALS = 20_000
SPREAD_DEG = 5.0


def estimate_up(probes: Sequence[Probe]) -> Float64[np.ndarray, "3"]:
    """Unit vector against gravity in the world frame, from frames that do not all look straight down.

    The direction that most of the surfaces near the cameras' mean up direction face.

    Raises:
        InputError: the cameras' up directions cancel out, so that they tell nothing.
    """
    mean: Float64[np.ndarray, "3"] = np.mean([-probe.T_world_camera[:3, 1] for probe in probes], axis=0)
    length = float(np.linalg.norm(mean))
    if length < 0.3:
        raise InputError(
            f"which way is up cannot be estimated: the cameras point all ways (mean {length:.2f}, at least 0.3): "
            "say it with --up X Y Z"
        )
    mean /= length
    normals = np.concatenate([_normals(probe) for probe in probes])
    level = normals[normals @ mean > np.cos(np.radians(LEVEL_DEG))].astype(np.float64)
    if len(level) < 100:
        return mean
    level = level[:: max(len(level) // NORMALS, 1)]
    # The mode: the normal with most others around it, then the mean of these.
    candidates = level[:: max(len(level) // 500, 1)]
    is_near = candidates @ level.T > np.cos(np.radians(SPREAD_DEG))
    up: Float64[np.ndarray, "3"] = level[is_near[is_near.sum(axis=1).argmax()]].mean(axis=0)
    up /= np.linalg.norm(up)
    return up


def turned_upright(up: Float64[np.ndarray, "3"]) -> Float64[np.ndarray, "4 4"]:
    """T_upright_world: the smallest turn that makes ``up`` the z axis."""
    T = np.eye(4)
    T[:3, :3] = Rotation.align_vectors(np.array([[0.0, 0.0, 1.0]]), up[None])[0].as_matrix()
    return T


def _normals(probe: Probe) -> Float32[np.ndarray, "M 3"]:
    """Unit normals of the depth image, towards the camera, in the world frame; where four neighbours are smooth."""
    depth_m = probe.depth_m
    points = probe.camera.rays() * depth_m[..., None]
    across, down = points[1:-1, 2:] - points[1:-1, :-2], points[2:, 1:-1] - points[:-2, 1:-1]
    around = np.stack([depth_m[1:-1, 2:], depth_m[1:-1, :-2], depth_m[2:, 1:-1], depth_m[:-2, 1:-1]])
    is_smooth = (around.min(axis=0) > 0) & (np.ptp(around, axis=0) < 0.1 * around.min(axis=0))
    # x is right and y down: down x across points to the viewer.
    normals = np.cross(down[is_smooth], across[is_smooth])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), np.float32(1e-12))
    turned: Float32[np.ndarray, "M 3"] = (normals @ probe.T_world_camera[:3, :3].T).astype(np.float32)
    return turned
