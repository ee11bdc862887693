"""The cloud as browsers have it: pieces whose colours are sent again when they change."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64, UInt8

from seg3d_core.browser.colouring import true_colours
from seg3d_core.browser.detail import DETAIL_M, POINT_LOOK, POINT_SIZE, detail
from seg3d_core.browser.marks import ClickMarks
from seg3d_core.relabel.actions import Place
from seg3d_core.relabel.web.controller import RelabelController
from seg3d_core.relabel.web.open_scene import OpenScene
from seg3d_core.relabel.web.seen import Seen


class ShownCloud:
    """Nodes of viser's scene.

    Args:
        scene: viser's ``SceneApi``.
    """

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._open: OpenScene | None = None
        self._overview: list[_Node] = []
        self._seen: Seen | None = None
        self._detail: _Detail | None = None
        self._focus: Place | None = None
        self._marks = ClickMarks(scene)

    def show(self, controller: RelabelController, selected: Bool[np.ndarray, " N"] | None, seen: Seen) -> None:
        """Send what is not as it should be.

        Args:
            controller: whose state it is.
            selected: points of the object in progress; None where there is none.
            seen: of the points of the overview.
        """
        now = controller.now
        if now is not self._open:
            self._replace(now)
        self._paint(now, seen, self._changed(seen))
        self._seen = seen
        self._show_detail(controller, selected)
        self._show_marks(controller, selected is not None)

    def _replace(self, now: OpenScene) -> None:
        """Another scene: all of its points are sent, grey."""
        for node in self._overview:
            node.handle.remove()
        size_m = POINT_SIZE * now.overview.spacing_m
        ends = np.cumsum([len(rows) for rows in now.overview.pieces])[:-1]
        self._overview = [
            _Node(self._scene, f"/cloud/{number}", points, size_m)
            for number, points in enumerate(np.split(now.shown.points, ends))
        ]
        self._starts = np.array([0, *ends])
        self._open, self._seen = now, None

    def _changed(self, seen: Seen) -> Int64[np.ndarray, " P"]:
        """Numbers of the pieces that have to be painted."""
        if self._seen is None:
            return np.arange(len(self._overview))
        return np.flatnonzero(np.logical_or.reduceat(seen.differs(self._seen), self._starts))

    def _paint(self, now: OpenScene, seen: Seen, pieces: Int64[np.ndarray, " P"]) -> None:
        """Send the colours of pieces, all of them found at once."""
        if not len(pieces):
            return
        sizes = [len(now.overview.pieces[piece]) for piece in pieces]
        at = np.concatenate(
            [np.arange(start, start + size) for start, size in zip(self._starts[pieces], sizes, strict=True)]
        )
        rgb = seen.at(at).rgb(true_colours(now.shown)[at])
        for piece, own in zip(pieces, np.split(rgb, np.cumsum(sizes)[:-1]), strict=True):
            self._overview[piece].send(own)

    def _show_detail(self, controller: RelabelController, selected: Bool[np.ndarray, " N"] | None) -> None:
        """All points around the last click, where the overview leaves some out."""
        now, focus = controller.now, None if controller.now.overview.is_whole else controller.focus
        if focus != self._focus:
            if self._detail is not None:
                self._detail.node.handle.remove()
            self._detail = None if focus is None else self._detail_at(now, np.array(focus))
            self._focus = focus
        if self._detail is not None:
            seen = controller.seen(self._detail.rows, selected)
            self._detail.node.send(seen.rgb(self._detail.true_rgb))

    def _detail_at(self, now: OpenScene, place: Float64[np.ndarray, "3"]) -> _Detail:
        """All points around a place (m)."""
        points = now.session.cloud.points
        near = now.cells.near_place(place, DETAIL_M)
        rows = near[detail(points[near], place)]
        node = _Node(self._scene, "/detail", points[rows], POINT_SIZE / 2 * now.overview.spacing_m)
        return _Detail(node, rows, true_colours(now.session.cloud.select(rows)))

    def _show_marks(self, controller: RelabelController, something: bool) -> None:
        """The clicks of the object in progress."""
        selection = controller.session.selection if something else None
        self._marks.show(None if selection is None else selection.prompt, controller.now.overview.spacing_m)


class _Node:
    """Points that browsers have, grey until their colours are sent."""

    def __init__(self, scene: Any, name: str, points: Float32[np.ndarray, "P 3"], size_m: float) -> None:
        grey = np.full(points.shape, 128, np.uint8)
        self.handle = scene.add_point_cloud(name, points, grey, point_size=size_m, **POINT_LOOK)

    def send(self, rgb: UInt8[np.ndarray, "P 3"]) -> None:
        """Send colours, where they are others than before."""
        if not np.array_equal(self.handle.colors, rgb):
            self.handle.colors = rgb


class _Detail(NamedTuple):
    """Points that browsers have besides."""

    node: _Node
    rows: Int64[np.ndarray, " D"]
    true_rgb: Float32[np.ndarray, "D 3"]
