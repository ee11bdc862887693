"""Between a cloud in its own frame and the one that the network knows: radius 1 around the mean of its points, y up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64

from seg3d_core.errors import InputError, PromptError

_UP_TO_Y = {
    "y": np.eye(3),
    # z up to y up as in the released evaluation; the turn about the vertical axis is free, training draws it.
    "z": np.array([[-1.0, 0, 0], [0, 0, 1], [0, 1, 0]]),
}

_ROUNDING = 1e-4
"""A click this far (of the radius) outside of the network's cube is one on its border."""


@dataclass(frozen=True, eq=False)
class Normalisation:
    """How coordinates of one cloud become those of the network.

    Attributes:
        rotation: from the frame of the cloud to the network's directions.
        centre_m: (3,) mean of the points in the frame of the cloud, m.
        radius_m: distance of the farthest point from it, m.
    """

    rotation: Float64[np.ndarray, "3 3"]
    centre_m: Float64[np.ndarray, "3"]
    radius_m: float

    @classmethod
    def of(cls, points: Float32[np.ndarray, "N 3"], up: str) -> Normalisation:
        """That of a cloud whose axis ``up`` (y or z) points up.

        Raises:
            InputError: all points lie in one place, or there are none.
        """
        if not len(points):
            raise InputError("the cloud has no points")
        centre = points.mean(axis=0, dtype=np.float64)
        radius = float(np.linalg.norm(points - centre, axis=1).max())
        if radius < np.finfo(np.float32).eps * max(1.0, float(np.abs(centre).max())):
            raise InputError(
                f"all {len(points)} points lie within {radius:g} m of {centre.tolist()} m: no object to see"
            )
        return cls(_UP_TO_Y[up], centre, radius)

    def apply(self, points: Float[np.ndarray, "N 3"]) -> Float32[np.ndarray, "N 3"]:
        """Points (m) in the network's coordinates."""
        normalised: Float32[np.ndarray, "N 3"] = ((points - self.centre_m) / self.radius_m @ self.rotation.T).astype(
            np.float32
        )
        return normalised

    def apply_to_clicks(self, points: Float[np.ndarray, "P 3"]) -> Float32[np.ndarray, "P 3"]:
        """Clicks (m) in the network's coordinates.

        Raises:
            PromptError: a click is outside of the box that the network knows, twice the radius wide.
        """
        normalised = self.apply(points)
        outside = np.abs(normalised).max(axis=1, initial=0) > 1 + _ROUNDING
        if outside.any():
            click = points[int(outside.argmax())]
            raise PromptError(
                f"the click at {np.round(click, 3).tolist()} m lies outside of the cloud: "
                f"{np.linalg.norm(click - self.centre_m):.3g} m from its centre, its radius is {self.radius_m:.3g} m"
            )
        clipped: Float32[np.ndarray, "P 3"] = np.clip(normalised, -1, 1)
        return clipped
