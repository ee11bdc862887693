"""Instances as visualization_msgs markers.

``ns`` says what a marker is ("seg3d/box", "seg3d/points", "seg3d/label"), ``id`` is the instance id and the colour is
a function of it, so that an object keeps its marker for as long as it keeps its id. Boxes are lines and labels float
above them: nothing solid lies in front of a surface, where it would catch the clicks of RViz's Publish Point tool.
"""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from jaxtyping import Float, Float32
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from seg3d_core.colours import instance_colours
from seg3d_core.geometry.boxes import EDGES, OrientedBox, oriented_box
from seg3d_core.types import Instances
from seg3d_ros.conversions.stamps import header

BOX, POINTS, LABEL = "seg3d/box", "seg3d/points", "seg3d/label"
_KINDS = (BOX, POINTS, LABEL)


class InstanceMarkers:
    """Turns results into marker arrays and remembers what is shown, so that what vanished can be deleted.

    Each geometry_msgs/Point costs about 2 microseconds to make and send; therefore points are thinned out evenly. The
    labelled cloud has all of them.

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

    def update(self, instances: Instances) -> MarkerArray:
        """Add or change the markers of these instances, delete those of instances that are gone.

        An instance without points has no markers. Markers carry the cloud's frame and stamp.
        """
        head = header(instances.cloud.frame_id, instances.cloud.stamp_ns)
        colours = instance_colours(instances.instance_ids)
        members = {row: index for row in range(len(instances)) if len(index := np.flatnonzero(instances.masks[row]))}
        shown = {int(instances.instance_ids[row]) for row in members}
        markers = [
            Marker(header=head, ns=kind, id=gone, action=Marker.DELETE)
            for gone in sorted(self._shown - shown)
            for kind in _KINDS
        ]
        limit = min(self._max_points_per_instance, self._max_points // max(len(members), 1))
        for row, index in members.items():
            points = instances.cloud.points[index]
            number, score = int(instances.instance_ids[row]), float(instances.scores[row])
            box = oriented_box(points, self._up)
            colour = _colour(colours[row])
            markers += [
                self._box(head, number, colour, box),
                self._points(head, number, colour, points, limit),
                self._label(head, number, colour, box, score),
            ]
        self._shown = shown
        return MarkerArray(markers=markers)

    def clear(self) -> MarkerArray:
        """Delete every marker, also those that an earlier run of the node left behind."""
        self._shown = set()
        return MarkerArray(markers=[Marker(action=Marker.DELETEALL)])

    def _box(self, head: Header, number: int, colour: ColorRGBA, box: OrientedBox) -> Marker:
        marker = _marker(head, BOX, number, Marker.LINE_LIST, colour)
        marker.scale = Vector3(x=self._line_width_m)
        marker.points = _point_messages(box.corners()[EDGES.reshape(-1)])
        return marker

    def _points(
        self, head: Header, number: int, colour: ColorRGBA, points: Float32[np.ndarray, "N 3"], limit: int
    ) -> Marker:
        marker = _marker(head, POINTS, number, Marker.POINTS, colour)
        marker.scale = Vector3(x=self._point_size_m, y=self._point_size_m)
        marker.points = _point_messages(points[_evenly(len(points), limit)])
        return marker

    def _label(self, head: Header, number: int, colour: ColorRGBA, box: OrientedBox, score: float) -> Marker:
        marker = _marker(head, LABEL, number, Marker.TEXT_VIEW_FACING, colour)
        marker.scale = Vector3(z=self._text_height_m)
        above = box.center + box.T_world_box[:3, 2] * (box.size[2] / 2 + self._text_height_m)
        marker.pose.position = _point_messages(above[None])[0]
        marker.text = f"#{number} {score:.2f}"
        return marker


def _marker(head: Header, kind: str, number: int, shape: int, colour: ColorRGBA) -> Marker:
    pose = Pose(orientation=Quaternion(w=1.0))
    return Marker(header=head, ns=kind, id=number, type=shape, action=Marker.ADD, pose=pose, color=colour)


def _evenly(count: int, limit: int) -> slice | np.ndarray:
    """Which of ``count`` points to keep so that at most ``limit`` are left; always the same ones."""
    return slice(None) if count <= limit else np.arange(limit) * count // limit


def _point_messages(points: Float[np.ndarray, "N 3"]) -> list[Point]:
    return [Point(x=x, y=y, z=z) for x, y, z in points.tolist()]


def _colour(rgb: Float32[np.ndarray, "3"]) -> ColorRGBA:
    r, g, b = rgb.tolist()
    return ColorRGBA(r=r, g=g, b=b, a=1.0)
