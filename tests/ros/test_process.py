"""How the processes of the nodes end: in order, whatever they are doing."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the ROS wheels (Python 3.11, 3.12) or a sourced ROS 2")

from boxes import boxes_cloud
from rclpy.qos import QoSProfile
from ros_graph import LATCHED, Graph
from sensor_msgs.msg import PointCloud2

from seg3d_ros.conversions.clouds import cloud_to_message

pytestmark = pytest.mark.ros

CRASHING = """
import faulthandler
from rclpy.node import Node
from seg3d_ros.process import run_process

def crash(node, interrupt):
    faulthandler._sigsegv()

run_process(lambda: Node("crashing"), crash)
"""

FAILING = """
from rclpy.node import Node
from seg3d_ros.process import run_process

def fail(node, interrupt):
    raise ValueError("a mistake")

run_process(lambda: Node("failing"), fail)
"""


@pytest.mark.parametrize("node", ["scene_node", "fusion_node"])
def test_interrupted_twice_a_node_ends_well_and_leaves_the_graph(graph: Graph, node: str) -> None:
    child = graph.start(node)
    graph.active(f"/{node}")
    graph.children.remove(child)
    child.process.send_signal(signal.SIGINT)
    assert child.stop() == 0
    assert "Traceback" not in child.text()
    # Who goes without a word is kept on the list of nodes for twenty seconds.
    graph.until(lambda: node not in graph.probe.get_node_names(), 10)


def test_stopped_while_it_works(graph: Graph) -> None:
    graph.collect(PointCloud2, "/scene_node/instance_cloud", LATCHED)
    publisher = graph.publisher(PointCloud2, "/cloud", QoSProfile(depth=1))
    message = cloud_to_message(boxes_cloud(1_000_000_000)[0])
    child = graph.start("scene_node")
    graph.active("/scene_node")
    graph.subscribed(publisher)
    for _ in range(30):
        publisher.publish(message)
        time.sleep(0.02)
    assert child.stop() == 0
    assert "Traceback" not in child.text()


@pytest.mark.parametrize(("source", "parameter"), [("source_node", "sequence"), ("bag_source_node", "bag")])
def test_a_player_that_has_nothing_to_play(graph: Graph, tmp_path: Path, source: str, parameter: str) -> None:
    child = graph.start(source, **{parameter: tmp_path})
    assert child.process.wait(60) == 2
    assert str(tmp_path) in child.text()
    assert "Traceback" not in child.text()


def test_a_player_that_is_interrupted(graph: Graph) -> None:
    child = graph.start("source_node", sequence="room:3", frames=1)
    graph.until(lambda: "prepared frame 1 of 1" in child.text())
    assert child.stop() == 0
    assert "Traceback" not in child.text()


def test_what_goes_wrong_is_in_the_log(graph: Graph, tmp_path: Path) -> None:
    for name, text in (("crashing", CRASHING), ("failing", FAILING)):
        (tmp_path / f"{name}.py").write_text(text)
    crashing, failing = (graph.start(str(tmp_path / f"{name}.py")) for name in ("crashing", "failing"))
    assert crashing.process.wait(60) == -signal.SIGSEGV
    assert "Fatal Python error: Segmentation fault" in crashing.text()
    assert " in crash\n" in crashing.text()
    assert failing.process.wait(60) == 1
    assert "ValueError: a mistake" in failing.text()
    graph.children.clear()
