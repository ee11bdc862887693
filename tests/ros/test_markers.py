from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("visualization_msgs")

from geometry_msgs.msg import Point, Pose, Vector3
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from seg3d_core.colours import instance_colours
from seg3d_core.types import Cloud, Instances
from seg3d_ros.conversions.stamps import header
from seg3d_ros.marker_encoding import MarkerShape, encode_markers
from seg3d_ros.markers import BOX, LABEL, POINTS
from seg3d_ros.markers import InstanceMarkers as EncodedMarkers

pytestmark = pytest.mark.ros


class InstanceMarkers(EncodedMarkers):
    """What subscribers receive."""

    def update(self, instances: Instances) -> MarkerArray:
        return deserialize_message(super().update(instances), MarkerArray)

    def clear(self) -> MarkerArray:
        return deserialize_message(super().clear(), MarkerArray)


def as_message(frame_id: str, stamp_ns: int, shapes: list[MarkerShape]) -> MarkerArray:
    """The readable equivalent of ``encode_markers``, in messages."""
    return MarkerArray(
        markers=[
            Marker(
                header=header(frame_id, stamp_ns),
                ns=shape.ns,
                id=shape.number,
                type=shape.shape,
                action=shape.action,
                pose=Pose(position=Point(**dict(zip("xyz", shape.position, strict=True)))),
                scale=Vector3(**dict(zip("xyz", shape.scale, strict=True))),
                color=ColorRGBA(**dict(zip("rgba", shape.colour, strict=True))),
                points=[Point(x=x, y=y, z=z) for x, y, z in shape.points.tolist()],
                text=shape.text,
            )
            for shape in shapes
        ]
    )


NUMBERS = st.floats(-1e6, 1e6, width=32)
TEXTS = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=9)
SHAPES = st.builds(
    MarkerShape,
    TEXTS,
    st.integers(-(2**31), 2**31 - 1),
    st.integers(0, 3),
    st.integers(0, 11),
    st.tuples(NUMBERS, NUMBERS, NUMBERS),
    st.tuples(NUMBERS, NUMBERS, NUMBERS),
    st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS),
    st.tuples(st.sampled_from([np.float32, np.float64]), st.integers(0, 5)).flatmap(
        lambda kind: arrays(kind[0], (kind[1], 3), elements=st.floats(-1e6, 1e6, width=32))
    ),
    TEXTS,
)


@given(TEXTS, st.integers(0, 2**31 * 10**9 - 1), st.lists(SHAPES, max_size=6))
@settings(deadline=None)
def test_the_bytes_are_those_of_the_message(frame_id: str, stamp_ns: int, shapes: list[MarkerShape]) -> None:
    message = as_message(frame_id, stamp_ns, shapes)
    encoded = encode_markers(frame_id, stamp_ns, shapes)
    assert deserialize_message(encoded, MarkerArray) == message
    # Not the bytes themselves: what fills the gaps between fields is left to chance by the middleware.
    assert 0 <= len(encoded) - len(serialize_message(message)) < 4


def instances(ids: list[int], points_each: int = 8, empty: tuple[int, ...] = ()) -> Instances:
    """One unit cube per id, at x = id: its corners and points on its diagonal."""
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float32)
    diagonal = np.linspace(0.1, 0.9, max(points_each - 8, 0), dtype=np.float32)[:, None].repeat(3, axis=1)
    cube = np.concatenate([corners, diagonal])
    clouds = [cube + np.float32([number, 0, 0]) for number in ids] or [np.zeros((0, 3), np.float32)]
    masks = np.kron(np.eye(len(ids), dtype=bool), np.ones(len(cube), bool)).reshape(len(ids), len(cube) * len(ids))
    masks[[ids.index(number) for number in empty]] = False
    cloud = Cloud(np.concatenate(clouds), frame_id="map", stamp_ns=5_000_000_007)
    return Instances(cloud, masks, np.full(len(ids), 0.5, np.float32), np.array(ids, np.int32))


def added(array: MarkerArray) -> dict[tuple[str, int], Marker]:
    return {(marker.ns, marker.id): marker for marker in array.markers if marker.action == Marker.ADD}


def deleted(array: MarkerArray) -> set[tuple[str, int]]:
    return {(marker.ns, marker.id) for marker in array.markers if marker.action == Marker.DELETE}


def coordinates(marker: Marker) -> np.ndarray:
    return np.array([[point.x, point.y, point.z] for point in marker.points])


def test_three_markers_per_instance_in_the_clouds_frame() -> None:
    array = InstanceMarkers().update(instances([3, 70_000]))
    assert [(marker.ns, marker.id) for marker in array.markers] == [
        (kind, number) for number in (3, 70_000) for kind in (BOX, POINTS, LABEL)
    ]
    for marker in array.markers:
        assert (marker.header.frame_id, marker.header.stamp.sec, marker.header.stamp.nanosec) == ("map", 5, 7)
        assert marker.pose.orientation.w == 1 and not marker.frame_locked
        assert (marker.lifetime.sec, marker.lifetime.nanosec) == (0, 0)
        assert not marker.colors
        colour = (marker.color.r, marker.color.g, marker.color.b, marker.color.a)
        np.testing.assert_allclose(colour, [*instance_colours(np.array([marker.id], np.int32))[0], 1])


def test_box_is_the_twelve_edges() -> None:
    box = added(InstanceMarkers(line_width_m=0.02).update(instances([3])))[BOX, 3]
    assert box.type == Marker.LINE_LIST and box.scale.x == 0.02
    ends = coordinates(box).reshape(12, 2, 3)
    np.testing.assert_allclose(np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(ends.reshape(-1, 3).min(axis=0), [3, 0, 0], atol=1e-5)
    np.testing.assert_allclose(ends.reshape(-1, 3).max(axis=0), [4, 1, 1], atol=1e-5)


def test_nothing_solid_lies_on_a_surface() -> None:
    markers = added(InstanceMarkers(text_height_m=0.2).update(instances([3])))
    assert {marker.type for marker in markers.values()} == {Marker.LINE_LIST, Marker.POINTS, Marker.TEXT_VIEW_FACING}
    label = markers[LABEL, 3]
    assert (label.text, label.scale.z) == ("#3 0.50", 0.2)
    position = label.pose.position
    np.testing.assert_allclose((position.x, position.y, position.z), (3.5, 0.5, 1.2), atol=1e-5)


def test_up_moves_the_label() -> None:
    position = added(InstanceMarkers((0.0, -1.0, 0.0), text_height_m=0.2).update(instances([3])))[
        LABEL, 3
    ].pose.position
    np.testing.assert_allclose((position.x, position.y, position.z), (3.5, -0.2, 0.5), atol=1e-5)


def test_points_are_thinned_out_evenly_and_always_the_same() -> None:
    thing = instances([3], points_each=1000)
    points = coordinates(added(InstanceMarkers(max_points_per_instance=100).update(thing))[POINTS, 3])
    assert len(points) == 100
    np.testing.assert_allclose(points, thing.cloud.points[::10])
    assert len(added(InstanceMarkers().update(thing))[POINTS, 3].points) == 1000
    shared = added(InstanceMarkers(max_points=300).update(instances([1, 2, 3], points_each=1000)))
    assert [len(shared[POINTS, number].points) for number in (1, 2, 3)] == [100, 100, 100]


def test_what_vanished_is_deleted_once() -> None:
    markers = InstanceMarkers()
    markers.update(instances([1, 2, 3]))
    array = markers.update(instances([2, 4]))
    assert deleted(array) == {(kind, number) for number in (1, 3) for kind in (BOX, POINTS, LABEL)}
    assert {number for _, number in added(array)} == {2, 4}
    assert deleted(markers.update(instances([2, 4]))) == set()


def test_an_instance_without_points_has_no_markers() -> None:
    markers = InstanceMarkers()
    markers.update(instances([1, 2]))
    array = markers.update(instances([1, 2], empty=(2,)))
    assert {number for _, number in added(array)} == {1}
    assert {number for _, number in deleted(array)} == {2}
    assert {number for _, number in deleted(markers.update(instances([])))} == {1}


def test_clear_deletes_everything() -> None:
    markers = InstanceMarkers()
    markers.update(instances([1, 2]))
    assert [marker.action for marker in markers.clear().markers] == [Marker.DELETEALL]
    # A slow subscriber may get this one only.
    after = markers.update(instances([5]))
    assert [marker.action for marker in after.markers] == [Marker.DELETEALL, Marker.ADD, Marker.ADD, Marker.ADD]
    assert {marker.action for marker in markers.update(instances([5])).markers} == {Marker.ADD}


@given(st.lists(st.sets(st.integers(1, 9), max_size=6), min_size=1, max_size=6))
@settings(deadline=None, max_examples=40)
def test_a_viewer_shows_exactly_the_last_result(history: list[set[int]]) -> None:
    markers, shown = InstanceMarkers(), set()
    for ids in history:
        array = markers.update(instances(sorted(ids)))
        names = [(marker.ns, marker.id) for marker in array.markers]
        assert len(set(names)) == len(names)
        shown = (shown - deleted(array)) | set(added(array))
        assert shown == {(kind, number) for number in ids for kind in (BOX, POINTS, LABEL)}
