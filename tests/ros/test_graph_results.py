"""What a user gets: the right instances of what was sent, over DDS, whatever the publisher's quality of service."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the ROS wheels (Python 3.11, 3.12) or a sourced ROS 2")

from boxes import best_ious, boxes_cloud, boxes_view, label_points
from camera import OPTICAL_FRAME, CameraPublishers, Exposure
from rclpy.qos import QoSProfile
from ros_graph import BEST_EFFORT, LATCHED, Graph
from sensor_msgs.msg import Image, PointCloud2
from visualization_msgs.msg import Marker, MarkerArray

from seg3d_core.types import Cloud
from seg3d_ros.conversions.clouds import cloud_to_message
from seg3d_ros.conversions.stamps import stamp_ns

pytestmark = pytest.mark.ros
S = 1_000_000_000


def field(message: PointCloud2, name: str) -> np.ndarray:
    """One field of a little-endian cloud, straight from its bytes."""
    kinds = {6: "<u4", 7: "<f4"}
    (found,) = [each for each in message.fields if each.name == name]
    layout = {"names": [name], "formats": [kinds[found.datatype]], "offsets": [found.offset]}
    return np.frombuffer(message.data, np.dtype({**layout, "itemsize": message.point_step}))[name]


def positions(message: PointCloud2) -> np.ndarray:
    return np.stack([field(message, axis) for axis in "xyz"], axis=1)


def with_normals(stamp_ns: int) -> tuple[Cloud, np.ndarray]:
    return boxes_cloud(stamp_ns, "odom")


def bare(stamp_ns: int) -> tuple[Cloud, np.ndarray]:
    """As a lidar or a mapper that keeps points alone gives it: no normals, no colour, far from the origin."""
    cloud, labels = boxes_cloud(stamp_ns, "map")
    far = cloud.points + np.float32([30.0, -20.0, 1.5])
    return Cloud(far, frame_id=cloud.frame_id, stamp_ns=cloud.stamp_ns), labels


@pytest.mark.parametrize("make", [with_normals, bare])
@pytest.mark.parametrize("qos", [BEST_EFFORT, LATCHED], ids=["best effort", "reliable and latched"])
def test_a_cloud_from_another_process(
    graph: Graph, qos: QoSProfile, make: Callable[[int], tuple[Cloud, np.ndarray]]
) -> None:
    cloud, labels = make(1234 * S + 567)
    results = graph.collect(PointCloud2, "/scene_node/instance_cloud")
    publisher = graph.publisher(PointCloud2, "/cloud", qos)
    if qos is LATCHED:  # sent once, before the node exists
        publisher.publish(cloud_to_message(cloud))
    graph.start("scene_node")
    graph.active("/scene_node")
    if qos is BEST_EFFORT:
        graph.subscribed(publisher)
        publisher.publish(cloud_to_message(cloud))
    result = graph.until(lambda: results)[0]
    assert (result.header.frame_id, stamp_ns(result.header.stamp)) == (cloud.frame_id, cloud.stamp_ns)
    assert result.width * result.height == len(cloud)
    np.testing.assert_array_equal(positions(result), cloud.points)
    assert min(best_ious(field(result, "instance_id"), labels)) >= 0.8
    assert graph.children[0].stop() == 0


def test_who_comes_late_gets_the_last_result(graph: Graph) -> None:
    cloud, _ = boxes_cloud(5 * S)
    graph.start("scene_node")
    publisher = graph.publisher(PointCloud2, "/cloud", QoSProfile(depth=1))
    graph.active("/scene_node")
    graph.subscribed(publisher)
    publisher.publish(cloud_to_message(cloud))
    graph.until(lambda: graph.status("/scene_node").get("frames_unwanted") == "1")
    assert graph.status("/scene_node")["frames_used"] == "0", "nothing is computed for nobody"
    markers = graph.collect(MarkerArray, "/scene_node/markers", LATCHED)
    # They come after what deletes all that an earlier run left behind.
    shown = graph.until(lambda: [each for array in markers for each in array.markers if each.action == Marker.ADD])
    # Another output, made from the same result without segmenting again.
    clouds = graph.collect(PointCloud2, "/scene_node/instance_cloud", LATCHED)
    labelled = graph.until(lambda: clouds)[0]
    assert {marker.id for marker in shown} == set(field(labelled, "instance_id").tolist()) - {0}
    assert {(marker.header.frame_id, stamp_ns(marker.header.stamp)) for marker in shown} == {("map", 5 * S)}
    graph.until(lambda: graph.status("/scene_node").get("frames_used") == "1")
    assert graph.status("/scene_node")["level"] == "0"


def test_rgbd_and_pose(graph: Graph) -> None:
    view = boxes_view(0.3, 77 * S)
    clouds = graph.collect(PointCloud2, "/scene_node/instance_cloud")
    images = graph.collect(Image, "/scene_node/label_image")
    camera = CameraPublishers(graph, BEST_EFFORT)
    graph.start("scene_node", input="rgbd")
    graph.active("/scene_node")
    camera.wait_for_subscribers()
    camera.send(Exposure.of(view.frame))
    cloud, image = graph.until(lambda: clouds and images and (clouds[0], images[0]))
    assert (cloud.header.frame_id, stamp_ns(cloud.header.stamp)) == ("map", 77 * S)
    assert min(best_ious(field(cloud, "instance_id"), label_points(positions(cloud)))) >= 0.8
    assert (image.header.frame_id, stamp_ns(image.header.stamp)) == (OPTICAL_FRAME, 77 * S)
    labels = np.frombuffer(image.data, "<u2").reshape(image.height, image.width)[::2, ::2]
    assert min(best_ious(labels, view.labels[::2, ::2])) >= 0.8


@pytest.mark.parametrize("codec", ["png", "rvl"])
def test_compressed_images(graph: Graph, codec: str) -> None:
    clouds = graph.collect(PointCloud2, "/scene_node/instance_cloud")
    camera = CameraPublishers(graph, depth_codec=codec)
    transports = {"camera__image_transport": "compressed", "camera__depth_image_transport": "compressedDepth"}
    graph.start("scene_node", input="rgbd", **transports)
    graph.active("/scene_node")
    camera.wait_for_subscribers()
    camera.send(Exposure.of(boxes_view(0.3, 77 * S).frame))
    cloud = graph.until(lambda: clouds)[0]
    assert (cloud.header.frame_id, stamp_ns(cloud.header.stamp)) == ("map", 77 * S)
    assert min(best_ious(field(cloud, "instance_id"), label_points(positions(cloud)))) >= 0.8
    assert graph.status("/scene_node")["frames_bad"] == "0"


def test_fused_and_then_segmented(graph: Graph) -> None:
    results = graph.collect(PointCloud2, "/scene_node/instance_cloud")
    camera = CameraPublishers(graph)
    # At the default of 2 cm these boxes are 10 to 20 voxels wide, and a camera path more or less decides on 0.8.
    graph.start("fusion_node", process_all=True, publish_period_s=0.8, fusion__voxel_size_m=0.01)
    graph.start("scene_node", "-r", "cloud:=/fusion_node/cloud", process_all=True)
    graph.active("/fusion_node")
    graph.active("/scene_node")
    camera.wait_for_subscribers()
    views = [boxes_view(angle, round((100 + number / 10) * S)) for number, angle in enumerate(np.linspace(-1, 1, 25))]
    for view in views:
        camera.send(Exposure.of(view.frame))
    graph.until(lambda: len(results) == 3)
    # The clouds are due by the stamps of the images, however fast those come.
    assert [stamp_ns(each.header.stamp) / S for each in results] == [100.8, 101.6, 102.4]
    last = results[-1]
    assert last.header.frame_id == "map"
    assert min(best_ious(field(last, "instance_id"), label_points(positions(last)))) >= 0.8
    status = graph.until(lambda: (s := graph.status("/fusion_node")).get("frames_used") == str(len(views)) and s)
    assert (status["frames_bad"], status["frames_dropped"], status["results"]) == ("0", "0", "3")
    assert float(status["latency_ms_integrate_p50"]) > 0


def test_a_map_is_published_once_more_when_the_camera_falls_silent(graph: Graph) -> None:
    clouds = graph.collect(PointCloud2, "/fusion_node/cloud")
    camera = CameraPublishers(graph)
    graph.start("fusion_node", publish_period_s=0.5)
    graph.active("/fusion_node")
    camera.wait_for_subscribers()
    for number in range(3):  # too little time for the first cloud to be due
        camera.send(Exposure.of(boxes_view(0.0, (1000 + number * 100) * S // 1000).frame))
        time.sleep(0.2)
    cloud = graph.until(lambda: clouds)[0]
    assert (cloud.header.frame_id, stamp_ns(cloud.header.stamp)) == ("map", 1200 * S // 1000)
    assert {each.name for each in cloud.fields} == {"x", "y", "z", "rgb", "normal_x", "normal_y", "normal_z"}
    time.sleep(1.0)
    assert len(clouds) == 1
