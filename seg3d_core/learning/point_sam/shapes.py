"""Simple bodies on a plane, as clouds with known objects: the scenes that a click must never fail on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64, UInt8

from seg3d_core.learning.point_sam.views import View


@dataclass(frozen=True, eq=False)
class _Patch:
    """Points on one face, with what is needed to tell whether a camera sees it."""

    points: Float64[np.ndarray, "N 3"]
    normals: Float64[np.ndarray, "N 3"]


def shapes_view(rng: np.random.Generator, count: int) -> View:
    """Boxes, cylinders and ellipsoids on a floor or table, most of them apart; about ``count`` points.

    Seen from all sides or from one, with or without noise, in colours that differ or not. Metres, z up.
    """
    bodies = _arranged(rng)
    reach = max(float(np.abs(body.points[:, :2]).max()) for body in bodies) * rng.uniform(1.05, 2.5)
    faces = [_floor(rng, reach, bodies), *bodies] if rng.uniform() < 0.92 else bodies
    numbers = range(1 - (len(faces) > len(bodies)), len(bodies) + 1)
    points, normals = (np.concatenate([getattr(face, name) for face in faces]) for name in ("points", "normals"))
    objects = np.repeat(list(numbers), [len(face.points) for face in faces])
    rows = _seen(rng, points, normals)
    rows = rng.permutation(rows)[:count]
    rgb = _colours(rng, objects, normals)[rows]
    noisy = points[rows] + rng.normal(0, 1, (len(rows), 3)) * reach * rng.choice([0, 0.001, 0.003])
    labels = objects[rows].astype(np.int16)
    return View(noisy.astype(np.float32), rgb, labels, labels, 0)


def _arranged(rng: np.random.Generator) -> list[_Patch]:
    """Bodies of like sizes, apart or hardly touching, a few on top of others; sizes are of the order of 1."""
    bodies: list[_Patch] = []
    taken: list[tuple[float, float, float]] = []
    spread, largest = rng.uniform(0.6, 4.0), np.exp(rng.uniform(np.log(0.25), np.log(1.0)))
    # Circles around squares touch long before the squares do.
    room = float(rng.choice([1.0, 0.72]))
    for _ in range(int(rng.integers(1, 7))):
        size = largest * np.exp(rng.uniform(np.log(0.3), 0, 3))
        radius = room * float(np.hypot(size[0], size[1])) / 2
        place = rng.uniform(-spread, spread, 2)
        if all(np.hypot(place[0] - x, place[1] - y) > radius + other + 0.01 for x, y, other in taken):
            taken.append((float(place[0]), float(place[1]), radius))
            bodies.append(_body(rng, size, place, 0.0))
            if rng.uniform() < 0.15:
                bodies.append(_body(rng, size * rng.uniform(0.3, 0.8, 3), place, float(size[2])))
    return bodies


def _body(
    rng: np.random.Generator, size: Float64[np.ndarray, "3"], place: Float64[np.ndarray, "2"], height: float
) -> _Patch:
    made = (_box, _box, _cylinder, _ellipsoid)[int(rng.integers(4))](rng, size)
    angle = rng.uniform(-np.pi, np.pi) if rng.uniform() < 0.7 else 0.0
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    return _Patch(made.points @ turn.T + [*place, height], made.normals @ turn.T)


_DENSITY = 6000.0
"""Points per unit of area before a view is thinned."""


def _count(area: float) -> int:
    return int(np.clip(_DENSITY * area, 60, 20_000))


def _box(rng: np.random.Generator, size: Float64[np.ndarray, "3"]) -> _Patch:
    """Without its bottom, on z = 0."""
    x, y, z = size
    points, normals = [], []
    for axis, sign, area in ((0, 1, y * z), (0, -1, y * z), (1, 1, x * z), (1, -1, x * z), (2, 1, x * y)):
        face = rng.uniform(-0.5, 0.5, (_count(area), 3))
        face[:, axis] = sign / 2
        points.append(face * size + [0, 0, z / 2])
        normals.append(np.tile(np.eye(3)[axis] * sign, (len(face), 1)))
    return _Patch(np.concatenate(points), np.concatenate(normals))


def _cylinder(rng: np.random.Generator, size: Float64[np.ndarray, "3"]) -> _Patch:
    radius, height = size[:2].min() / 2, size[2]
    angle = rng.uniform(-np.pi, np.pi, _count(2 * np.pi * radius * height))
    around = np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], axis=1)
    side = around * radius + np.stack([0 * angle, 0 * angle, rng.uniform(0, height, len(angle))], axis=1)
    angle = rng.uniform(-np.pi, np.pi, _count(np.pi * radius**2))
    out = radius * np.sqrt(rng.uniform(0, 1, len(angle)))
    lid = np.stack([out * np.cos(angle), out * np.sin(angle), np.full_like(angle, height)], axis=1)
    return _Patch(np.concatenate([side, lid]), np.concatenate([around, np.tile([0.0, 0, 1], (len(lid), 1))]))


def _ellipsoid(rng: np.random.Generator, size: Float64[np.ndarray, "3"]) -> _Patch:
    towards = rng.normal(0, 1, (_count(3.0 * float(np.prod(size)) ** (2 / 3)), 3))
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    normals = towards / size
    return _Patch(towards * size / 2 + [0, 0, size[2] / 2], normals / np.linalg.norm(normals, axis=1, keepdims=True))


def _floor(rng: np.random.Generator, reach: float, bodies: list[_Patch]) -> _Patch:
    """Of random proportions, without what stands on it, and now and then with a wall behind."""
    half = reach * np.array([1.0, rng.uniform(0.6, 1.0)])
    if rng.uniform() < 0.5:
        half = half[::-1]
    count = min(_count(4 * float(np.prod(half))), 40_000)
    points = np.concatenate([rng.uniform(-half, half, (count, 2)), np.zeros((count, 1))], axis=1)
    for body in bodies:
        low, high = body.points[:, :2].min(axis=0), body.points[:, :2].max(axis=0)
        middle, radii = (low + high) / 2, (high - low) / 2
        # An ellipse in the bounding rectangle: what is left under the corners of a box is hidden by its sides.
        points = points[(((points[:, :2] - middle) / radii) ** 2).sum(axis=1) > 1]
    normals = np.tile([0.0, 0, 1], (len(points), 1))
    if rng.uniform() < 0.3:
        wall = rng.uniform(0, 1, (count // 3, 3)) * [2 * half[0], 0, reach * rng.uniform(0.3, 0.9)]
        wall += [-half[0], half[1], 0]
        points, normals = (
            np.concatenate([points, wall]),
            np.concatenate([normals, np.tile([0.0, -1, 0], (len(wall), 1))]),
        )
    return _Patch(points, normals)


def _seen(
    rng: np.random.Generator, points: Float64[np.ndarray, "N 3"], normals: Float64[np.ndarray, "N 3"]
) -> Int64[np.ndarray, " M"]:
    """Rows of the points that face a camera; of all in half of the scenes, which are fused ones then."""
    if rng.uniform() < 0.5:
        return np.arange(len(points))
    angle, rise = rng.uniform(-np.pi, np.pi), np.radians(rng.uniform(15, 80))
    away = np.array([np.cos(angle) * np.cos(rise), np.sin(angle) * np.cos(rise), np.sin(rise)])
    eye = away * np.abs(points).max() * rng.uniform(1.2, 4)
    facing = ((eye - points) * normals).sum(axis=1) > 0
    return np.flatnonzero(facing & (rng.uniform(0, 1, len(points)) < 0.98))


def _colours(
    rng: np.random.Generator, objects: Int64[np.ndarray, " N"], normals: Float64[np.ndarray, "N 3"]
) -> UInt8[np.ndarray, "N 3"]:
    """One colour for each object, or one for all; darker where it faces away from the light; grains."""
    palette = rng.uniform(0.05, 0.95, (int(objects.max()) + 1, 3))
    if rng.uniform() < 0.2:
        palette[:] = palette[0]
    light = rng.normal(0, 1, 3) + np.array([0, 0, 1.5])
    shade = 1 - rng.uniform(0, 0.5) * (1 - np.clip(normals @ light / np.linalg.norm(light), 0, 1))
    grains = rng.normal(0, rng.uniform(0, 0.06), normals.shape)
    rgb: UInt8[np.ndarray, "N 3"] = np.clip((palette[objects] * shade[:, None] + grains) * 255, 0, 255).astype(np.uint8)
    return rgb
