"""Where people clicked, as balls of points: these need no light, whose shaders slow browsers compile for seconds."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float32

from seg3d_core.browser.detail import POINT_LOOK
from seg3d_core.types import Prompt

_ON, _BESIDE = np.array([0, 200, 0], np.uint8), np.array([220, 0, 0], np.uint8)

_POINTS = 60
"""Of a ball; they close its surface."""

_RADIUS = 1.5
"""Of a ball, over the distance of neighbouring points of the cloud."""

_DOT = 0.35
"""Size of a point of a ball, over the radius of that."""


class ClickMarks:
    """A ball at every click: green on the object, red beside it.

    Args:
        scene: viser's ``SceneApi``.
    """

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._shown: tuple[bytes, bytes, float] | None = None
        self._handle: Any = None

    def show(self, clicks: Prompt | None, spacing_m: float) -> None:
        """Send them, where they are others than before; ``spacing_m``: between neighbouring points of the cloud."""
        if clicks is None or not len(clicks.points):
            self._drop()
            return
        state = clicks.points.tobytes(), clicks.is_foreground.tobytes(), spacing_m
        if state == self._shown:
            return
        self._shown = state
        radius_m = _RADIUS * spacing_m
        points = (clicks.points[:, None] + radius_m * _ball()).reshape(-1, 3)
        colours = np.where(clicks.is_foreground[:, None], _ON, _BESIDE).repeat(_POINTS, axis=0)
        # A node of the same name takes the place of the one before.
        self._handle = self._scene.add_point_cloud("/clicks", points, colours, point_size=_DOT * radius_m, **POINT_LOOK)

    def _drop(self) -> None:
        if self._handle is not None:
            self._handle.remove()
        self._handle = self._shown = None


def _ball() -> Float32[np.ndarray, "P 3"]:
    """Points that are evenly on a sphere of radius 1: a spiral from pole to pole."""
    height = 1 - (2 * np.arange(_POINTS) + 1) / _POINTS
    angle = np.pi * (1 + 5**0.5) * np.arange(_POINTS)
    across = np.sqrt(1 - height**2)
    return np.stack([across * np.cos(angle), across * np.sin(angle), height], axis=1).astype(np.float32)
