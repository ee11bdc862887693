"""Where to look at a cloud from: into a room from outside, all of it in the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32

from seg3d_core import picture_kernels as kernels
from seg3d_core.geometry.camera import Camera

AZIMUTHS = 16
ELEVATION_DEG = 44.0
FIELD_OF_VIEW_DEG = 38.0
TRIAL_POINTS = 20_000
ROOM_HEIGHT_M = (1.9, 6.0)
"""A cloud of this height is a room, whose ceiling is left out; a lower one is a table, a higher one has other units."""

CEILING_M = 2.2
"""Points higher than this over the lowest are left out of a room."""

NEAREST_M = 0.05
"""A cloud of one point is looked at from here."""

SECOND_VIEW_DEG = 45.0
"""The second view differs from the first by at least this much."""


@dataclass(frozen=True, eq=False)
class View:
    """A camera at a place."""

    camera: Camera
    T_world_camera: Float64[np.ndarray, "4 4"]


def choose_views(
    points: Float32[np.ndarray, "N 3"],
    normals: Float32[np.ndarray, "N 3"] | None,
    labels: Int32[np.ndarray, " N"],
    up: Float64[np.ndarray, " 3"],
    camera: Camera,
) -> list[View]:
    """Two oblique views from above that show the most points and the most instances.

    ``points`` should already be without the ceiling; ``up`` is a unit vector.
    """
    rows = np.arange(0, len(points), max(1, len(points) // TRIAL_POINTS))
    points, labels = points[rows], labels[rows]
    normals = None if normals is None else normals[rows]
    views = [_look_into(points, up, azimuth, camera) for azimuth in np.arange(AZIMUTHS) * 2 * np.pi / AZIMUTHS]
    scores = np.array([_score(points, normals, labels, view) for view in views])
    first = int(scores.argmax())
    turn = np.abs((np.arange(AZIMUTHS) - first + AZIMUTHS // 2) % AZIMUTHS - AZIMUTHS // 2) * 360 / AZIMUTHS
    second = int(np.where(turn >= SECOND_VIEW_DEG, scores, -1.0).argmax())
    return [views[first], views[second]]


def below_ceiling(points: Float32[np.ndarray, "N 3"], up: Float64[np.ndarray, " 3"]) -> Bool[np.ndarray, " N"]:
    """Which points to show: all but the ceiling and the tops of the walls where the cloud is a room."""
    height = points @ up.astype(np.float32)
    if len(height) == 0:
        return np.zeros(0, bool)
    floor, top = np.percentile(height, [0.5, 99.5])
    is_room = ROOM_HEIGHT_M[0] <= top - floor <= ROOM_HEIGHT_M[1]
    return np.asarray(height <= floor + CEILING_M) if is_room else np.ones(len(points), bool)


def facing(
    points: Float32[np.ndarray, "N 3"], normals: Float32[np.ndarray, "N 3"] | None, view: View
) -> Bool[np.ndarray, " N"]:
    """Which points turn their outside to the camera: walls between it and the room do not. All without normals."""
    if normals is None:
        return np.ones(len(points), bool)
    towards = view.T_world_camera[:3, 3].astype(np.float32) - points
    return np.asarray(np.einsum("ij,ij->i", towards, normals) > 0)


def _look_into(
    points: Float32[np.ndarray, "N 3"], up: Float64[np.ndarray, " 3"], azimuth: float, camera: Camera
) -> View:
    """The camera that looks down obliquely and has (nearly) all points in the picture, as large as possible."""
    side = np.cross(up, np.eye(3)[np.argmin(np.abs(up))])
    side /= np.linalg.norm(side)
    ahead = np.cos(azimuth) * side + np.sin(azimuth) * np.cross(up, side)
    tilt = np.radians(ELEVATION_DEG)
    forward = np.cos(tilt) * ahead - np.sin(tilt) * up
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    R = np.stack([right, np.cross(forward, right), forward], axis=1)
    local = points.astype(np.float64) @ R
    low, high = np.percentile(local, [0.5, 99.5], axis=0)
    centre = (low + high) / 2
    tangents = np.array([camera.width / camera.K[0, 0], camera.height / camera.K[1, 1]]) / 2 * 0.93
    for _ in range(4):
        offset = local - centre
        needed = (np.abs(offset[:, :2]) / tangents - offset[:, 2:]).max(axis=1)
        distance = max(float(np.percentile(needed, 99.5)), NEAREST_M)
        # Perspective makes near things larger: move until the picture's margins are the same on both sides.
        seen = offset[:, :2] / np.maximum(offset[:, 2:] + distance, 1e-3 * distance)
        low, high = np.percentile(seen, [0.5, 99.5], axis=0)
        centre[:2] += (low + high) / 2 * distance
    T_world_camera = np.eye(4)
    T_world_camera[:3, :3] = R
    T_world_camera[:3, 3] = R @ (centre - (0, 0, distance))
    return View(camera, T_world_camera)


def _score(
    points: Float32[np.ndarray, "N 3"],
    normals: Float32[np.ndarray, "N 3"] | None,
    labels: Int32[np.ndarray, " N"],
    view: View,
) -> float:
    """Share of the points plus share of the instances that a coarse depth buffer lets through."""
    shown = np.flatnonzero(facing(points, normals, view))
    width, height = 160, 120
    T = np.linalg.inv(view.T_world_camera)
    local = points[shown] @ T[:3, :3].T + T[:3, 3]
    scale = np.array([width / view.camera.width, height / view.camera.height])
    focal, middle = np.diag(view.camera.K)[:2] * scale, view.camera.K[:2, 2] * scale
    depth = np.maximum(local[:, 2], 1e-6)
    pixels = local[:, :2] / depth[:, None] * focal + middle
    nearest, owner = np.empty((height, width)), np.empty((height, width), np.int32)
    kernels.splat(pixels, local[:, 2], np.full(len(shown), 1.5), 0.0, nearest, owner)
    seen = np.unique(owner[owner >= 0])
    instances = len(np.unique(labels[shown][seen])) / max(1, len(np.unique(labels)))
    return len(seen) / max(1, len(points)) + 0.5 * instances


def view_camera(width: int, height: int) -> Camera:
    """Pinhole camera with the pictures' field of view over the image's height."""
    focal = height / 2 / np.tan(np.radians(FIELD_OF_VIEW_DEG) / 2)
    K = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    return Camera(width, height, K)
