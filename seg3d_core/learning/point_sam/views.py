"""Labelled clouds out of synthetic rooms, as a depth camera sees them: whole views, close-ups, several views fused."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int16, Int64, UInt8

from seg3d_core.config import DepthNoiseConfig, RoomConfig
from seg3d_core.data.depth_noise import DepthNoise
from seg3d_core.data.rooms import STRUCTURE_IDS, Room, camera_path, make_room
from seg3d_core.data.rooms.walk import looking_at
from seg3d_core.geometry.camera import Camera
from seg3d_core.geometry.voxels import voxelize

CAMERA = Camera(320, 240, np.array([[262.0, 0, 159.5], [0, 262.0, 119.5], [0, 0, 1]]))
MOST_POINTS = 12_000
"""Of one view, as many as a training sample can use."""
WALK_VIEWS, CLOSE_UPS = 6, 24
"""Of each room."""
_FEWEST_POINTS = 300
_FEWEST_ON_OBJECT = 60
"""Pixels of the object that a close-up is of; with fewer it is hidden."""


@dataclass(frozen=True, eq=False)
class View:
    """A labelled cloud: metres, z up, in the room's frame.

    Attributes:
        points: (N, 3).
        rgb: (N, 3) 0..255.
        objects: (N,) the object each point belongs to, 0 for floor, walls and ceiling.
        parts: (N,) a number of each part of each object, distinct over the whole view.
        focus: the object that a close-up is of; 0 for a view of the room.
    """

    points: Float32[np.ndarray, "N 3"]
    rgb: UInt8[np.ndarray, "N 3"]
    objects: Int16[np.ndarray, " N"]
    parts: Int16[np.ndarray, " N"]
    focus: int

    def select(self, rows: Int64[np.ndarray, " M"]) -> View:
        """The view of these points alone."""
        return View(self.points[rows], self.rgb[rows], self.objects[rows], self.parts[rows], self.focus)


@dataclass(frozen=True, eq=False)
class _Focus:
    """What a view is of: an object (0: none), its centre, and how far around that points are kept, m."""

    number: int
    centre_m: Float64[np.ndarray, "3"]
    reach_m: float


def room_views(seed: int) -> list[View]:
    """Views of the room ``seed``, the same every time: of a walk through it, and close-ups of its objects."""
    room, rng = make_room(seed, RoomConfig.build({})), np.random.default_rng((seed, 77))
    noise = DepthNoise(DepthNoiseConfig.build({"seed": seed}))
    path = camera_path(room, 200, seed)
    views = []
    for number in range(WALK_VIEWS):
        start = int(rng.integers(len(path)))
        poses = path[start : start + 1] if number % 2 else path[start::12][:4]
        views.append(_fused(room, noise, list(poses), _Focus(0, np.zeros(3), np.inf), rng))
    for focus in rng.permutation(room.object_ids)[:CLOSE_UPS].tolist():
        views.append(_close_up(room, noise, focus, rng))
    return [view for view in views if view is not None]


def _close_up(room: Room, noise: DepthNoise, focus: int, rng: np.random.Generator) -> View | None:
    """One to four looks at an object from one side; None where it is hidden."""
    corners = room.corners[room.triangle_instance == focus].reshape(-1, 3)
    low, high = corners.min(axis=0).astype(np.float64), corners.max(axis=0).astype(np.float64)
    centre, size_m = (low + high) / 2, float(np.linalg.norm(high - low))
    distance_m = np.clip(size_m * np.exp(rng.uniform(np.log(1.1), np.log(5))), 0.55, 3.5)
    azimuth, count = rng.uniform(-np.pi, np.pi), int(rng.choice([1, 1, 2, 3, 4]))
    poses = []
    for _ in range(count):
        turn, rise = azimuth + rng.uniform(-1.2, 1.2) * (count > 1), np.radians(rng.uniform(12, 70))
        away = np.array([np.cos(turn) * np.cos(rise), np.sin(turn) * np.cos(rise), np.sin(rise)])
        limit = np.array([room.shell.length_m / 2, room.shell.width_m / 2]) - 0.1
        eye = centre + distance_m * away
        eye = np.array([*np.clip(eye[:2], -limit, limit), np.clip(eye[2], 0.2, room.shell.height_m - 0.1)])
        target = centre + rng.normal(0, 0.15, 3) * size_m
        if np.linalg.norm((eye - target)[:2]) > 0.05:
            poses.append(looking_at(eye, target))
    whole = rng.uniform() < 0.3
    reach_m = np.inf if whole else max(0.2, size_m * np.exp(rng.uniform(np.log(0.8), np.log(6))))
    return _fused(room, noise, poses, _Focus(focus, centre, reach_m), rng) if poses else None


def _fused(
    room: Room, noise: DepthNoise, poses: list[Float64[np.ndarray, "4 4"]], focus: _Focus, rng: np.random.Generator
) -> View | None:
    """What the cameras see together: pixels of one as they are or thinned evenly, of several thinned evenly."""
    seen = _joined([_look(room, noise, pose, int(rng.integers(2**31))) for pose in poses], focus.number)
    near = np.flatnonzero(np.linalg.norm(seen.points - focus.centre_m, axis=1) < focus.reach_m)
    order = rng.permutation(near)
    if len(poses) > 1 or rng.uniform() < 0.5:
        order = order[_one_per_cell(seen.points[order])]
    view = seen.select(order[:MOST_POINTS])
    hidden = focus.number and (view.objects == focus.number).sum() < _FEWEST_ON_OBJECT
    return None if hidden or len(order) < _FEWEST_POINTS else view


def _one_per_cell(points: Float32[np.ndarray, "N 3"]) -> Int64[np.ndarray, " M"]:
    """Rows of one point of each cell, in their order; cells are as large as ``MOST_POINTS`` asks for."""
    cell_m = 0.003
    while True:
        rows = voxelize(points, cell_m).first_point
        if len(rows) <= MOST_POINTS:
            return rows
        cell_m *= 1.25


def _look(room: Room, noise: DepthNoise, pose: Float64[np.ndarray, "4 4"], stamp_ns: int) -> View:
    """A view of one camera; a pixel that the noise displaced keeps the label of what its ray hits."""
    frame, _ = room.render(CAMERA, pose, stamp_ns)
    depth_m = noise.apply(frame).depth_m.reshape(-1)
    rays = CAMERA.rays().reshape(-1, 3) @ pose[:3, :3].T.astype(np.float32)
    origin = pose[:3, 3].astype(np.float32)
    triangles = room.rays.cast(np.broadcast_to(origin, rays.shape), rays).triangle.astype(np.int64)
    assert frame.rgb is not None
    rows = np.flatnonzero((depth_m > 0) & (frame.depth_m.reshape(-1) > 0))
    objects = np.where(np.isin(room.triangle_instance, list(STRUCTURE_IDS)), 0, room.triangle_instance)
    rgb = np.clip(frame.rgb.reshape(-1, 3)[rows] * 255 + 0.5, 0, 255).astype(np.uint8)
    hit = triangles[rows]
    points = origin + rays[rows] * depth_m[rows, None]
    return View(points, rgb, objects[hit].astype(np.int16), room.triangle_part[hit].astype(np.int16), 0)


def _joined(views: list[View], focus: int) -> View:
    points, rgb, objects, parts = (
        np.concatenate([getattr(view, name) for view in views]) for name in ("points", "rgb", "objects", "parts")
    )
    return View(points, rgb, objects, parts, focus)
