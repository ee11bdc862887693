"""What the demo runs, recorded: a camera, its fused cloud and the instances in it, and by a recorder that is killed."""

from __future__ import annotations

import signal
import time
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the ROS wheels (Python 3.11, 3.12) or a sourced ROS 2")

from geometry_msgs.msg import PoseStamped
from rclpy.serialization import deserialize_message
from ros_graph import EVERYTHING, Child, Graph
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import Trigger

from seg3d_core.data.bags import read_bag
from seg3d_core.data.playback import open_playback
from seg3d_core.recording.repair import repair_bag
from seg3d_ros.conversions.stamps import stamp_ns

pytestmark = pytest.mark.ros
FRAMES = 10
STAMPS_NS = open_playback("room:3").stamps_ns[:FRAMES].tolist()
CAMERA = ("/rgb/image_rect_color", "/depth_registered/image_rect", "/rgb/camera_info", "/camera_pose")
CLOUDS, FOUND, MARKERS = "/fusion_node/cloud", "/scene_node/instance_cloud", "/scene_node/markers"


class RecordedDemo:
    """fusion_node, scene_node, a recorder and one that keeps the last minute for snapshots."""

    def __init__(self, graph: Graph, folder: Path) -> None:
        self.graph, self.folder = graph, folder
        self.clouds = graph.collect(PointCloud2, CLOUDS, EVERYTHING)
        self.results = graph.collect(PointCloud2, FOUND, EVERYTHING)
        self.recorder = self._record("recorder_node", recording__files__chunk_period_s=0.3)
        self._record("keeper", mode="snapshot", recording__ring__seconds=60.0)
        graph.start("fusion_node", process_all=True, publish_period_s=0.4)
        graph.start("scene_node", "-r", f"cloud:={CLOUDS}", process_all=True, model="graph")
        for node in ("/recorder_node", "/keeper", "/fusion_node", "/scene_node"):
            graph.active(node)
        for node in ("/recorder_node", "/keeper"):
            graph.until(lambda node=node: graph.status(node).get("topics") == "3")

    def _record(self, name: str, **settings: object) -> Child:
        topics = " ".join((*CAMERA, CLOUDS, FOUND, MARKERS))
        settings = {"folder": self.folder / name, "cloud_period_s": 0.0, "recording__files__min_free_mb": 1, **settings}
        return self.graph.start("recorder_node", "-r", f"__node:={name}", topics=topics, **settings)

    def play(self) -> None:
        """The whole camera path, and wait until all that came of it is recorded."""
        source = self.graph.start("source_node", sequence="room:3", frames=FRAMES, lossless=True, restamp=False)
        self.graph.children.remove(source)  # it ends by itself
        assert source.process.wait(60) == 0
        self.graph.until(lambda: self.clouds and len(self.results) == len(self.clouds))
        time.sleep(1.0)  # the recorder has it, and the chunk is closed

    def snapshot(self) -> Path:
        answer = self.graph.call(Trigger, "/keeper/snapshot", Trigger.Request())
        assert answer.success, answer.message
        return only_bag(self.folder / "keeper")

    def kill_recorder(self) -> Path:
        self.recorder.process.send_signal(signal.SIGKILL)
        self.recorder.process.wait(10)
        self.graph.children.remove(self.recorder)
        return only_bag(self.folder / "recorder_node")

    def holds_all(self, bag: Path) -> bool:
        """Whether a recording has every cloud and result as they were sent, and all frames since it heard the first."""
        messages = list(read_bag(bag))
        counts = Counter(message.topic for message in messages)
        # A camera that appears is heard a quarter of a second later.
        assert all(FRAMES - 5 <= counts[topic] <= FRAMES for topic in CAMERA), counts
        poses = [deserialize_message(m.data, PoseStamped) for m in messages if m.topic == "/camera_pose"]
        assert [stamp_ns(pose.header.stamp) for pose in poses] == STAMPS_NS[-len(poses) :]
        for topic, sent in ((CLOUDS, self.clouds), (FOUND, self.results)):
            assert [deserialize_message(m.data, PointCloud2) for m in messages if m.topic == topic] == sent
        # The first one deletes what an earlier run may have left.
        return counts[MARKERS] == 1 + len(self.results)

    def end(self) -> None:
        """Stop what still runs."""
        for node in self.graph.children:
            assert node.stop() == 0
        self.graph.children.clear()


def only_bag(folder: Path) -> Path:
    (bag,) = folder.iterdir()
    return bag


def results_again(graph: Graph, bag: Path, count: int) -> list[PointCloud2]:
    """The first ``count`` results of a scene_node that knows nothing yet, on the clouds of a recording."""
    again = graph.collect(PointCloud2, "/again/instance_cloud", EVERYTHING)
    graph.start("scene_node", "-r", f"cloud:={CLOUDS}", "-r", "__node:=again", process_all=True, model="graph")
    graph.active("/again")
    source = graph.start("bag_source_node", bag=bag, await_topic=CLOUDS, speed=4.0)
    graph.children.remove(source)  # it ends by itself
    graph.until(lambda: len(again) == count)
    assert source.process.wait(30) == 0
    return again


def test_a_demo_whose_recorder_was_killed_replays_into_the_same_instances(graph: Graph, tmp_path: Path) -> None:
    demo = RecordedDemo(graph, tmp_path / "bags")
    demo.play()
    assert len(demo.results) >= 3
    assert demo.holds_all(demo.snapshot())
    killed = demo.kill_recorder()
    assert [result.was_whole for result in repair_bag(killed)] == [False]
    assert demo.holds_all(killed)
    demo.end()
    found = list(demo.results)  # the recording's are heard as well when it is played
    assert results_again(graph, killed, len(found)) == found
