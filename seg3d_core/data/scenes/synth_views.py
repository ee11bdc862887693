"""Where the cameras of a synthetic data set stand: on a walk, anywhere in the room, and near to things."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64

from seg3d_core.data.rooms import Room, camera_path
from seg3d_core.data.rooms.walk import looking_at

CLEARANCE_M = 0.25
"""A camera keeps at least this far from every surface."""

LOW_M, HIGH_M = 0.5, 1.9
"""Heights of cameras that are not on a walk: small robots to tall people."""

PROBES = 64
"""So many places of a thing are looked at to see whether it is hidden."""

ENOUGH_SEEN = 0.15
"""A thing that hides nothing of itself but its back shows about half of these."""

_ATTEMPTS = 12
_WALK_STEPS = 240
_NO_POSES = np.zeros((0, 4, 4))


class ViewPlan(NamedTuple):
    """T_world_camera of one scene's cameras.

    Attributes:
        walk: (A, 4, 4) in the order of the walk.
        free: (B, 4, 4) anywhere in the room.
        close: (C, 4, 4) near to a thing.
    """

    walk: Float64[np.ndarray, "A 4 4"]
    free: Float64[np.ndarray, "B 4 4"]
    close: Float64[np.ndarray, "C 4 4"]


def plan_views(room: Room, frames: int, close_share: float, free_share: float, seed: int) -> ViewPlan:
    """Seeded poses, at least one of them on the walk; close views fall on all things in turn."""
    rng = np.random.default_rng((seed, 31))
    close = min(round(frames * close_share), frames - 1)
    free = min(round(frames * free_share), frames - 1 - close)
    turns = np.resize(rng.permutation(room.object_ids), close)
    return ViewPlan(
        spread_walk(room, frames - close - free, seed, rng),
        _stack([_free(room, rng) for _ in range(free)]),
        _stack([_close(room, int(number), rng) for number in turns]),
    )


def spread_walk(room: Room, frames: int, seed: int, rng: np.random.Generator) -> Float64[np.ndarray, "F 4 4"]:
    """``frames`` poses of the room's walk, one somewhere in each of so many equal pieces of it."""
    path = camera_path(room, max(_WALK_STEPS, frames), seed)
    edges = np.linspace(0, len(path), frames + 1)
    rows = np.floor(edges[:-1] + rng.random(frames) * np.diff(edges)).astype(np.int64)
    return path[np.minimum(rows, len(path) - 1)]


def _free(room: Room, rng: np.random.Generator) -> Float64[np.ndarray, "4 4"]:
    """From somewhere clear, towards any thing."""
    half = np.array([room.shell.length_m / 2, room.shell.width_m / 2]) - CLEARANCE_M
    eyes = np.column_stack([rng.uniform(-half, half, (_ATTEMPTS, 2)), rng.uniform(LOW_M, HIGH_M, _ATTEMPTS)])
    # Clear of everything if any is, else where there is most room.
    distance_m = room.rays.distance_m(eyes.astype(np.float32))
    eye = (
        eyes[int(np.argmax(distance_m > CLEARANCE_M))] if distance_m.max() > CLEARANCE_M else eyes[distance_m.argmax()]
    )
    corners = _corners(room, int(rng.choice(room.object_ids)))
    return _look(eye, corners.mean(axis=(0, 1), dtype=np.float64) + rng.normal(0, 0.3, 3))


def _close(room: Room, number: int, rng: np.random.Generator) -> Float64[np.ndarray, "4 4"]:
    """A thing from so near that it and what is around it fill the picture, from a side on which it is not hidden.

    The best of some attempts; from anywhere in the room where there is no place to stand.
    """
    corners = _corners(room, number)
    low, high = corners.min(axis=(0, 1)).astype(np.float64), corners.max(axis=(0, 1)).astype(np.float64)
    centre, size_m = (low + high) / 2, float(np.linalg.norm(high - low))
    probes = corners.mean(axis=1)[rng.integers(len(corners), size=PROBES)]
    half = np.array([room.shell.length_m / 2, room.shell.width_m / 2]) - CLEARANCE_M
    best, most = None, -1.0
    for _ in range(_ATTEMPTS):
        eye = centre + np.clip(size_m * np.exp(rng.uniform(0.1, 1.6)), 0.55, 3.0) * _direction(rng)
        eye = np.array(
            [*np.clip(eye[:2], -half, half), np.clip(eye[2], CLEARANCE_M, room.shell.height_m - CLEARANCE_M)]
        )
        if room.rays.distance_m(eye[None].astype(np.float32))[0] < CLEARANCE_M:
            continue
        seen = _visible_share(room, eye.astype(np.float32), probes, number)
        if seen > most:
            best, most = _look(eye, centre + rng.normal(0, 0.12, 3) * size_m), seen
        if most >= ENOUGH_SEEN:
            break
    return _free(room, rng) if best is None else best


def _visible_share(room: Room, eye: Float32[np.ndarray, "3"], probes: Float32[np.ndarray, "P 3"], number: int) -> float:
    """Share of places of a thing at which a line from the eye meets the thing first, there or before."""
    towards = probes - eye
    hits = room.rays.cast(np.broadcast_to(eye, towards.shape), towards)
    rows = np.flatnonzero(np.isfinite(hits.distance))
    return float((room.triangle_instance[hits.triangle[rows]] == number).sum() / len(probes))


def _corners(room: Room, number: int) -> Float32[np.ndarray, "T 3 3"]:
    corners: Float32[np.ndarray, "T 3 3"] = room.corners[room.triangle_instance == number]
    return corners


def _direction(rng: np.random.Generator) -> Float64[np.ndarray, "3"]:
    """From a thing to an eye: any side, 8 to 65 degrees above it."""
    turn, rise = rng.uniform(-np.pi, np.pi), np.radians(rng.uniform(8, 65))
    return np.array([np.cos(turn) * np.cos(rise), np.sin(turn) * np.cos(rise), np.sin(rise)])


def _look(eye: Float64[np.ndarray, "3"], target: Float64[np.ndarray, "3"]) -> Float64[np.ndarray, "4 4"]:
    """Upright camera; a target straight above or below is moved aside, for up would be unknown."""
    aside = np.array([0.1, 0.0, 0.0]) if np.linalg.norm((target - eye)[:2]) < 0.05 else np.zeros(3)
    return looking_at(eye, target + aside)


def _stack(poses: list[Float64[np.ndarray, "4 4"]]) -> Float64[np.ndarray, "F 4 4"]:
    return np.stack(poses) if poses else _NO_POSES
