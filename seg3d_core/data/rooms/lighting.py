"""Light baked at triangle corners: soft lamp and window light with shadows, and ambient occlusion."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64, Int64

from seg3d_core.data.rooms.rays import Rays

AMBIENT = np.array([0.55, 0.56, 0.58])
"""Light from all sides, slightly cool."""

LAMP = np.array([0.98, 0.93, 0.84])
"""Ceiling lamp's light at 1 m on a surface that faces it, warm; grows weaker with the distance, not its square."""

SKY = np.array([0.52, 0.57, 0.64])
"""Window's light at 1 m, cool."""

DIRECTIONS = 20
REACH_M = 0.7
"""Ambient occlusion: so many rays; surfaces farther than the reach do not darken, nearer ones the more the nearer."""

OFFSET_M = 0.003
"""Rays start this far off the surface, so that they do not hit it."""

INSET = 0.12
"""Light is measured this share of the way from a corner to the middle: corners often lie in other surfaces."""

PLACE_M = 0.025
"""Corners within a cube of this edge that face the same way share one measurement."""

LAYER_M = 0.002
"""Parallel surfaces at least this far apart are measured apart, so that a cover does not darken what covers it."""

COVERED = 0.2
"""A corner with less free half space lies under something; its light is taken from its triangle's other corners."""

CONTACT = 0.7
"""What is left of the light at covered corners: a soft contact shadow."""


def bake_light(
    rays: Rays,
    corners: Float32[np.ndarray, "T 3 3"],
    normals: Float32[np.ndarray, "T 3 3"],
    lamps: Float64[np.ndarray, "L 3"],
    window: Float64[np.ndarray, "S 3"],
) -> Float32[np.ndarray, "T 3 3"]:
    """Light (red, green, blue factors for the albedo) at the three corners of every triangle.

    Args:
        rays: all triangles.
        corners: world frame, metres.
        normals: unit, outwards.
        lamps: points on the ceiling lamp; each gives an equal share of its light.
        window: points in the window, likewise.
    """
    inner = corners + INSET * (corners.mean(axis=1, keepdims=True) - corners)
    points, directions = inner.reshape(-1, 3), normals.reshape(-1, 3)
    first, inverse = _distinct(points, directions)
    points, directions = points[first], directions[first]
    starts = points + np.float32(OFFSET_M) * directions
    openness = _openness(rays, starts, directions)
    light = AMBIENT * (0.85 + 0.15 * directions[:, 2:]) * openness[:, None]
    for sources, colour in ((lamps, LAMP), (window, SKY)):
        for source in sources.astype(np.float32):
            light += _direct(rays, starts, directions, source)[:, None] * colour / len(sources)
    return _uncovered(light[inverse].reshape(corners.shape), openness[inverse].reshape(-1, 3)).astype(np.float32)


def _distinct(
    points: Float32[np.ndarray, "V 3"], directions: Float32[np.ndarray, "V 3"]
) -> tuple[Int64[np.ndarray, " U"], Int64[np.ndarray, " V"]]:
    """Rows that stand for all rows in the same place with the same direction, and which row stands for each."""
    offset_m = (points * directions).sum(axis=1, keepdims=True)
    columns = [points / PLACE_M, directions * 2.5 + 0.5, offset_m / LAYER_M + 0.5]
    cells = np.floor(np.concatenate(columns, axis=1)).astype(np.int64)
    cells -= cells.min(axis=0)
    keys = np.ravel_multi_index(tuple(cells.T), tuple(cells.max(axis=0) + 1))
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return first, inverse.reshape(-1)


def _uncovered(
    light: Float64[np.ndarray, "T 3 3"], openness: Float64[np.ndarray, "T 3"]
) -> Float64[np.ndarray, "T 3 3"]:
    """Light with covered corners filled from the free corners of their triangle."""
    is_free = openness > COVERED
    weights = is_free / np.maximum(is_free.sum(axis=1, keepdims=True), 1)
    filled = CONTACT * np.einsum("tc,tcr->tr", weights, light)[:, None]
    is_hidden = ~np.any(is_free, axis=1, keepdims=True)
    return np.where(np.logical_or(is_free, is_hidden)[..., None], light, filled)


def _openness(
    rays: Rays, starts: Float32[np.ndarray, "V 3"], normals: Float32[np.ndarray, "V 3"]
) -> Float64[np.ndarray, " V"]:
    """Share 0..1 of the half space over each point that is free nearby."""
    # A spiral over the unit disc, lifted to the half sphere, is spread like the cosine of the angle to the normal.
    number = np.arange(DIRECTIONS) + 0.5
    radius, turn = np.sqrt(number / DIRECTIONS), number * 2.399963
    helpers = np.array([[0, 0, 1], [1, 0, 0]], np.float32)
    first = np.cross(normals, helpers[(np.abs(normals[:, 2]) > 0.9).astype(np.int64)])
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(normals, first)
    total = np.zeros(len(starts))
    for r, angle in zip(radius, turn, strict=True):
        x, y, z = np.array([r * np.cos(angle), r * np.sin(angle), np.sqrt(1 - r * r)], np.float32)
        hits = rays.cast(starts, x * first + y * second + z * normals)
        total += np.minimum(hits.distance / REACH_M, 1.0)
    return np.asarray(total / DIRECTIONS)


def _direct(
    rays: Rays,
    starts: Float32[np.ndarray, "V 3"],
    normals: Float32[np.ndarray, "V 3"],
    source: Float32[np.ndarray, " 3"],
) -> Float32[np.ndarray, " V"]:
    """Lambert's cosine over the distance of a point light, 0 in shadow."""
    towards = source - starts
    distance_m = np.linalg.norm(towards, axis=1)
    cosine = np.maximum((towards * normals).sum(axis=1) / distance_m, np.float32(0))
    # Unit of the ray parameter is the way to the light: a hit before 1 is a shadow.
    blocked = rays.blocked(starts, towards, 0.98)
    return np.asarray(np.where(blocked, np.float32(0), cosine / np.maximum(distance_m, np.float32(0.5))))
