"""An object by the box around it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Float32

from seg3d_core.errors import PromptError
from seg3d_core.interaction.rows_kernels import rows_in_box


def points_in_box(
    points: Float32[np.ndarray, "N 3"], corner_a: Float[np.ndarray, "3"], corner_b: Float[np.ndarray, "3"],
    margin_m: float,
) -> Bool[np.ndarray, " N"]:  # fmt: skip
    """The points in the box between two opposite corners, whichever, and at most ``margin_m`` beside it.

    The sides of the box are along the axes of the frame of the points, m.

    Raises:
        PromptError: a corner is not finite, or there are no points in the box.
    """
    corners = np.stack([corner_a, corner_b]).astype(np.float64)
    if not np.isfinite(corners).all():
        raise PromptError(f"the corners of the box are not finite: {corners.tolist()} m")
    low, high = corners.min(axis=0) - margin_m, corners.max(axis=0) + margin_m
    inside = np.zeros(len(points), np.bool_)
    inside[rows_in_box(points, low, high)] = True
    if not inside.any():
        size = " x ".join(f"{length:.3g}" for length in high - low)
        outside = np.maximum(np.maximum(low - points, points - high), 0)
        nearest_m = float(np.linalg.norm(outside, axis=1).min(initial=np.inf))
        raise PromptError(f"there are no points in the box of {size} m, the nearest is {nearest_m:.3g} m from it")
    return inside
