"""Instances as visualization_msgs markers.

``ns`` says what a marker is ("seg3d/box", "seg3d/points", "seg3d/label"), ``id`` is the instance id and the colour is
a function of it, so that an object keeps its marker for as long as it keeps its id. Boxes are lines and labels float
above them: nothing solid lies in front of a surface, where it would catch the clicks of RViz's Publish Point tool.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int32
from visualization_msgs.msg import Marker

from seg3d_core.colours import instance_colours
from seg3d_core.geometry.boxes import EDGES, oriented_boxes
from seg3d_core.masks_kernels import gather
from seg3d_core.types import Instances
from seg3d_ros.marker_encoding import MarkerShape, encode_markers

BOX, POINTS, LABEL = "seg3d/box", "seg3d/points", "seg3d/label"
_KINDS = (BOX, POINTS, LABEL)
_DELETE_ALL = MarkerShape("", 0, Marker.DELETEALL)


class InstanceMarkers:
    """Turns results into marker arrays and remembers what is shown, so that what vanished can be deleted.

    Points are thinned out evenly, for the sake of those who receive and draw them; the labelled cloud has all of them.

    Args:
        up: the vertical in the cloud's frame; boxes stand on it, labels are moved along it.
        max_points_per_instance: thin out larger instances.
        max_points: of all instances together, shared equally.
        point_size_m: edge of a point.
        line_width_m: of box edges.
        text_height_m: of labels; also their distance from the box.
    """

    def __init__(
        self,
        up: tuple[float, float, float] = (0.0, 0.0, 1.0),
        *,
        max_points_per_instance: int = 2000,
        max_points: int = 20_000,
        point_size_m: float = 0.01,
        line_width_m: float = 0.01,
        text_height_m: float = 0.1,
    ) -> None:
        self._up = up
        self._max_points_per_instance = max_points_per_instance
        self._max_points = max_points
        self._point_size_m = point_size_m
        self._line_width_m = line_width_m
        self._text_height_m = text_height_m
        self._shown: set[int] = set()
        self._cleared = False

    def update(self, instances: Instances) -> bytes:
        """The serialised MarkerArray that adds or changes the markers of these instances and deletes those gone.

        An instance without points has no markers. Markers carry the cloud's frame and stamp. The first array after
        ``clear`` deletes everything once more: a slow subscriber may get this one only.
        """
        rows, members = _members(instances)
        ids, scores = instances.instance_ids[rows], instances.scores[rows]
        shown = set(ids.tolist())
        gone = sorted(self._shown - shown)
        shapes = [_DELETE_ALL] if self._cleared else []
        shapes += [MarkerShape(kind, number, Marker.DELETE) for number in gone for kind in _KINDS]
        if members:
            shapes += self._shapes(ids, scores, members)
        self._shown, self._cleared = shown, False
        return encode_markers(instances.cloud.frame_id, instances.cloud.stamp_ns, shapes)

    def clear(self) -> bytes:
        """The serialised MarkerArray that deletes every marker, also those that an earlier run left behind."""
        self._shown, self._cleared = set(), True
        return encode_markers("", 0, [_DELETE_ALL])

    def _shapes(
        self, ids: Int32[np.ndarray, " K"], scores: Float32[np.ndarray, " K"], members: list[Float32[np.ndarray, "_ 3"]]
    ) -> list[MarkerShape]:
        """Three markers for each instance, whose points are ``members``."""
        starts = np.cumsum([0, *(len(points) for points in members)])
        boxes = oriented_boxes(np.concatenate(members), starts, self._up)
        edges = boxes.corners()[:, EDGES.reshape(-1)]
        above = boxes.size[:, 2:] / 2 + self._text_height_m
        places = (boxes.center + boxes.T_world_box[:, :3, 2] * above).tolist()
        limit = min(self._max_points_per_instance, self._max_points // len(members))
        line, dot, letter = self._line_width_m, self._point_size_m, self._text_height_m
        colours = [(r, g, b, 1.0) for r, g, b in instance_colours(ids).tolist()]
        add = Marker.ADD
        shapes = []
        for number, score, points, box, (x, y, z), colour in zip(
            ids.tolist(), scores.tolist(), members, edges, places, colours, strict=True
        ):
            few = points[evenly(len(points), limit)]
            text = f"#{number} {score:.2f}"
            shapes += [
                MarkerShape(BOX, number, add, Marker.LINE_LIST, scale=(line, 0.0, 0.0), colour=colour, points=box),
                MarkerShape(POINTS, number, add, Marker.POINTS, scale=(dot, dot, 0.0), colour=colour, points=few),
                MarkerShape(
                    LABEL, number, add, Marker.TEXT_VIEW_FACING, (x, y, z), (0.0, 0.0, letter), colour, text=text
                ),
            ]
        return shapes


def _members(instances: Instances) -> tuple[list[int], list[Float32[np.ndarray, "_ 3"]]]:
    """Rows of the instances that have points, and the points of each."""
    found = np.empty((len(instances.cloud), 3), np.float32)
    masks, points = np.ascontiguousarray(instances.masks), np.ascontiguousarray(instances.cloud.points)
    counts = ((row, gather(mask, points, found)) for row, mask in enumerate(masks))
    members = {row: found[:count].copy() for row, count in counts if count}
    return list(members), list(members.values())


def evenly(count: int, limit: int) -> slice | np.ndarray:
    """Which of ``count`` points to keep so that at most ``limit`` are left; always the same ones."""
    return slice(None) if count <= limit else np.arange(limit) * count // limit
