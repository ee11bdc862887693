"""From a place on the screen to the scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from seg3d_core.browser.pointing_kernels import first_point_near_ray
from seg3d_core.errors import PromptError

SLOPE = 0.006
"""Over its distance, a point is so far from what the cursor means: about four pixels of 1000 rows and 75 degrees."""

_DEPTH_M = 0.03
"""Behind the nearest point near the cursor, a surface seen at an angle is this deep."""


@dataclass(frozen=True, eq=False)
class ScreenView:
    """What a browser's window shows.

    Attributes:
        T_world_camera: of its camera, an optical frame.
        tangents: (x/z, y/z) of the window's right and lower border.
    """

    T_world_camera: Float64[np.ndarray, "4 4"]
    tangents: tuple[float, float]

    @property
    def matrix(self) -> tuple[float, ...]:
        """``T_world_camera`` row by row."""
        return tuple(float(value) for value in self.T_world_camera.reshape(-1))

    def direction(self, across: float, down: float) -> tuple[float, float]:
        """(x/z, y/z) of a place in the window, 0..1 from its left and upper border."""
        return (2 * across - 1) * self.tangents[0], (2 * down - 1) * self.tangents[1]


def point_under(
    points: Float32[np.ndarray, "N 3"],
    origin: Float64[np.ndarray, "3"],
    direction: Float64[np.ndarray, "3"],
    spacing_m: float,
) -> tuple[float, float, float]:
    """The point of a cloud that a ray from the eye means, m.

    Args:
        points: m.
        origin: of the ray, m.
        direction: of the ray, any length but 0.
        spacing_m: between neighbouring points: what is between points of a near surface must not be looked through.

    Raises:
        PromptError: there is no point near the ray, or it is not finite.
    """
    length = float(np.linalg.norm(direction))
    if not (np.isfinite(origin).all() and np.isfinite(length) and length > 0):
        raise PromptError(f"the ray from {origin.tolist()} along {direction.tolist()} is none")
    row = first_point_near_ray(points, origin, direction / length, spacing_m, SLOPE, _DEPTH_M + spacing_m)
    if row < 0:
        raise PromptError("there is no point under the cursor")
    x, y, z = points[row].tolist()
    return x, y, z
