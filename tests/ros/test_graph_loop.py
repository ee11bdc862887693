"""From the robot to corrected data and back: what the network of a running node got wrong, it does not get wrong again.

Record, correct, learn, reload: each stage is the command, node or service that a user has.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the ROS wheels (Python 3.11, 3.12) or a sourced ROS 2")
pytest.importorskip("torch", reason="networks need PyTorch")
pytest.importorskip("lightning_fabric", reason="Lightning Fabric is not installed")

from boxes import HIGH, LOW, best_ious, boxes_cloud
from boxes_network import FOR_NODES, SPACING_M, train_on_boxes
from lifecycle_msgs.msg import Transition
from rclpy.qos import QoSProfile
from ros_graph import EVERYTHING, Graph
from sensor_msgs.msg import PointCloud2, PointField
from std_srvs.srv import Trigger

from seg3d_core.cli import main
from seg3d_core.data.cloud_files import write_labelled
from seg3d_core.types import LabelledCloud
from seg3d_ros.conversions.cloud_layout import read_layout
from seg3d_ros.conversions.clouds import cloud_to_message
from seg3d_ros.conversions.stamps import stamp_ns

pytestmark = pytest.mark.ros
S = 1_000_000_000
SCENE, RECORDER = "/scene_node", "/recorder_node"
WRONG, UNTOUCHED = 2, 3
"""Boxes: the one that the network takes for floor, and one that it knows."""
LABELS = boxes_cloud(0, spacing_m=SPACING_M)[1]
FEW_STEPS = (
    "steps=45", "schedule.learning_rate=0.003", "schedule.decoder_factor=0.3", "average=0", "device=cpu", "threads=1",
    "data.workers=0", "validation.pictures=0", "validation.fewest_voxels=5",
    # The scene as it is: turned and bent ones are worth it in hundreds of steps.
    "data.augmentation.shift=false", "data.augmentation.flip=0", "data.augmentation.distort=0",
    "data.augmentation.scale=0", "data.augmentation.turn_deg=0", "data.augmentation.lean_deg=0",
)  # fmt: skip


class Robot:
    """Looks at the boxes; scene_node finds instances, recorder_node records both."""

    def __init__(self, graph: Graph, recordings: Path) -> None:
        self.graph, self.now_s = graph, 0
        self._results: list[PointCloud2] = graph.collect(PointCloud2, f"{SCENE}/instance_cloud", EVERYTHING)
        self._clouds = graph.publisher(PointCloud2, "/cloud", QoSProfile(depth=1))
        graph.start("scene_node", autostart=False, **FOR_NODES)
        topics = "cloud scene_node/instance_cloud"
        graph.start("recorder_node", folder=recordings, topics=topics, recording__files__min_free_mb=1)

    def begin(self, model: Path) -> None:
        assert self.graph.set_parameter(SCENE, "model", str(model)).successful
        assert self.graph.transition(SCENE, Transition.TRANSITION_CONFIGURE)
        assert self.graph.transition(SCENE, Transition.TRANSITION_ACTIVATE)
        self.graph.active(RECORDER)
        self.graph.subscribed(self._clouds, 2)
        self.graph.until(lambda: self.graph.status(RECORDER).get("topics") == "2")

    def look(self) -> np.ndarray:
        """The instance of each point of a cloud of now."""
        self.now_s += 1
        cloud, _ = boxes_cloud(self.now_s * S, spacing_m=SPACING_M)
        self._clouds.publish(cloud_to_message(cloud))
        (found,) = self.graph.until(lambda: [m for m in self._results if stamp_ns(m.header.stamp) == self.now_s * S])
        return read_layout(found).column("instance_id", PointField.UINT32)[0].astype(np.int64)

    def stop_recording(self) -> None:
        self.graph.until(lambda: self.graph.status(RECORDER).get("frames_used") == str(2 * self.now_s))
        assert self.trigger(f"{RECORDER}/stop").success

    def reload(self, model: Path) -> None:
        assert self.graph.set_parameter(SCENE, "model", str(model)).successful
        answer = self.trigger(f"{SCENE}/reload_model")
        assert (answer.success, answer.message) == (True, f"in use now: {model}")

    def trigger(self, service: str) -> Trigger.Response:
        return self.graph.call(Trigger, service, Trigger.Request())


def test_what_a_person_corrected_the_running_robot_segments_better(graph: Graph, tmp_path: Path) -> None:
    robot = Robot(graph, tmp_path / "bags")  # which starts meanwhile
    start = tmp_path / "start.safetensors"
    train_on_boxes(start, joined={WRONG: 0})
    robot.begin(start)
    first = robot.look()
    robot.stop_recording()
    (bag,) = (tmp_path / "bags").iterdir()

    corrected = relabelled(bag, tmp_path)
    better = finetuned(start, corrected, tmp_path)

    robot.reload(better)
    then = robot.look()
    before, after = best_ious(first, LABELS), best_ious(then, LABELS)
    print("IoU of the boxes before", np.round(before, 2), "and after", np.round(after, 2))
    assert before[WRONG - 1] < 0.3
    assert after[WRONG - 1] > 0.8
    assert min(after) > 0.8
    assert id_of(then, UNTOUCHED) == id_of(first, UNTOUCHED) != 0


def relabelled(bag: Path, folder: Path) -> Path:
    """The scene of a recording on which a person has clicked the box that the robot did not see."""
    top = [*((LOW[WRONG - 1] + HIGH[WRONG - 1]) / 2)[:2], HIGH[WRONG - 1][2]]
    script = folder / "script.yaml"
    script.write_text(f"- click: {[float(value) for value in top]}\n- accept: box\n")
    assert main([*map(str, ["relabel", bag, "--to", folder / "corrected", "--headless", script])]) == 0
    return folder / "corrected" / bag.name


def finetuned(start: Path, scene: Path, folder: Path) -> Path:
    """The weights after learning from the scene, judged on another one whose truth is known."""
    held_out = folder / "held_out"
    cloud, labels = boxes_cloud(0, spacing_m=1.2 * SPACING_M)
    write_labelled(folder / "boxes.npz", LabelledCloud(cloud, labels.astype(np.int32) + 1, {}))
    (folder / "nothing.yaml").write_text("[]")
    words = ["relabel", folder / "boxes.npz", "--to", held_out, "--headless", folder / "nothing.yaml"]
    assert main([*map(str, words)]) == 0
    words = [
        "train",
        "finetune",
        "--from",
        start,
        "--scenes",
        scene,
        "--held-out",
        held_out,
        "--folder",
        folder / "run",
    ]
    for setting in FEW_STEPS:
        words += ["--set", setting]
    assert main([*map(str, words)]) == 0
    return folder / "run" / "finetuned.safetensors"


def id_of(ids: np.ndarray, box: int) -> int:
    """The instance that most points of a box have."""
    return int(np.bincount(ids[box == LABELS]).argmax())
