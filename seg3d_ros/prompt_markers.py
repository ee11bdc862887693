"""The object in progress as visualization_msgs markers: its points, the clicks, and what the model says of it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64
from visualization_msgs.msg import Marker

from seg3d_core.colours import instance_colours
from seg3d_core.interaction.selection import Selection
from seg3d_ros.marker_encoding import MarkerShape, Triple, encode_markers
from seg3d_ros.markers import evenly
from seg3d_ros.prompt_view import PromptView

MASK, INCLUDE, EXCLUDE, LABEL = "seg3d/mask", "seg3d/click_include", "seg3d/click_exclude", "seg3d/label"
GREEN, RED = (0.1, 0.9, 0.2, 1.0), (0.95, 0.15, 0.1, 1.0)
_DELETE_ALL = MarkerShape("", 0, Marker.DELETEALL)


class PromptMarkers:
    """Turns the state into marker arrays and remembers what is shown, so that what vanished can be deleted.

    The points of the mask are points, which hide nothing from RViz's Publish Point tool; the label floats over the
    object. Clicks are small spheres: who clicks on one is snapped to the cloud again.

    Args:
        up: the vertical in the cloud's frame; labels are moved along it.
        max_points: larger masks are thinned out evenly.
        point_size_m: edge of a point.
        click_size_m: diameter of a click.
        text_height_m: of the label; also its distance from the object.
    """

    def __init__(
        self,
        up: tuple[float, float, float],
        *,
        max_points: int = 5000,
        point_size_m: float = 0.01,
        click_size_m: float = 0.03,
        text_height_m: float = 0.08,
    ) -> None:
        self._up = np.array(up)
        self._max_points = max_points
        self._point_size_m = point_size_m
        self._click_size_m = click_size_m
        self._text_height_m = text_height_m
        self._shown: set[tuple[str, int]] = set()
        self._cleared = False

    def update(self, view: PromptView) -> bytes:
        """The serialised MarkerArray that shows the object in progress and deletes what is no longer there.

        The first one after ``clear`` deletes everything once more: a slow subscriber may get this one only.
        """
        shapes = [] if view.selection is None else self._shapes(view.object_id, view.selection)
        shown = {(shape.ns, shape.number) for shape in shapes}
        before = [_DELETE_ALL] if self._cleared else []
        before += [MarkerShape(ns, number, Marker.DELETE) for ns, number in sorted(self._shown - shown)]
        self._shown, self._cleared = shown, False
        return encode_markers(view.cloud.frame_id, view.cloud.stamp_ns, before + shapes)

    def clear(self) -> bytes:
        """The serialised MarkerArray that deletes every marker, also those that an earlier run left behind."""
        self._shown, self._cleared = set(), True
        return encode_markers("", 0, [_DELETE_ALL])

    def _shapes(self, number: int, selection: Selection) -> list[MarkerShape]:
        points = selection.cloud.points[selection.mask]
        clicks, is_foreground = selection.prompt.points, selection.prompt.is_foreground
        r, g, b = instance_colours(np.array([number], np.int32))[0].tolist()
        few = points[evenly(len(points), self._max_points)]
        dot, ball = self._point_size_m, self._click_size_m
        lists = [
            (MASK, Marker.POINTS, few, (dot, dot, 0.0), (r, g, b, 1.0)),
            (INCLUDE, Marker.SPHERE_LIST, clicks[is_foreground], (ball, ball, ball), GREEN),
            (EXCLUDE, Marker.SPHERE_LIST, clicks[~is_foreground], (ball, ball, ball), RED),
        ]
        shapes = [
            MarkerShape(ns, number, Marker.ADD, shape, scale=scale, colour=colour, points=each)
            for ns, shape, each, scale, colour in lists
            if len(each)
        ]
        anchor = points if len(points) else clicks
        return [*shapes, self._label(number, selection, anchor)] if len(anchor) else shapes

    def _label(self, number: int, selection: Selection, around: Float32[np.ndarray, "K 3"]) -> MarkerShape:
        count = len(selection.candidates.mask_logits)
        text = (
            f"#{number}  {selection.chosen + 1}/{count}  IoU {selection.iou_prediction:.2f}  "
            f"stability {selection.stability:.2f}"
        )
        return MarkerShape(
            LABEL,
            number,
            Marker.ADD,
            Marker.TEXT_VIEW_FACING,
            position=self._above(around.astype(np.float64)),
            scale=(0.0, 0.0, self._text_height_m),
            colour=(1.0, 1.0, 1.0, 1.0),
            text=text,
        )

    def _above(self, points: Float64[np.ndarray, "K 3"]) -> Triple:
        """Over the middle of the points, higher than all of them."""
        middle = points.mean(axis=0)
        height_m = float((points @ self._up).max() - middle @ self._up)
        x, y, z = (middle + self._up * (height_m + 1.5 * self._text_height_m)).tolist()
        return x, y, z
