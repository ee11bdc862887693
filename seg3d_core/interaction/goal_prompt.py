"""The object that stands at a position on the floor.

A 2-D goal has no height (its z is 0 wherever the floor is), so the floor is found in the cloud. Heights are along z of
the cloud's frame, which must point up.

1. Floor: the lowest level of the points within ``floor_radius_m`` of the goal in x y, but for ``floor_share`` of them,
   which may be noise; its height is the median of those at most twice ``min_height_m`` above that. No points there: the
   goal is outside of the map.
2. Column: the points within ``radius_m`` of the goal in x y, from ``min_height_m`` to ``max_height_m`` over the floor,
   parted where there is a gap higher than ``max_gap_m``: a lamp over a table is another object. The lowest part with
   ``min_points`` is of the object.
3. Where the column is empty, the instance whose footprint (the convex hull of its points in x y) is nearest, at most
   ``footprint_reach_m`` away.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64
from scipy.spatial import ConvexHull, QhullError

from seg3d_core.errors import PromptError
from seg3d_core.interaction.snapping import describe, squared_distances
from seg3d_core.interaction_config import GoalConfig
from seg3d_core.types import Instances


def points_standing_at(
    points: Float32[np.ndarray, "N 3"], goal: Float64[np.ndarray, "2"], config: GoalConfig
) -> Bool[np.ndarray, " N"]:
    """The points of the column over the goal that are of the object standing there; none where nothing stands.

    Raises:
        PromptError: the goal is not finite, or outside of the map.
    """
    if not np.isfinite(goal).all():
        raise PromptError(f"the goal at {goal.tolist()} m is not finite")
    squared = squared_distances(points[:, :2], goal)
    around = squared <= config.floor_radius_m**2
    if not around.any():
        nearest_m = float(np.sqrt(squared.min(initial=np.inf)))
        raise PromptError(
            f"the goal at {describe(goal)} m is outside of the map: its nearest point is {nearest_m:.3g} m away, "
            f"at most {config.floor_radius_m:g} m is allowed"
        )
    floor_m = _floor_m(points[around, 2], config)
    rows = np.flatnonzero(squared <= config.radius_m**2)
    height_m = points[rows, 2] - floor_m
    rows = rows[(height_m >= config.min_height_m) & (height_m <= config.max_height_m)]
    standing = np.zeros(len(points), np.bool_)
    standing[_lowest_part(points[:, 2], rows, config)] = True
    return standing


def instance_at(instances: Instances, goal: Float64[np.ndarray, "2"], config: GoalConfig) -> int:
    """Row of the instance whose footprint is nearest to the goal, the first of equals.

    Raises:
        PromptError: none is within reach.
    """
    distances = [footprint_distance_m(instances.cloud.points[mask, :2], goal) for mask in instances.masks]
    nearest_m = min(distances, default=np.inf)
    if nearest_m > config.footprint_reach_m:
        raise nothing_stands(goal, config, f"the nearest of {len(distances)} instances is {nearest_m:.3g} m away")
    return distances.index(nearest_m)


def nothing_stands(goal: Float64[np.ndarray, "2"], config: GoalConfig, instances: str) -> PromptError:
    """What is said where the column is empty and no instance stands in; ``instances`` says why."""
    return PromptError(
        f"nothing stands at the goal at {describe(goal)} m: fewer than {config.min_points} points within "
        f"{config.radius_m:g} m of it are from {config.min_height_m:g} to {config.max_height_m:g} m over the floor; "
        f"{instances}, at most {config.footprint_reach_m:g} m is allowed"
    )


def footprint_distance_m(xy: Float32[np.ndarray, "N 2"], goal: Float64[np.ndarray, "2"]) -> float:
    """Distance (m) from the goal to the convex hull of points; 0 inside of it, infinite where there are none."""
    if not len(xy):
        return np.inf
    offsets = xy.astype(np.float64) - goal
    try:
        hull = ConvexHull(offsets)
    except (QhullError, ValueError):  # fewer than three points, or all on one line: their nearest is near enough
        return float(np.linalg.norm(offsets, axis=1).min())
    if (hull.equations[:, 2] <= 0).all():
        return 0.0
    starts, ends = offsets[hull.simplices[:, 0]], offsets[hull.simplices[:, 1]]
    edges = ends - starts
    along = np.clip(-(starts * edges).sum(axis=1) / (edges * edges).sum(axis=1), 0, 1)
    return float(np.linalg.norm(starts + along[:, None] * edges, axis=1).min())


def _floor_m(z: Float32[np.ndarray, " N"], config: GoalConfig) -> float:
    lowest = np.quantile(z, config.floor_share)
    return float(np.median(z[z <= lowest + 2 * config.min_height_m]))


def _lowest_part(
    z: Float32[np.ndarray, " N"], rows: Int64[np.ndarray, " C"], config: GoalConfig
) -> Int64[np.ndarray, " L"]:
    """Of the points of a column those of its lowest part; none where no part has enough."""
    rising = rows[np.argsort(z[rows], kind="stable")]
    parts = np.split(rising, np.flatnonzero(np.diff(z[rising]) > config.max_gap_m) + 1)
    return next((part for part in parts if len(part) >= config.min_points), rising[:0])
