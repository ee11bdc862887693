"""The cloud as browsers have it: pieces whose colours are sent again when they change."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Int32, Int64, UInt8

from seg3d_core.browser.colouring import Colours, point_colours, true_colours
from seg3d_core.browser.detail import POINT_LOOK, POINT_SIZE, detail
from seg3d_core.browser.marks import ClickMarks
from seg3d_core.relabel.actions import Place
from seg3d_core.relabel.web.controller import OpenScene, RelabelController


class ShownCloud:
    """Nodes of viser's scene.

    Args:
        scene: viser's ``SceneApi``.
    """

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._open: OpenScene | None = None
        self._overview: list[_Node] = []
        self._seen: _Seen | None = None
        self._detail: _Node | None = None
        self._focus: Place | None = None
        self._marks = ClickMarks(scene)

    def show(self, controller: RelabelController, selected: Bool[np.ndarray, " N"] | None) -> None:
        """Send what is not as it should be."""
        now = controller.now
        if now is not self._open:
            self._replace(now)
        seen = _Seen(controller, selected, self._rows)
        self._paint(seen, np.flatnonzero(seen.changed(self._seen, self._starts)))
        self._seen = seen
        self._show_detail(controller, selected)
        self._show_marks(controller, selected is not None)

    def _replace(self, now: OpenScene) -> None:
        """Another scene: all of its points are sent, grey."""
        for node in self._overview:
            node.handle.remove()
        size_m = POINT_SIZE * now.overview.spacing_m
        self._overview = [
            _Node(self._scene, f"/cloud/{number}", now, rows, size_m) for number, rows in enumerate(now.overview.pieces)
        ]
        self._rows = now.overview.rows
        self._starts = np.cumsum([0, *(len(rows) for rows in now.overview.pieces[:-1])])
        self._true_rgb = true_colours(now.session.cloud.select(self._rows))
        self._open, self._seen = now, None

    def _paint(self, seen: _Seen, pieces: Int64[np.ndarray, " P"]) -> None:
        """Send the colours of pieces, all of them found at once."""
        if not len(pieces):
            return
        places = [slice(self._starts[piece], self._starts[piece] + len(self._overview[piece].rows)) for piece in pieces]
        at = np.concatenate([np.arange(place.start, place.stop) for place in places])
        chosen = seen.selected[at]
        rgb = point_colours(
            self._true_rgb[at], seen.ids[at], chosen if chosen.any() else None, seen.picked, seen.colours
        )
        ends = np.cumsum([place.stop - place.start for place in places])[:-1]
        for piece, own in zip(pieces, np.split(rgb, ends), strict=True):
            self._overview[piece].send(own)

    def _show_detail(self, controller: RelabelController, selected: Bool[np.ndarray, " N"] | None) -> None:
        """All points around the last click, where the overview leaves some out."""
        now, focus = controller.now, None if controller.now.overview.is_whole else controller.focus
        if focus != self._focus:
            if self._detail is not None:
                self._detail.handle.remove()
            rows = None if focus is None else detail(controller.session.cloud.points, np.array(focus))
            self._detail = (
                None
                if rows is None
                else _Node(self._scene, "/detail", now, rows, POINT_SIZE / 2 * now.overview.spacing_m)
            )
            self._focus = focus
        if self._detail is not None:
            self._detail.paint(controller, selected)

    def _show_marks(self, controller: RelabelController, something: bool) -> None:
        """The clicks of the object in progress."""
        selection = controller.session.selection if something else None
        self._marks.show(None if selection is None else selection.prompt, controller.now.overview.spacing_m)


class _Seen:
    """What decides the colours of points that browsers have."""

    def __init__(
        self, controller: RelabelController, selected: Bool[np.ndarray, " N"] | None, rows: Int64[np.ndarray, " R"]
    ) -> None:
        self.ids: Int32[np.ndarray, " R"] = controller.session.instance_ids[rows]
        self.selected = np.zeros(len(rows), np.bool_) if selected is None else selected[rows]
        self.picked = controller.picked
        self.colours: Colours = controller.colours

    def changed(self, before: _Seen | None, starts: Int64[np.ndarray, " P"]) -> Bool[np.ndarray, " P"]:
        """Which pieces, each from a row of ``starts`` to the next, look otherwise than ``before``."""
        if before is None or before.colours != self.colours:
            return np.ones(len(starts), np.bool_)
        differs = (self.ids != before.ids) | (self.selected != before.selected)
        if self.picked != before.picked:
            differs |= np.isin(self.ids, [*self.picked, *before.picked])
        pieces: Bool[np.ndarray, " P"] = np.logical_or.reduceat(differs, starts)
        return pieces


class _Node:
    """Points that browsers have, and those rows of the cloud that they are."""

    def __init__(self, scene: Any, name: str, now: OpenScene, rows: Int64[np.ndarray, " P"], size_m: float) -> None:
        points = now.session.cloud.points[rows]
        grey = np.full(points.shape, 128, np.uint8)
        self.rows = rows
        self.handle = scene.add_point_cloud(name, points, grey, point_size=size_m, **POINT_LOOK)

    def paint(self, controller: RelabelController, selected: Bool[np.ndarray, " N"] | None) -> None:
        """Send the colours, where they are others than before."""
        self.send(_colours(controller, self.rows, selected))

    def send(self, rgb: UInt8[np.ndarray, "P 3"]) -> None:
        """Send colours, where they are others than before."""
        if not np.array_equal(self.handle.colors, rgb):
            self.handle.colors = rgb


def _colours(
    controller: RelabelController, rows: Int64[np.ndarray, " P"], selected: Bool[np.ndarray, " N"] | None
) -> UInt8[np.ndarray, "P 3"]:
    session = controller.session
    part = session.cloud.select(rows)
    chosen = None if selected is None else selected[rows]
    return point_colours(true_colours(part), session.instance_ids[rows], chosen, controller.picked, controller.colours)
