"""recorder_node on a real graph: what it heard is in its recordings, also when it was killed."""

from __future__ import annotations

import hashlib
import json
import signal
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the ROS wheels (Python 3.11, 3.12) or a sourced ROS 2")

from boxes import HIGH, LOW, boxes_cloud, boxes_view
from camera import CameraPublishers, Exposure
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from lifecycle_msgs.msg import Transition
from prompt_user import PromptUser
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message
from ros_graph import LATCHED, Child, Graph
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header, String
from std_srvs.srv import Trigger

from seg3d_core.data.bag_clouds import decode_cloud
from seg3d_core.data.bags import BagReader, read_bag
from seg3d_core.errors import InputError
from seg3d_core.prompting import make_prompt_model
from seg3d_core.recording.prompt_replay import ReplayConfig, replay_prompts
from seg3d_core.recording.repair import repair_bag
from seg3d_ros.conversions.compressed import depth_m_from_compressed, rgb_from_compressed
from seg3d_ros.conversions.images import depth_m_from_image, rgb_from_image
from seg3d_ros.conversions.stamps import header, stamp_ns

pytestmark = pytest.mark.ros
S = 1_000_000_000
NODE = "/recorder_node"
RELIABLE = QoSProfile(depth=500, reliability=ReliabilityPolicy.RELIABLE)


def recorder(graph: Graph, folder: Path, **parameters: object) -> Child:
    given = {"topics": "/note /map", "recording__files__min_free_mb": 1, **parameters}
    node = graph.start("recorder_node", folder=folder, **given)
    graph.active(NODE)
    return node


def trigger(graph: Graph, service: str) -> Trigger.Response:
    return graph.call(Trigger, f"{NODE}/{service}", Trigger.Request())


def only_bag(folder: Path) -> Path:
    (bag,) = folder.iterdir()
    return bag


def notes(path: Path) -> list[int]:
    """The stamps of all recorded notes, in the order in which they were recorded."""
    return [stamp_ns(deserialize_message(each.data, Header).stamp) for each in read_bag(path, ["/note"])]


def say(publisher: object, numbers: range) -> None:
    for number in numbers:
        publisher.publish(header("map", number))  # type: ignore[attr-defined]


def test_killed_and_repaired_and_nothing_but_the_open_chunk_is_lost(graph: Graph, tmp_path: Path) -> None:
    place = graph.publisher(String, "/map", LATCHED)
    place.publish(String(data="the map"))
    note = graph.publisher(Header, "/note", RELIABLE)
    folder = tmp_path / "bags"
    node = recorder(graph, folder, recording__files__chunk_period_s=0.3, recording__files__max_file_s=3.0)
    graph.subscribed(note)
    for start in range(0, 300, 50):
        say(note, range(start, start + 50))
        time.sleep(0.8)
    graph.until(lambda: graph.status(NODE).get("frames_used") == "301")
    time.sleep(1.0)  # the chunk is closed
    say(note, range(300, 305))
    node.process.send_signal(signal.SIGKILL)
    node.process.wait(10)
    graph.children.remove(node)
    bag = only_bag(folder)
    with pytest.raises(InputError, match=r"no metadata\.yaml; make it readable with: seg3d bags repair"):
        BagReader(bag)
    results = repair_bag(bag)
    assert len(results) >= 2
    assert [result.was_whole for result in results] == [True] * (len(results) - 1) + [False]
    found = notes(bag)
    assert found == list(range(len(found)))
    assert 300 <= len(found) <= 305
    for file in bag.glob("*.mcap"):  # what is latched is in each
        assert [m.data for m in read_bag(file, ["/map"])] == [serialize_message(String(data="the map"))]


def test_services_and_states_of_a_continuous_recording(graph: Graph, tmp_path: Path) -> None:
    note = graph.publisher(Header, "/note", RELIABLE)
    place = graph.publisher(String, "/map", LATCHED)
    place.publish(String(data="the map"))
    folder = tmp_path / "bags"
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"first")
    graph.probe.declare_parameter("model", str(weights))
    node = recorder(graph, folder, parameters_of="recorder_node probe")
    graph.subscribed(note)
    say(note, range(10))
    graph.until(lambda: int(graph.status(NODE).get("frames_used", 0)) >= 11)
    refused = trigger(graph, "snapshot")
    assert (refused.success, refused.message) == (False, "nothing is kept for snapshots")
    again = trigger(graph, "start")
    assert not again.success
    assert "already recording to" in again.message
    stopped = trigger(graph, "stop")
    assert stopped.success
    first = only_bag(folder)
    assert stopped.message.endswith(str(first))
    assert notes(first) == list(range(10))
    assert not trigger(graph, "stop").success
    say(note, range(10, 20))
    time.sleep(0.5)
    assert trigger(graph, "start").success
    say(note, range(20, 30))
    (second,) = set(folder.iterdir()) - {first}
    # Both figures of one report: the first recording had as many messages.
    twelve = {"recording": str(second), "recorded_messages": "12"}
    graph.until(lambda: twelve.items() <= graph.status(NODE).items())
    # The probe says that it has loaded its model anew.
    uses = graph.publisher(DiagnosticArray, "/diagnostics", RELIABLE)
    graph.until(lambda: uses.get_subscription_count() == 2)
    for reloads in ("0", "1"):
        values = [KeyValue(key="model", value=str(weights)), KeyValue(key="reloads", value=reloads)]
        uses.publish(DiagnosticArray(status=[DiagnosticStatus(name="/probe", values=values)]))
        weights.write_bytes(b"second")
    twelve["recorded_messages"] = "13"
    graph.until(lambda: twelve.items() <= graph.status(NODE).items())
    assert graph.transition(NODE, Transition.TRANSITION_DEACTIVATE)
    assert notes(second) == list(range(20, 30))
    with BagReader(second) as reader:
        latched = {topic.name for topic in reader.topics() if topic.is_latched}
        *_, said = reader.messages([f"{NODE}/parameters"])
    assert latched == {"/map", f"{NODE}/parameters"}
    told = json.loads(deserialize_message(said.data, String).data)
    assert "folder" in told["parameters"][NODE]
    assert told["model_sha256"] == {"/probe": hashlib.sha256(b"second").hexdigest()}
    assert node.stop() == 0


def test_snapshots_hold_the_last_seconds_and_what_is_latched(graph: Graph, tmp_path: Path) -> None:
    note = graph.publisher(Header, "/note", RELIABLE)
    place = graph.publisher(String, "/map", LATCHED)
    event = graph.publisher(String, "/event", RELIABLE)
    place.publish(String(data="the map"))
    folder = tmp_path / "bags"
    ring = {"recording__ring__seconds": 2.0, "mode": "on_event", "event_topics": "/event", "event_tail_s": 0.3}
    node = recorder(graph, folder, **ring)
    for publisher in (note, place, event):
        graph.subscribed(publisher)
    for number in range(40):
        say(note, range(number, number + 1))
        time.sleep(0.1)
    answer = trigger(graph, "snapshot")
    assert answer.success, answer.message
    first = only_bag(folder)
    found = notes(first)
    assert found == list(range(found[0], 40))
    assert 10 <= found[0] <= 30
    assert [m.data for m in read_bag(first, ["/map"])] == [serialize_message(String(data="the map"))]
    event.publish(String(data="accepted"))
    say(note, range(100, 101))
    graph.until(lambda: len(list(folder.glob("*/metadata.yaml"))) == 2)
    (second,) = set(folder.iterdir()) - {first}
    assert notes(second)[-1] == 100
    assert len(list(read_bag(second, ["/event"]))) == 1
    assert node.stop(signal.SIGTERM) == 0


def test_images_are_compressed_on_their_way(graph: Graph, tmp_path: Path) -> None:
    camera = CameraPublishers(graph, RELIABLE)
    topics = "rgb/image_rect_color depth_registered/image_rect rgb/camera_info camera_pose"
    node = recorder(graph, tmp_path / "bags", topics=topics, colour="jpeg", depth="rvl")
    for publisher in (camera.rgb, camera.depth, camera.info, camera.pose):
        graph.subscribed(publisher)
    sent = [Exposure.of(boxes_view(angle, (10 + n) * S).frame) for n, angle in enumerate((-0.3, 0.0, 0.3))]
    for exposure in sent:
        camera.send(exposure)
    graph.until(lambda: graph.status(NODE).get("frames_used") == "12")
    assert node.stop() == 0
    bag = only_bag(tmp_path / "bags")
    with BagReader(bag) as reader:
        types = {topic.name: topic.type_name for topic in reader.topics()}
    assert types == {
        "/rgb/image_rect_color/compressed": "sensor_msgs/msg/CompressedImage",
        "/depth_registered/image_rect/compressedDepth": "sensor_msgs/msg/CompressedImage",
        "/rgb/camera_info": "sensor_msgs/msg/CameraInfo",
        "/camera_pose": "geometry_msgs/msg/PoseStamped",
    }
    depths = read_bag(bag, ["/depth_registered/image_rect/compressedDepth"])
    colours = read_bag(bag, ["/rgb/image_rect_color/compressed"])
    for exposure, depth, colour in zip(sent, depths, colours, strict=True):
        message = deserialize_message(depth.data, CompressedImage)
        assert message.header == exposure.depth.header
        np.testing.assert_array_equal(depth_m_from_compressed(message), depth_m_from_image(exposure.depth))
        message = deserialize_message(colour.data, CompressedImage)
        assert message.header == exposure.rgb.header
        assert np.abs(rgb_from_compressed(message) - rgb_from_image(exposure.rgb)).mean() < 0.02


def test_recorded_prompts_are_asked_again(graph: Graph, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="networks need PyTorch")
    topics = "cloud clicked_point prompt_node/mask prompt_node/accepted prompt_node/rejected prompt_node/actions"
    node = recorder(graph, tmp_path / "bags", topics=topics)
    user = PromptUser(graph, point_sam__device="cpu", scene__mode="whole")
    graph.until(lambda: graph.status(NODE).get("topics") == "6")
    cloud, _ = boxes_cloud(S, spacing_m=0.03)
    user.see(cloud)
    tops = [(*((LOW[box] + HIGH[box]) / 2)[:2], HIGH[box][2]) for box in range(3)]
    rejected = user.get("clicked_point", tops[0])
    user.do("reject")
    user.get("clicked_point", tops[1])
    user.get("clicked_point", tops[2])
    user.do("undo")
    user.do("next_candidate")
    user.do("accept")
    user.get("clicked_point", tops[2])
    user.do("accept")
    assert trigger(graph, "stop").success
    bag = only_bag(tmp_path / "bags")
    (again,) = (decode_cloud(m.data) for m in read_bag(bag, ["/prompt_node/rejected"]))
    np.testing.assert_array_equal(again.points, rejected.points)
    config = ReplayConfig.build({"point_sam": {"device": "cpu"}, "scene": {"mode": "whole"}})
    rows = replay_prompts(bag, config, make_prompt_model(config), lambda done, total: None)
    assert [(row.prompts, row.iou) for row in rows] == [(2, pytest.approx(1)), (1, pytest.approx(1))]
    assert node.stop() == 0
    graph.children.remove(node)
