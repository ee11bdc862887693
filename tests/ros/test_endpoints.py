"""The topic table of the documentation against what the nodes really open."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the ROS wheels (Python 3.11, 3.12) or a sourced ROS 2")

from ros_graph import Graph

from seg3d_ros.topics import endpoints

pytestmark = pytest.mark.ros

LIFECYCLE = {"change_state", "get_available_states", "get_available_transitions", "get_state", "get_transition_graph"}
PARAMETERS = {
    "describe_parameters",
    "get_parameter_types",
    "get_parameters",
    "list_parameters",
    "set_parameters",
    "set_parameters_atomically",
    "get_type_description",
}
RCLPY_TOPICS = {"/rosout", "/parameter_events", "/clock"}

Opened = set[tuple[str, str, str]]


def opened(graph: Graph, node: str) -> Opened:
    """(kind, full name, type) of everything that a node has opened on its own account."""
    probe = graph.probe
    rows = {
        "subscribes": probe.get_subscriber_names_and_types_by_node(node, "/"),
        "publishes": probe.get_publisher_names_and_types_by_node(node, "/"),
        "serves": probe.get_service_names_and_types_by_node(node, "/"),
    }
    found: Opened = set()
    for kind, names in rows.items():
        for name, types in names:
            standard = name in RCLPY_TOPICS or name.rpartition("/")[2] in LIFECYCLE | PARAMETERS | {"transition_event"}
            if not standard:
                found |= {(kind, name, kind_of.replace("/msg/", "/").replace("/srv/", "/")) for kind_of in types}
    return found


def declared(node: str, without: set[str]) -> Opened:
    """The same from the table, for a node in the root namespace."""
    return {
        (row.kind, row.name.replace("~", f"/{node}") if row.name[0] in "~/" else f"/{row.name}", row.type)
        for row in endpoints(node)
        if row.name not in without
    }


@pytest.mark.parametrize(
    ("node", "kind", "without"),
    [
        (
            "scene_node",
            "cloud",
            {"rgb/image_rect_color", "depth_registered/image_rect", "rgb/camera_info", "camera_pose"},
        ),
        ("scene_node", "rgbd", {"cloud"}),
        ("fusion_node", "", set()),
        # scene_node's result is heard only while somebody may ask for it.
        ("prompt_node", "rgbd", {"cloud", "instance_cloud"}),
    ],
)
def test_nodes_open_what_the_table_says(graph: Graph, node: str, kind: str, without: set[str]) -> None:
    if node == "prompt_node":
        pytest.importorskip("torch", reason="networks need PyTorch")
    missing = {"~/label_image"} if kind == "cloud" else set()
    if find_spec("vision_msgs") is None:
        missing.add("~/instances")
    graph.start(node, **({"input": kind} if kind else {}))
    graph.active(f"/{node}")
    expected = declared(node, without | missing)
    # The graph is told about endpoints one by one, so the last ones may need a moment.
    graph.until(lambda: len(opened(graph, node)) >= len(expected), 10.0)
    assert opened(graph, node) == expected
