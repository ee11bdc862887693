"""From a place in space to a point of the cloud: whoever clicks never hits one exactly."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32, Float64

from seg3d_core.errors import PromptError
from seg3d_core.interaction.snapping_kernels import nearest_row


def snap(points: Float32[np.ndarray, "N 3"], click: Float[np.ndarray, "3"], max_snap_m: float) -> tuple[int, float]:
    """Row of the point nearest to ``click`` (m, in the frame of the points), the first of equals; its distance (m).

    One look at every point: 3 ms for two million of them, of which a search tree would take half a second to build.

    Raises:
        PromptError: the click is not finite, there are no points, or the nearest is farther than ``max_snap_m``.
    """
    at = _checked(click)
    if not len(points):
        raise PromptError("there is nothing to click on: the cloud has no points")
    # In float32, the number type of the points; the distance that is told and judged is exact.
    with np.errstate(over="ignore"):
        row = int(nearest_row(points, at.astype(np.float32)))
    distance_m = float(np.linalg.norm(points[row] - at))
    if distance_m > max_snap_m:
        raise PromptError(
            f"the click at {describe(at)} m is {distance_m:.3g} m from the nearest point of the cloud, at most "
            f"{max_snap_m:g} m is allowed"
        )
    return row, distance_m


def squared_distances(
    points: Float32[np.ndarray, "N D"], place: Float64[np.ndarray, " D"]
) -> Float32[np.ndarray, " N"]:
    """Of every point from one place, m²; overflows to infinity far away."""
    total = np.zeros(len(points), np.float32)
    with np.errstate(over="ignore"):
        # Axis by axis: half the time of differences in rows of three.
        for axis in range(points.shape[1]):
            difference = points[:, axis] - np.float32(place[axis])
            total += np.square(difference, out=difference)
    return total


def describe(place: Float64[np.ndarray, " D"]) -> str:
    """Coordinates for messages, to the millimetre."""
    return str(np.round(place, 3).tolist())


def _checked(click: Float[np.ndarray, "3"]) -> Float64[np.ndarray, "3"]:
    if not np.isfinite(click).all():
        raise PromptError(f"the click at {click.tolist()} m is not finite")
    at: Float64[np.ndarray, "3"] = click.astype(np.float64)
    return at
