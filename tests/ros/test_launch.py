"""segment.launch.py, really run where launch and launch_ros are installed (the ROS wheels do not have them)."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the ROS wheels (Python 3.11, 3.12) or a sourced ROS 2")
# Not "launch": the folder of that name in the checkout would be found.
pytest.importorskip("launch_ros", reason="needs launch and launch_ros, which only a ROS 2 distribution has")

from boxes import best_ious, boxes_cloud
from lifecycle_msgs.msg import Transition
from ros_graph import LATCHED, Child, Graph
from sensor_msgs.msg import PointCloud2

from seg3d_ros.conversions.clouds import cloud_to_message
from seg3d_ros.conversions.stamps import stamp_ns
from seg3d_ros.dds_profile import NEW, OLD, profile_variable, shipped_profile

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "launch" / "segment.launch.py"
DRIVER = Path(__file__).with_name("run_launch_file.py")
S = 1_000_000_000

pytestmark = pytest.mark.ros
Launch = Callable[..., Child]


@pytest.fixture
def launch(graph: Graph, tmp_path: Path) -> Launch:
    """Start the launch file with arguments, in the domain of the test's graph."""

    def start(**arguments: object) -> Child:
        words = {name: str(value).lower() if isinstance(value, bool) else value for name, value in arguments.items()}
        given = [f"{name}:={value}" for name, value in words.items()]
        command = [str(DRIVER), str(FILE), f"python:={sys.executable}", *given]
        graph.children.append(Child(command, graph.domain, tmp_path / f"launch{len(graph.children)}.log"))
        return graph.children[-1]

    return start


@pytest.fixture(scope="module")
def launch_file() -> ModuleType:
    spec = importlib.util.spec_from_file_location("segment_launch", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ids_in(message: PointCloud2) -> np.ndarray:
    (offset,) = [field.offset for field in message.fields if field.name == "instance_id"]
    layout = {"names": ["id"], "formats": ["<u4"], "offsets": [offset], "itemsize": message.point_step}
    return np.frombuffer(message.data, np.dtype(layout))["id"]


def test_two_namespaces_side_by_side(graph: Graph, launch: Launch) -> None:
    results, publishers = {}, {}
    for robot, frame in (("robot1", "odom1"), ("robot2", "odom2")):
        cloud, labels = boxes_cloud(1000 * S, frame)
        results[robot] = graph.collect(PointCloud2, f"/{robot}/scene_node/instance_cloud")
        publishers[robot] = graph.publisher(PointCloud2, f"/{robot}/map_cloud", LATCHED)
        publishers[robot].publish(cloud_to_message(cloud))
        launch(namespace=robot, cloud_topic="map_cloud")
    for robot, frame in (("robot1", "odom1"), ("robot2", "odom2")):
        result = graph.until(lambda robot=robot: results[robot], 90.0)[0]
        assert (result.header.frame_id, stamp_ns(result.header.stamp)) == (frame, 1000 * S)
        assert min(best_ious(ids_in(result), labels)) >= 0.8
    assert [child.stop() for child in graph.children] == [0, 0]


def test_demo_ends_with_instances(graph: Graph, launch: Launch) -> None:
    results = graph.collect(PointCloud2, "/scene_node/instance_cloud")
    launch(demo=True)
    found = graph.until(lambda: [message for message in results if len(np.unique(ids_in(message))) > 5], 240.0)
    assert found[0].header.frame_id == "map"
    assert graph.children[0].stop() == 0


def test_arguments_win_over_files_and_files_over_defaults(graph: Graph, launch: Launch, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        "/**/scene_node:\n  ros__parameters:\n    autostart: true\n    model: graph\n    graph: {min_samples: 77}\n"
        "/**/fusion_node:\n  ros__parameters:\n    publish_period_s: 0.5\n"
    )
    launch(
        namespace="robot",
        params_file=mine,
        autostart=False,
        pose_source="pose_topic",
        global_frame="odom",
        fusion_device="cuda:7",
        model="nano",
        device="cpu",
        num_queries=60,
        score_threshold=1,
    )
    assert graph.state("/robot/scene_node") == "unconfigured"
    assert parameters(graph, "/robot/scene_node", "graph.min_samples", "input") == [77, "cloud"]
    names = ("model", "segment3d.device", "segment3d.num_queries", "segment3d.score_threshold", "segment3d.engine")
    assert parameters(graph, "/robot/scene_node", *names) == ["nano", "cpu", 60, 1.0, "auto"]
    names = ("publish_period_s", "global_frame", "fusion.device")
    assert parameters(graph, "/robot/fusion_node", *names) == [0.5, "odom", "cuda:7"]


def test_prompt_node_looks_at_what_scene_node_looks_at(graph: Graph, launch: Launch) -> None:
    launch(cloud_topic="map_cloud", prompt=True, prompt_device="cpu", instances_file="/tmp/mine.npz", autostart=False)
    names = ("input", "model", "point_sam.device", "instances_file")
    assert parameters(graph, "/prompt_node", *names) == ["cloud", "nano", "cpu", "/tmp/mine.npz"]
    for node in ("/prompt_node", "/scene_node"):
        assert graph.transition(node, Transition.TRANSITION_CONFIGURE)
        assert graph.transition(node, Transition.TRANSITION_ACTIVATE)
    cloud = graph.publisher(PointCloud2, "/map_cloud", LATCHED)
    graph.subscribed(cloud, 2)
    accepted = graph.publisher(PointCloud2, "/prompt_node/accepted", LATCHED)
    graph.until(lambda: accepted.get_subscription_count() == 1)


def parameters(graph: Graph, node: str, *names: str) -> list[object]:
    from rcl_interfaces.srv import GetParameters
    from rclpy.parameter import parameter_value_to_python

    response = graph.call(GetParameters, f"{node}/get_parameters", GetParameters.Request(names=list(names)))
    return [parameter_value_to_python(value) for value in response.values]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cloud_topic:=cloud", "fuse:=true"], "give one of the two"),
        (["params_file:=/nonexistent.yaml"], "parameter file not found: /nonexistent.yaml"),
        (["python:=/nonexistent"], "no Python with seg3d_ros, rclpy, Open3D and Numba: tried /nonexistent"),
        (["camera:=kinect"], "kinect"),
        (["cloud_topic:=cloud", "fusion_device:=cuda:0"], "fusion_device:=cuda:0 is for fusing, and nothing is fused"),
        (["prompt_model:=nano"], "prompt_model:=nano is for prompt_node, which is not started"),
        (["view_port:=8091"], "view_port:=8091 is for viewer_node, which is not started: leave it out or view:=true"),
        (["view:=true", "view_port:=many"], "view_port:=many is no whole number"),
        (["num_queries:=many"], "num_queries:=many is no whole number"),
    ],
)
def test_nonsense_is_refused_before_anything_starts(arguments: list[str], message: str) -> None:
    command = [sys.executable, str(DRIVER), str(FILE), *arguments]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode != 0
    assert message in refused.stdout + refused.stderr
    assert "process started" not in refused.stdout + refused.stderr


def test_a_node_that_refuses_its_settings_ends_the_launch(graph: Graph, launch: Launch) -> None:
    child = launch(cloud_topic="cloud", model="nonsense")
    assert child.process.wait(60) == 0
    assert "nonsense" in child.text()
    graph.children.clear()


def test_a_device_that_is_not_there_ends_the_launch(graph: Graph, launch: Launch) -> None:
    child = launch(fusion_device="cuda:77")
    assert child.process.wait(60) == 0
    assert "cannot configure: fusion.device = cuda:77, but this Open3D finds" in child.text()
    graph.children.clear()


@pytest.mark.parametrize(
    ("arguments", "cloud"),
    [
        ({}, "fusion_node/cloud"),
        ({"cloud_topic": "map"}, "map"),
        ({"fuse": "false"}, "cloud"),
        ({"fuse": "false", "prompt": "true"}, "prompt_node/prompt_cloud"),
    ],
)
def test_the_viewer_shows_what_is_clicked_on(
    launch_file: ModuleType, monkeypatch: pytest.MonkeyPatch, arguments: dict[str, str], cloud: str
) -> None:
    monkeypatch.setattr(launch_file, "Node", lambda **options: options)
    given = {name: default for name, default, *_ in launch_file.ARGUMENTS} | arguments
    fuse = "cloud_topic" not in arguments and "fuse" not in arguments
    assert launch_file.viewer(given, "python", fuse) == []
    (node,) = launch_file.viewer({**given, "view": "true", "view_port": "0"}, "python", fuse)
    assert (node["name"], dict(node["remappings"])) == ("viewer_node", {"cloud": cloud})
    assert node["parameters"][-1]["port"] == 0


def test_rviz_shows_the_camera_in_the_frame_of_the_results(
    launch_file: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch_file, "Node", lambda **options: options)
    given = {name: default for name, default, *_ in launch_file.ARGUMENTS}
    assert launch_file.rviz(given)["arguments"] == ["-d", given["rviz_config"]]
    chosen = launch_file.rviz({**given, "camera": "realsense", "rgb_topic": "mine", "global_frame": "odom"})
    assert chosen["arguments"][2:] == ["-f", "odom"]
    assert dict(chosen["remappings"])["rgb/image_rect_color"] == "mine"


@pytest.mark.parametrize("distribution", ["jazzy", "kilted", ""])
def test_one_dds_profile_is_set_unless_the_user_has_one(
    launch_file: ModuleType, monkeypatch: pytest.MonkeyPatch, distribution: str
) -> None:
    monkeypatch.setenv("ROS_DISTRO", distribution)
    assert launch_file.shared_memory() == []
    for name in (NEW, OLD):
        monkeypatch.delenv(name, raising=False)
    (setting,) = launch_file.shared_memory()
    assert [part.text for part in setting.name] == [profile_variable()]
    assert [part.text for part in setting.value] == [str(shipped_profile())]


def test_there_are_few_heaps_unless_the_user_wants_more(
    launch_file: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MALLOC_ARENA_MAX", "7")
    assert launch_file.few_heaps() == []
    monkeypatch.delenv("MALLOC_ARENA_MAX")
    (setting,) = launch_file.few_heaps()
    assert [part.text for part in (*setting.name, *setting.value)] == ["MALLOC_ARENA_MAX", "2"]


@pytest.mark.parametrize("camera", ["custom", "realsense", "zed", "orbbec", "oak"])
def test_camera_presets_are_complete_and_relative(launch_file: ModuleType, camera: str) -> None:
    given = {
        "camera": camera,
        "rgb_topic": "",
        "depth_topic": "mine",
        "camera_info_topic": "",
        "pose_topic": "camera_pose",
    }
    topics = dict(launch_file.camera_topics(given))
    assert set(topics) == {"rgb/image_rect_color", "depth_registered/image_rect", "rgb/camera_info", "camera_pose"}
    assert topics["depth_registered/image_rect"] == "mine"
    assert not [topic for topic in topics.values() if topic.startswith("/")]


def test_readme_explains_every_argument(launch_file: ModuleType) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name, *_ in launch_file.ARGUMENTS if f"`{name}`" not in readme] == []
