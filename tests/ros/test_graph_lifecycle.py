"""States, parameters, services, time and namespaces, on running nodes."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import TypeVar

import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the ROS wheels (Python 3.11, 3.12) or a sourced ROS 2")

from boxes import boxes_cloud
from lifecycle_msgs.msg import Transition
from rclpy.qos import QoSProfile
from ros_graph import BEST_EFFORT, EVERYTHING, Child, Graph
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import SetBool, Trigger
from visualization_msgs.msg import Marker, MarkerArray

from seg3d_ros.conversions.clouds import cloud_to_message
from seg3d_ros.conversions.stamps import stamp_ns, time_msg

pytestmark = pytest.mark.ros
S = 1_000_000_000
NODE = "/scene_node"
Found = TypeVar("Found")


def boxes_message(stamp_s: float) -> PointCloud2:
    return cloud_to_message(boxes_cloud(round(stamp_s * S), spacing_m=0.02)[0])


def ended(child: Child) -> int:
    return child.process.wait(60)


def deletes_everything(message: MarkerArray) -> bool:
    return message.markers[0].action == Marker.DELETEALL


def test_through_all_states_twice(graph: Graph) -> None:
    results = graph.collect(PointCloud2, f"{NODE}/instance_cloud", EVERYTHING)
    publisher = graph.publisher(PointCloud2, "/cloud", QoSProfile(depth=1))
    child = graph.start("scene_node", autostart=False)
    assert graph.state(NODE) == "unconfigured"
    for turn in (1, 2):
        assert graph.transition(NODE, Transition.TRANSITION_CONFIGURE)
        assert graph.state(NODE) == "inactive"
        assert publisher.get_subscription_count() == 0
        assert graph.transition(NODE, Transition.TRANSITION_ACTIVATE)
        graph.subscribed(publisher)
        publisher.publish(boxes_message(10 * turn))
        graph.until(lambda turn=turn: results and stamp_ns(results[-1].header.stamp) == 10 * turn * S)
        assert graph.transition(NODE, Transition.TRANSITION_DEACTIVATE)
        graph.until(lambda: publisher.get_subscription_count() == 0)
        assert graph.transition(NODE, Transition.TRANSITION_ACTIVATE), "what was configured is still there"
        assert graph.transition(NODE, Transition.TRANSITION_DEACTIVATE)
        assert graph.transition(NODE, Transition.TRANSITION_CLEANUP)
        assert graph.state(NODE) == "unconfigured"
        graph.until(lambda: graph.probe.count_publishers(f"{NODE}/markers") == 0)
    assert child.stop() == 0


def test_settings_that_are_refused_at_start(graph: Graph) -> None:
    failing = graph.start("scene_node", "-r", "__node:=failing", graf__k=2.0)
    waiting = graph.start("fusion_node", autostart=False, fusion__voxel_size_m=9.0)
    ended(failing)
    graph.children.remove(failing)
    assert failing.process.returncode == 2
    assert "cannot configure: unknown parameter graf.k, did you mean graph.k?" in failing.text()
    assert "Traceback" not in failing.text()
    assert not graph.transition("/fusion_node", Transition.TRANSITION_CONFIGURE)
    assert graph.state("/fusion_node") == "unconfigured"
    graph.until(lambda: graph.status("/fusion_node").get("level") == "2")
    assert "fusion.voxel_size_m = 9.0: Input should be less than" in graph.status("/fusion_node")["message"]
    assert waiting.alive


def test_a_device_that_is_not_there(graph: Graph) -> None:
    child = graph.start("fusion_node", fusion__device="cuda:77")
    assert ended(child) == 2
    graph.children.remove(child)
    assert "cannot configure: fusion.device = cuda:77, but this Open3D finds" in child.text()
    assert "CUDA devices; use cpu" in child.text()
    assert "Traceback" not in child.text()


def test_parameters_and_services_of_a_running_node(graph: Graph) -> None:
    results = graph.collect(PointCloud2, f"{NODE}/instance_cloud", EVERYTHING)
    markers = graph.collect(MarkerArray, f"{NODE}/markers", EVERYTHING)
    publisher = graph.publisher(PointCloud2, "/cloud", QoSProfile(depth=1))
    child = graph.start("scene_node")
    graph.active(NODE)
    graph.subscribed(publisher)

    refusal = graph.set_parameter(NODE, "graph.k", -3.0)
    assert not refusal.successful
    assert "graph.k" in refusal.reason
    assert "read when the node is configured" in graph.set_parameter(NODE, "input", "rgbd").reason
    assert not graph.call(Trigger, f"{NODE}/segment_now", Trigger.Request()).success, "nothing has arrived"

    assert graph.call(SetBool, f"{NODE}/enable", SetBool.Request(data=False)).success
    publisher.publish(boxes_message(1))
    graph.until(lambda: graph.status(NODE).get("frames_disabled") == "1")
    assert not results
    assert graph.call(Trigger, f"{NODE}/segment_now", Trigger.Request()).success
    first = graph.until(lambda: results)[0]
    assert graph.call(SetBool, f"{NODE}/enable", SetBool.Request(data=True)).success

    assert graph.set_parameter(NODE, "graph.max_instances", 1).successful
    publisher.publish(boxes_message(2))
    graph.until(lambda: len(results) == 2)
    assert len({marker.id for marker in markers[-1].markers if marker.action == Marker.ADD}) == 1
    assert stamp_ns(first.header.stamp) == S

    assert graph.call(Trigger, f"{NODE}/reset", Trigger.Request()).success
    graph.until(lambda: deletes_everything(markers[-1]))
    assert child.stop(signal.SIGTERM) == 0


def test_time_that_jumps_back_clears_the_state(graph: Graph) -> None:
    markers = graph.collect(MarkerArray, f"{NODE}/markers", EVERYTHING)
    publisher = graph.publisher(PointCloud2, "/cloud", QoSProfile(depth=1))
    clock = graph.publisher(Clock, "/clock", QoSProfile(depth=10))
    graph.start("scene_node", use_sim_time=True)
    graph.subscribed(publisher)

    def at(second: float, what: Callable[[], Found]) -> Found:
        """The first true value of ``what`` while the clock says so; nodes hear it with best effort, so many times."""

        def look() -> Found:
            clock.publish(Clock(clock=time_msg(round(second * S))))
            return what()

        return graph.until(look)

    def result(second: int) -> MarkerArray | None:
        """The markers of the input of that time."""
        arrays = [array for array in markers if stamp_ns(array.markers[-1].header.stamp) == second * S]
        return arrays[0] if arrays else None

    def ids(array: MarkerArray) -> set[int]:
        return {marker.id for marker in array.markers if marker.action == Marker.ADD}

    def resets(count: int) -> bool:
        return graph.status(NODE).get("resets") == str(count)

    at(100, lambda: graph.status(NODE).get("state") == "active")
    publisher.publish(boxes_message(100))
    first = at(100, lambda: result(100))
    # The stamps of the inputs tell.
    publisher.publish(boxes_message(50))
    second = at(100, lambda: result(50))
    assert deletes_everything(second)
    assert not ids(first) & ids(second), "an id is never given twice"
    assert at(100, lambda: resets(1))
    # So does the clock, before any input.
    at(50, lambda: resets(2))
    publisher.publish(boxes_message(10))
    third = at(50, lambda: result(10))
    assert deletes_everything(third)
    assert len(ids(first)) == len(ids(second)) == len(ids(third)) > 0
    assert graph.status(NODE)["resets"] == "2"


def test_simulated_time_that_does_not_run_is_no_reason_to_be_silent(graph: Graph) -> None:
    graph.start("scene_node", use_sim_time=True)
    graph.active(NODE)
    graph.until(lambda: graph.status(NODE).get("level") == "1")
    assert graph.status(NODE)["message"] == "active, but no input in 10 s"


def test_two_copies_under_two_namespaces(graph: Graph) -> None:
    names = ("/left", "/right")
    results = {name: graph.collect(PointCloud2, f"{name}/scene_node/instance_cloud", EVERYTHING) for name in names}
    publishers = {name: graph.publisher(PointCloud2, f"{name}/cloud", QoSProfile(depth=1)) for name in names}
    for name in names:
        graph.start("scene_node", namespace=name)
    for number, name in enumerate(names, start=1):
        graph.active(f"{name}/scene_node")
        graph.subscribed(publishers[name])
        publishers[name].publish(boxes_message(number))
    graph.until(lambda: all(results.values()))
    for number, name in enumerate(names, start=1):
        assert [stamp_ns(each.header.stamp) for each in results[name]] == [number * S]
    assert "/cloud" not in dict(graph.probe.get_topic_names_and_types())


def test_a_publisher_that_cannot_be_heard_is_named(graph: Graph) -> None:
    publisher = graph.publisher(PointCloud2, "/cloud", BEST_EFFORT)
    graph.start("scene_node", "-p", "qos_overrides./cloud.subscription.reliability:=reliable")
    graph.until(lambda: graph.status(NODE).get("level") == "2")
    assert graph.status(NODE)["message"] == (
        "incompatible QoS on /cloud: reliability: publisher offers best_effort, subscription requests reliable"
    )
    graph.probe.destroy_publisher(publisher)
    graph.until(lambda: graph.status(NODE).get("level") == "1")
    assert graph.status(NODE)["message"] == "active, but no input in 10 s"
