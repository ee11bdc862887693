"""The points that a line drawn over a view goes around, as far as they can be seen from there."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, Float64

from seg3d_core.errors import PromptError
from seg3d_core.geometry.transforms import apply, invert

_CELLS = 128
"""The longer side of the line's surroundings is so many cells; in each the nearest point hides what is behind it."""

_NEAREST_M = 0.01
"""What is nearer to the camera, or behind it, is not seen."""


def points_in_lasso(
    points: Float32[np.ndarray, "N 3"],
    outline: Float64[np.ndarray, "C 2"],
    T_world_camera: Float64[np.ndarray, "4 4"],
    depth_m: float,
) -> Bool[np.ndarray, " N"]:
    """Points inside the closed line, none farther than ``depth_m`` behind the nearest point in its direction.

    Args:
        points: m, in the world.
        outline: corners of the line, (x/z, y/z) in the optical frame; where it crosses itself, inside is even-odd.
        T_world_camera: of the view.
        depth_m: how deep what is meant may be.

    Raises:
        PromptError: fewer than 3 corners, corners that are not finite, or no points inside.
    """
    if len(outline) < 3 or not np.isfinite(outline).all():
        raise PromptError(f"the lasso has {len(outline)} corners, at least 3 finite ones are needed")
    local = apply(invert(T_world_camera), points)
    depth = local[:, 2]
    seen = local[:, :2] / np.maximum(depth, _NEAREST_M)[:, None]
    low, high = outline.min(axis=0), outline.max(axis=0)
    rows = np.flatnonzero((depth > _NEAREST_M) & (seen >= low).all(axis=1) & (seen <= high).all(axis=1))
    rows = rows[depth[rows] <= _nearest_depth(seen[rows], depth[rows], low, high) + depth_m]
    rows = rows[_inside(seen[rows].astype(np.float64), outline)]
    if not len(rows):
        raise PromptError(f"there are no points inside the lasso of {len(outline)} corners")
    mask = np.zeros(len(points), np.bool_)
    mask[rows] = True
    return mask


def _nearest_depth(
    seen: Float32[np.ndarray, "M 2"],
    depth: Float32[np.ndarray, " M"],
    low: Float64[np.ndarray, "2"],
    high: Float64[np.ndarray, "2"],
) -> Float32[np.ndarray, " M"]:
    """Depth (m) of the nearest point in the cell of each point."""
    edge = max(float((high - low).max()), 1e-9) / _CELLS
    cells = np.floor((seen - low) / edge).astype(np.int64)
    numbers = cells[:, 0] * (_CELLS + 1) + cells[:, 1]
    nearest = np.full((_CELLS + 1) ** 2, np.inf, np.float32)
    np.minimum.at(nearest, numbers, depth)
    found: Float32[np.ndarray, " M"] = nearest[numbers]
    return found


def _inside(places: Float64[np.ndarray, "M 2"], outline: Float64[np.ndarray, "C 2"]) -> Bool[np.ndarray, " M"]:
    """Whether a line from each place to the right crosses the outline an odd number of times."""
    inside = np.zeros(len(places), np.bool_)
    for (ax, ay), (bx, by) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        crosses = (places[:, 1] < ay) != (places[:, 1] < by)
        if crosses.any():
            at = ax + (places[crosses, 1] - ay) / (by - ay) * (bx - ax)
            inside[crosses] ^= places[crosses, 0] < at
    return inside
