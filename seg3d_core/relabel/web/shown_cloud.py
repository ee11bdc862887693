"""The cloud as browsers have it: pieces whose colours are sent again when they change."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Int64, UInt8

from seg3d_core.relabel.web.colouring import point_colours, true_colours
from seg3d_core.relabel.web.controller import OpenScene, RelabelController
from seg3d_core.relabel.web.detail import detail


class ShownCloud:
    """Nodes of viser's scene.

    Args:
        scene: viser's ``SceneApi``.
    """

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._open: OpenScene | None = None
        self._pieces: list[tuple[Any, Int64[np.ndarray, " P"]]] = []
        self._detail: Any = None
        self._marks: list[Any] = []

    def show(self, controller: RelabelController, selected: Bool[np.ndarray, " N"] | None) -> None:
        """Send what is not as it should be."""
        now = controller.now
        if now is not self._open:
            self._replace(now)
        for node, rows in self._pieces:
            rgb = _colours(controller, rows, selected)
            if not np.array_equal(node.colors, rgb):
                node.colors = rgb
        self._show_detail(controller, selected)
        self._show_marks(controller)

    def _replace(self, now: OpenScene) -> None:
        for node, _ in self._pieces:
            node.remove()
        points, size_m = now.session.cloud.points, 1.5 * now.overview.spacing_m
        grey = np.full(3, 128, np.uint8)
        self._pieces = [
            (
                self._scene.add_point_cloud(
                    f"/cloud/{number}", points[rows], np.tile(grey, (len(rows), 1)), point_size=size_m,
                    point_shape="circle", point_shading="flat", precision="float32",
                ),
                rows,
            )
            for number, rows in enumerate(now.overview.pieces)
        ]  # fmt: skip
        self._open = now

    def _show_detail(self, controller: RelabelController, selected: Bool[np.ndarray, " N"] | None) -> None:
        """All points around the last click, where the overview leaves some out."""
        if self._detail is not None:
            self._detail.remove()
            self._detail = None
        if controller.now.overview.is_whole or controller.focus is None:
            return
        points = controller.session.cloud.points
        rows = detail(points, np.array(controller.focus))
        self._detail = self._scene.add_point_cloud(
            "/detail", points[rows], _colours(controller, rows, selected), precision="float32",
            point_size=controller.now.overview.spacing_m, point_shape="circle", point_shading="flat",
        )  # fmt: skip

    def _show_marks(self, controller: RelabelController) -> None:
        """A ball at every click of the object in progress: green on it, red beside it."""
        for mark in self._marks:
            mark.remove()
        selection = controller.session.selection if controller.selected is not None else None
        self._marks = []
        if selection is None:
            return
        clicks = zip(selection.prompt.points, selection.prompt.is_foreground, strict=True)
        for number, (place, on_it) in enumerate(clicks):
            self._marks.append(
                self._scene.add_icosphere(
                    f"/clicks/{number}", radius=1.5 * controller.now.overview.spacing_m,
                    color=(0, 200, 0) if on_it else (220, 0, 0), position=place,
                )
            )  # fmt: skip


def _colours(
    controller: RelabelController, rows: Int64[np.ndarray, " P"], selected: Bool[np.ndarray, " N"] | None
) -> UInt8[np.ndarray, "P 3"]:
    session = controller.session
    part = session.cloud.select(rows)
    chosen = None if selected is None else selected[rows]
    return point_colours(true_colours(part), session.instance_ids[rows], chosen, controller.picked, controller.colours)
