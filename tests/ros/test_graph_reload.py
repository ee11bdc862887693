"""~/reload_model on real nodes: another model takes over between two clouds, and what is no model does not."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the ROS wheels (Python 3.11, 3.12) or a sourced ROS 2")
pytest.importorskip("torch", reason="networks need PyTorch")
pytest.importorskip("lightning_fabric", reason="Lightning Fabric is not installed")

from boxes import HIGH, LOW, best_ious, boxes_cloud, label_points
from boxes_network import FOR_NODES, SPACING_M, train_on_boxes
from lifecycle_msgs.msg import Transition
from prompt_user import PromptUser, iou
from rclpy.qos import QoSProfile
from ros_graph import EVERYTHING, Graph
from sensor_msgs.msg import PointCloud2, PointField
from std_srvs.srv import Trigger

from seg3d_core.checkpoints.shipped import shipped
from seg3d_ros.conversions.cloud_layout import read_layout
from seg3d_ros.conversions.clouds import cloud_from_message, cloud_to_message
from seg3d_ros.conversions.stamps import stamp_ns

pytestmark = pytest.mark.ros
S = 1_000_000_000
SCENE, PROMPT = "/scene_node", "/prompt_node"
MODEL = "model"
CLOUD, LABELS = boxes_cloud(0, spacing_m=SPACING_M)
TOPS = [(*((LOW[box] + HIGH[box]) / 2)[:2], HIGH[box][2]) for box in range(3)]


@pytest.fixture(scope="module")
def boxes_network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "boxes.safetensors"
    train_on_boxes(path)
    return path


class Robot:
    """Looks at the boxes and hears what scene_node finds."""

    def __init__(self, graph: Graph, **parameters: object) -> None:
        self.graph, self.now_s = graph, 0
        self._results: list[PointCloud2] = graph.collect(PointCloud2, f"{SCENE}/instance_cloud", EVERYTHING)
        self._clouds = graph.publisher(PointCloud2, "/cloud", QoSProfile(depth=1))
        graph.start("scene_node", **FOR_NODES, **parameters)

    def begin(self) -> None:
        """Up to here nothing can be loaded: there is nothing to take the place of."""
        assert reload(self.graph, SCENE).message == "the node is not active"
        assert self.graph.transition(SCENE, Transition.TRANSITION_CONFIGURE)
        assert reload(self.graph, SCENE).message == "in use now: graph"
        assert self.graph.transition(SCENE, Transition.TRANSITION_ACTIVATE)
        self.graph.subscribed(self._clouds)

    def look(self) -> PointCloud2:
        """The result on a cloud of now."""
        self.now_s += 1
        self._clouds.publish(cloud_to_message(boxes_cloud(self.now_s * S, spacing_m=SPACING_M)[0]))
        found = self.graph.until(lambda: [m for m in self._results if stamp_ns(m.header.stamp) == self.now_s * S])
        return found[-1]

    def box_ids(self) -> list[int]:
        """The id of what is found where each box is; each is found."""
        message = self.look()
        ids, labels = ids_of(message), label_points(cloud_from_message(message).points)
        assert min(best_ious(ids, labels)) > 0.5
        return [int(np.bincount(ids[labels == box]).argmax()) for box in (1, 2, 3)]

    def reload(self, model: object, node: str = SCENE) -> Trigger.Response:
        assert self.graph.set_parameter(node, MODEL, str(model)).successful
        return reload(self.graph, node)

    def said(self, name: str) -> str:
        return self.graph.status(SCENE).get(name, "")


def reload(graph: Graph, node: str) -> Any:
    return graph.call(Trigger, f"{node}/reload_model", Trigger.Request())


def ids_of(message: PointCloud2) -> np.ndarray:
    return read_layout(message).column("instance_id", PointField.UINT32)[0].astype(np.int64)


def test_objects_keep_their_ids_and_what_is_no_model_changes_nothing(
    graph: Graph, boxes_network: Path, tmp_path: Path
) -> None:
    robot = Robot(graph, model="graph", autostart=False)
    robot.begin()
    ids = robot.box_ids()
    assert len({*ids} - {0}) == 3
    answer = robot.reload(boxes_network)
    assert (answer.success, answer.message) == (True, f"in use now: {boxes_network}")
    assert robot.box_ids() == ids
    graph.until(lambda: robot.said(MODEL) == str(boxes_network))

    garbage = tmp_path / "garbage.safetensors"
    garbage.write_bytes(b"no weights here")
    for model, reason in (
        (garbage, "garbage.safetensors"),
        (tmp_path / "gone.safetensors", "nor a file that exists"),
        (shipped("point_sam_nano"), "point_sam_nano"),
    ):
        answer = robot.reload(model)
        assert not answer.success
        assert reason in answer.message
        graph.until(lambda reason=reason: reason in robot.said("message"))
        assert robot.said(MODEL) == str(boxes_network)
        assert f"in use is still {boxes_network}" in robot.said("message")
        assert robot.box_ids() == ids
    # Its settings may change while the parameter names something else.
    assert graph.set_parameter(SCENE, "graph.k", 0.05).successful
    assert robot.box_ids() == ids
    graph.until(lambda: (robot.said("reloads"), robot.said("reloads_refused")) == ("2", "3"))

    # Watched: what was copied halfway is refused, once; when the copy is complete it is taken.
    whole = boxes_network.read_bytes()
    garbage.write_bytes(whole[: len(whole) // 2])
    assert graph.set_parameter(SCENE, MODEL, str(garbage)).successful
    assert graph.set_parameter(SCENE, "watch_model_s", 0.2).successful
    graph.until(lambda: "watch_model_s: " in robot.said("message"))
    assert robot.box_ids() == ids
    garbage.write_bytes(whole)
    graph.until(lambda: robot.said(MODEL) == str(garbage))
    assert robot.box_ids() == ids
    graph.until(lambda: "in use is still" not in robot.said("message"))
    graph.until(lambda: (robot.said("reloads"), robot.said("reloads_refused")) == ("3", "4"))
    assert "Traceback" not in graph.children[0].text()


def test_what_is_selected_and_accepted_outlives_the_network(graph: Graph, boxes_network: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.safetensors"
    shutil.copy(shipped("point_sam_nano"), again)
    user = PromptUser(graph, point_sam__device="cpu", scene__mode="whole")
    user.see(CLOUD)
    user.get("clicked_point", TOPS[0])
    user.do("accept")
    before = user.get("clicked_point", TOPS[1])
    for model, answers in ((boxes_network, (False, "boxes.safetensors")), (again, (True, f"in use now: {again}"))):
        assert graph.set_parameter(PROMPT, MODEL, str(model)).successful
        answer = reload(graph, PROMPT)
        assert (answer.success, answers[1] in answer.message) == (answers[0], True)
    # The same weights: the same masks, and what was clicked before is still there to be undone.
    user.get("clicked_point_negative", TOPS[2])
    user.do("undo")
    np.testing.assert_array_equal(user.mask().points, before.points)
    user.do("accept")
    graph.until(lambda: graph.status(PROMPT).get("accepted") == "2")
    assert iou(user.get("clicked_point", TOPS[1]), CLOUD, LABELS == 2) > 0.9
