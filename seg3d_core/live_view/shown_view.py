"""The newest cloud as browsers have it: sent again when another one comes, its colours when they change."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Int64

from seg3d_core.browser.colouring import point_colours
from seg3d_core.browser.detail import POINT_LOOK, POINT_SIZE, detail
from seg3d_core.browser.marks import ClickMarks
from seg3d_core.live_view.view import Layer, LiveView, PlacedClick
from seg3d_core.types import Prompt


class ShownView:
    """Nodes of viser's scene.

    Args:
        scene: viser's ``SceneApi``.
    """

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._base: Layer | None = None
        self._nodes: dict[str, _Node] = {}
        self._clicked: PlacedClick | None = None
        self._mark = ClickMarks(scene)
        self._revision = -1

    def show(self, view: LiveView) -> None:
        """Send what is not as it should be."""
        if view.revision == self._revision or view.base is None:
            return
        self._revision = view.revision
        if view.base is not self._base or view.clicked != self._clicked:
            self._place(view, view.base)
        for node in self._nodes.values():
            node.paint(view)

    def _place(self, view: LiveView, base: Layer) -> None:
        """The points: an even subset, all around the last click, and a mark there."""
        if base is not self._base:
            self._put("/cloud", base, base.rows, POINT_SIZE * base.spacing_m)
        self._base, self._clicked = base, view.clicked
        around = np.empty(0, np.int64)
        if view.clicked is not None and not base.is_whole:
            around = detail(base.cloud.points, np.array(view.clicked.point))
        self._put("/detail", base, around, POINT_SIZE / 2 * base.spacing_m)
        clicked = None if view.clicked is None else Prompt.click(*view.clicked.point, view.clicked.is_foreground)
        self._mark.show(clicked, base.spacing_m)

    def _put(self, name: str, base: Layer, rows: Int64[np.ndarray, " P"], size_m: float) -> None:
        if len(rows):
            self._nodes[name] = _Node(self._scene, name, base, rows, size_m)
        elif name in self._nodes:
            self._nodes.pop(name).handle.remove()


class _Node:
    """Points that browsers have, and those rows of the cloud that they are."""

    def __init__(self, scene: Any, name: str, base: Layer, rows: Int64[np.ndarray, " P"], size_m: float) -> None:
        self.rows = rows
        points = base.cloud.points[rows]
        # A node of the same name takes the place of the one before, also in what a slow browser has yet to get.
        grey = np.full(points.shape, 128, np.uint8)
        self.handle = scene.add_point_cloud(name, points, grey, point_size=size_m, **POINT_LOOK)

    def paint(self, view: LiveView) -> None:
        """Send the colours, where they are others than before."""
        ids, selected = view.instance_ids(self.rows), view.selected(self.rows)
        rgb = point_colours(view.true_rgb(self.rows), ids, selected, (), view.colours)
        if not np.array_equal(self.handle.colors, rgb):
            self.handle.colors = rgb
