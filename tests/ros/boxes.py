"""Three separated boxes on a floor, exactly known: as a point cloud and as what a moving RGB-D camera sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seg3d_core.geometry.camera import Camera
from seg3d_core.types import Cloud, RgbdFrame

LOW = np.array([[-0.75, -0.15, 0.0], [-0.15, -0.15, 0.0], [0.45, -0.15, 0.0]])
HIGH = LOW + np.array([[0.30, 0.30, 0.30], [0.30, 0.30, 0.20], [0.30, 0.30, 0.40]])
COLOURS = np.array([[0.6, 0.6, 0.6], [0.8, 0.2, 0.2], [0.2, 0.7, 0.2], [0.2, 0.3, 0.8]], np.float32)
FLOOR = (1.4, 0.9)
"""Half its extent, m."""

CAMERA = Camera(320, 240, np.array([[260.0, 0, 159.5], [0, 260.0, 119.5], [0, 0, 1]]))


def boxes_cloud(stamp_ns: int, frame_id: str = "map", spacing_m: float = 0.012) -> tuple[Cloud, np.ndarray]:
    """The surfaces on a grid, and what each point belongs to: 0 floor, 1..3 the boxes."""
    sides = np.diag(2 * np.array([*FLOOR, 0]))
    floor = _rectangle(np.array([-FLOOR[0], -FLOOR[1], 0]), sides[0], sides[1], spacing_m)
    free = ~np.any([_inside(floor, low, high) for low, high in zip(LOW, HIGH, strict=True)], axis=0)
    faces = [(0, floor[free], [0, 0, 1])]
    for number, (low, high) in enumerate(zip(LOW, HIGH, strict=True), start=1):
        x, y, z = np.diag(high - low)
        faces += [
            (number, _rectangle(low + z, x, y, spacing_m), [0, 0, 1]),
            (number, _rectangle(low, x, z, spacing_m), [0, -1, 0]),
            (number, _rectangle(low + y, x, z, spacing_m), [0, 1, 0]),
            (number, _rectangle(low, y, z, spacing_m), [-1, 0, 0]),
            (number, _rectangle(low + x, y, z, spacing_m), [1, 0, 0]),
        ]
    sizes = [len(points) for _, points, _ in faces]
    labels = np.repeat([number for number, _, _ in faces], sizes)
    normals = np.repeat(np.array([normal for _, _, normal in faces], np.float32), sizes, axis=0)
    points = np.concatenate([points for _, points, _ in faces]).astype(np.float32)
    return Cloud(points, rgb=COLOURS[labels], normals=normals, frame_id=frame_id, stamp_ns=stamp_ns), labels


def label_points(points: np.ndarray, margin_m: float = 0.02) -> np.ndarray:
    """What each point belongs to, by where it is: 0 floor, 1..3 the boxes."""
    labels = np.zeros(len(points), np.int64)
    for number, (low, high) in enumerate(zip(LOW, HIGH, strict=True), start=1):
        near = ((points >= low - margin_m) & (points <= high + margin_m)).all(axis=1)
        labels[near & (points[:, 2] > margin_m)] = number
    return labels


def best_ious(instance_id: np.ndarray, labels: np.ndarray) -> list[float]:
    """IoU of the best instance with each box."""
    ids = [number for number in np.unique(instance_id) if number > 0]
    ious = []
    for box in (1, 2, 3):
        truth = labels == box
        overlaps = [(truth & (instance_id == number)).sum() / (truth | (instance_id == number)).sum() for number in ids]
        ious.append(float(max(overlaps, default=0.0)))
    return ious


@dataclass(frozen=True)
class View:
    frame: RgbdFrame
    labels: np.ndarray
    """(H, W) 0 floor or nothing, 1..3 the boxes."""


def boxes_view(angle_rad: float, stamp_ns: int) -> View:
    """What a camera sees that looks down at the boxes from 1.6 m, ``angle_rad`` around them."""
    T = _looking_at(np.array([1.2 * np.sin(angle_rad), -1.2 * np.cos(angle_rad), 1.2]), np.array([0, 0, 0.1]))
    rays = CAMERA.rays().reshape(-1, 3).astype(np.float64) @ T[:3, :3].T
    depth, labels = _cast(T[:3, 3], rays)
    size = (CAMERA.height, CAMERA.width)
    rgb = COLOURS[labels].reshape(*size, 3)
    frame = RgbdFrame(depth.reshape(size).astype(np.float32), CAMERA, rgb, T, "map", stamp_ns)
    return View(frame, labels.reshape(size))


def _cast(origin: np.ndarray, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Depth along the optical axis (rays have z = 1) and label of what each ray hits first; 0 m for nothing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = -origin[2] / rays[:, 2]
        hit = origin + depth[:, None] * rays
        on_floor = (depth > 0) & (np.abs(hit[:, :2]) <= FLOOR).all(axis=1)
        depth, labels = np.where(on_floor, depth, np.inf), np.zeros(len(rays), np.int64)
        for number, (low, high) in enumerate(zip(LOW, HIGH, strict=True), start=1):
            ends = np.stack([(low - origin) / rays, (high - origin) / rays])
            enter, leave = ends.min(axis=0).max(axis=1), ends.max(axis=0).min(axis=1)
            nearer = (enter <= leave) & (enter > 0) & (enter < depth)
            depth[nearer], labels[nearer] = enter[nearer], number
    return np.where(np.isfinite(depth), depth, 0), labels


def _looking_at(eye: np.ndarray, target: np.ndarray) -> np.ndarray:
    """``T_world_camera`` of an optical frame at ``eye`` with ``target`` in the middle and the horizon level."""
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, [0, 0, 1.0])
    right /= np.linalg.norm(right)
    T = np.eye(4)
    T[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    T[:3, 3] = eye
    return T


def _rectangle(corner: np.ndarray, u: np.ndarray, v: np.ndarray, spacing_m: float) -> np.ndarray:
    a, b = (np.linspace(0, 1, round(np.linalg.norm(side) / spacing_m) + 1) for side in (u, v))
    return (corner + a[:, None, None] * u + b[None, :, None] * v).reshape(-1, 3)


def _inside(points: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return ((points[:, :2] > low[:2]) & (points[:, :2] < high[:2])).all(axis=1)
