"""A hand-held camera's walk through a room."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64
from scipy.ndimage import gaussian_filter1d

from seg3d_core.data.rooms.room import Room

CLEARANCE_M = 0.35
"""The camera keeps at least this far from every surface."""

LOW_M, HIGH_M = 1.25, 1.65
"""Range of the camera's height."""

LOOK_AHEAD_SHARE = 0.9
"""The gaze rests this share of the way from the room's middle to the walls."""

PLAN = 720
"""Steps in which the way is planned, whatever the number of frames."""


def camera_path(room: Room, frames: int, seed: int = 0) -> Float64[np.ndarray, "F 4 4"]:
    """T_world_camera of a smooth walk that looks once around the room from its middle and once across it.

    The gaze turns by 720 degrees in all: first along the walls, from behind the middle, 1 to 3 m away from the
    furniture; then, stepping back, over the middle of the room. Heights are 1.25 to 1.65 m. Consecutive frames are a
    few centimetres and degrees apart from about 200 frames on; fewer frames make longer steps of the same walk.

    Args:
        room: the furnished room; the camera keeps 0.35 m from everything in it.
        frames: number of poses, at least 1.
        seed: draws the starting direction, the sense and the hand's sway.
    """
    rng = np.random.default_rng(seed)
    time = np.linspace(0, 1, PLAN)
    turn = rng.uniform(0, 2 * np.pi) + rng.choice([-1, 1]) * 4 * np.pi * time
    half = np.array([room.shell.length_m / 2, room.shell.width_m / 2])
    ahead = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    height_m = (LOW_M + HIGH_M) / 2 + (HIGH_M - LOW_M) / 2 * np.sin(2 * np.pi * 3.3 * time + rng.uniform(0, 6))
    # Half a step behind the middle at first, across the room in the second round.
    behind = 0.12 + 0.5 / (1 + np.exp(-24 * (time - 0.55)))
    eyes = _keep_clear(room, half, ahead, behind, height_m)
    reach = LOOK_AHEAD_SHARE * (1 - 0.55 / (1 + np.exp(-24 * (time - 0.55))))
    gaze_m = 0.75 + 0.3 * np.sin(2 * np.pi * 4.7 * time + rng.uniform(0, 6))
    targets = np.concatenate([reach[:, None] * half * ahead, gaze_m[:, None]], axis=1)
    sway = _sway(rng, time)
    return _at_even_pace(eyes + 0.015 * sway[:, :3], targets + 0.03 * sway[:, 3:], frames)


def _keep_clear(
    room: Room,
    half: Float64[np.ndarray, " 2"],
    ahead: Float64[np.ndarray, "P 2"],
    behind: Float64[np.ndarray, " P"],
    height_m: Float64[np.ndarray, " P"],
) -> Float64[np.ndarray, "P 3"]:
    """Eyes behind the room's middle, drawn towards it until they are clear of everything, then smoothed.

    Smoothing may bring an eye near again, so drawing in and smoothing take turns, a little more each time.
    """
    share = behind.copy()
    for _ in range(40):
        eyes = np.concatenate([-share[:, None] * half * ahead, height_m[:, None]], axis=1)
        distance_m = room.rays.distance_m(eyes.astype(np.float32))
        # The hand's sway needs a little room as well.
        is_near = distance_m < CLEARANCE_M + 0.04
        if not is_near.any():
            break
        share = gaussian_filter1d(np.where(is_near, share - 0.04, share), 6.0, mode="nearest")
    return eyes


def _sway(rng: np.random.Generator, time: Float64[np.ndarray, " P"]) -> Float64[np.ndarray, "P 6"]:
    """Smooth irregular motion of about -1..1 in six channels."""
    periods = rng.uniform(5, 16, (3, 6))
    phases = rng.uniform(0, 2 * np.pi, (3, 6))
    return np.asarray(np.sin(2 * np.pi * time[:, None, None] * periods + phases).mean(axis=1))


def _at_even_pace(
    eyes: Float64[np.ndarray, "P 3"], targets: Float64[np.ndarray, "P 3"], frames: int
) -> Float64[np.ndarray, "F 4 4"]:
    """Poses at even steps of motion: 2.5 cm of way count as much as one degree of turn."""
    forward = targets - eyes
    forward /= np.linalg.norm(forward, axis=1, keepdims=True)
    turns = np.degrees(np.arccos(np.clip((forward[1:] * forward[:-1]).sum(axis=1), -1, 1)))
    steps = np.linalg.norm(np.diff(eyes, axis=0), axis=1) / 0.025 + turns
    way = np.concatenate([[0.0], np.cumsum(steps)])
    wanted = np.linspace(0, way[-1], frames)
    places = np.stack([np.interp(wanted, way, eyes[:, axis]) for axis in range(3)], axis=1)
    aims = np.stack([np.interp(wanted, way, targets[:, axis]) for axis in range(3)], axis=1)
    return np.stack([looking_at(eye, aim) for eye, aim in zip(places, aims, strict=True)])


def looking_at(eye: Float64[np.ndarray, " 3"], target: Float64[np.ndarray, " 3"]) -> Float64[np.ndarray, "4 4"]:
    """T_world_camera of an upright optical camera at ``eye`` (z forward through ``target``, x to the right)."""
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    T_world_camera = np.eye(4)
    T_world_camera[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    T_world_camera[:3, 3] = eye
    return T_world_camera
