"""What is around an object: the part of a large cloud that a picture of the object shows."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, Int64

SURROUNDINGS = 1.0
"""Of the object's size, on all sides."""

LEAST_SURROUNDINGS_M = 0.1


def rows_around(points: Float32[np.ndarray, "N 3"], mask: Bool[np.ndarray, " N"]) -> Int64[np.ndarray, " M"]:
    """Rows of the points in the box that the object ``mask`` and its surroundings take; all where it has no points."""
    if not mask.any():
        return np.arange(len(points))
    low, high = points[mask].min(axis=0), points[mask].max(axis=0)
    margin = np.float32(max(SURROUNDINGS * float((high - low).max()), LEAST_SURROUNDINGS_M))
    return np.flatnonzero(((points >= low - margin) & (points <= high + margin)).all(axis=1))
