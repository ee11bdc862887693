"""prompt_node on a real graph: a cloud, clicks, masks, the way back, accepted instances."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the ROS wheels (Python 3.11, 3.12) or a sourced ROS 2")
pytest.importorskip("torch", reason="networks need PyTorch")

from boxes import HIGH, LOW, best_ious, boxes_cloud
from geometry_msgs.msg import TransformStamped
from lifecycle_msgs.msg import Transition
from prompt_user import NODE, PromptUser, S, iou, rows_in
from ros_graph import EVERYTHING, LATCHED, Graph
from sensor_msgs.msg import PointCloud2
from visualization_msgs.msg import Marker

from seg3d_core.learning.clicks import next_click
from seg3d_core.tracking.ids import ACCEPTED_IDS
from seg3d_ros.conversions.clouds import cloud_from_message
from seg3d_ros.conversions.pinned import instances_from_message
from seg3d_ros.conversions.stamps import stamp_ns

pytestmark = pytest.mark.ros

CLOUD, LABELS = boxes_cloud(0, spacing_m=0.02)
TOPS = [(*((LOW[box] + HIGH[box]) / 2)[:2], HIGH[box][2]) for box in range(3)]
"""The middle of each box's top."""
ONE_CLICK = 0.9
"""IoU that the shipped network reaches with one click on each box."""
FIRST = ACCEPTED_IDS.start
MAX_CLICKS = 6


@pytest.fixture(scope="module")
def user(shared_graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> PromptUser:
    return PromptUser(
        shared_graph,
        point_sam__device="cpu",
        scene__mode="whole",
        pose_type="TransformStamped",
        interaction__max_clicks=MAX_CLICKS,
        instances_file=tmp_path_factory.mktemp("accepted") / "mine.npz",
    )


@pytest.fixture
def desk(user: PromptUser) -> Iterator[PromptUser]:
    """The user before a fresh cloud."""
    user.afresh(CLOUD)
    yield user
    assert user.child.alive
    assert "internal error" not in user.child.text()


def test_a_click_selects_the_object_with_frame_and_stamp_of_its_cloud(desk: PromptUser) -> None:
    for number, top in enumerate(TOPS, start=1):
        mask = desk.get("clicked_point", top)
        assert (mask.frame_id, mask.stamp_ns) == ("map", desk.now_s * S)
        np.testing.assert_allclose(mask.rgb, CLOUD.rgb[rows_in(mask, CLOUD)], atol=1 / 255)
        best = iou(mask, CLOUD, number == LABELS)
        assert best >= ONE_CLICK, f"box {number}: {best:.2f}"
        desk.do("new_object")


def test_a_person_who_corrects_gets_each_object(desk: PromptUser) -> None:
    for number in (1, 2, 3):
        truth, found = number == LABELS, None
        for _ in range(6):
            click = next_click(CLOUD.points, truth, found)
            topic = "clicked_point" if click.is_foreground else "clicked_point_negative"
            found = rows_in(desk.get(topic, CLOUD.points[click.row]), CLOUD)
            if (best := iou(desk.mask(), CLOUD, truth)) >= 0.88:
                break
        assert best >= 0.88, f"box {number}"
        desk.do("new_object")


def test_negative_click_shrinks_and_undo_restores_bit_for_bit(desk: PromptUser) -> None:
    top = np.array(TOPS[2])
    desk.get("clicked_point", top)
    first = desk.masks[-1]
    # A point of the mask that is not wanted.
    corner = LOW[2] + [0, 0, 0.3]
    smaller = desk.get("clicked_point_negative", corner)
    assert 0 < len(smaller) < first.width
    second = desk.masks[-1]
    assert f"object {FIRST}: candidate 1 of" in desk.do("undo")
    assert bytes(desk.masks[-1].data) == bytes(first.data)
    np.testing.assert_array_equal(desk.get("clicked_point_negative", corner).points, smaller.points)
    assert bytes(desk.masks[-1].data) == bytes(second.data)
    desk.do("undo")
    assert desk.do("undo") == "nothing is selected"
    assert len(desk.mask()) == 0
    assert not desk.press("undo").success


def test_candidates_go_round(desk: PromptUser) -> None:
    desk.get("clicked_point", TOPS[0])
    first = bytes(desk.masks[-1].data)
    said = [desk.do("next_candidate") for _ in range(3)]
    assert [f"candidate {number} of 3" in text for number, text in zip((2, 3, 1), said, strict=True)] == [True] * 3
    assert bytes(desk.masks[-1].data) == first


def test_markers_show_clicks_and_scores_and_delete_what_vanished(desk: PromptUser) -> None:
    desk.get("clicked_point", TOPS[1])
    desk.get("clicked_point_negative", TOPS[1] + np.array([0.14, 0, 0]))
    desk.graph.until(lambda: "seg3d/click_exclude" in {each.ns for each in desk.markers[-1].markers})
    shown = {each.ns: each for each in desk.markers[-1].markers if each.action == Marker.ADD}
    assert {each.id for each in shown.values()} == {FIRST}
    include, exclude, label = (shown[f"seg3d/{name}"] for name in ("click_include", "click_exclude", "label"))
    assert (include.color.g > include.color.r, exclude.color.r > exclude.color.g) == (True, True)
    assert (len(include.points), len(exclude.points), include.type) == (1, 1, Marker.SPHERE_LIST)
    assert label.text.startswith(f"#{FIRST}  1/1  IoU ")
    assert label.pose.position.z > max(point.z for point in include.points)
    assert all(each.header.frame_id == "map" for each in shown.values())
    desk.do("clear")
    desk.graph.until(lambda: {each.action for each in desk.markers[-1].markers} == {Marker.DELETE})
    assert {each.ns for each in desk.markers[-1].markers} == set(shown)
    assert "candidate" in desk.do("undo")
    desk.do("reject")


def test_whole_cloud_with_the_object_in_colour(desk: PromptUser) -> None:
    plain = cloud_from_message(desk.prompt_clouds[-1])
    np.testing.assert_array_equal(plain.points, CLOUD.points)
    mask = desk.get("clicked_point", TOPS[0])
    desk.graph.until(lambda: bytes(desk.prompt_clouds[-1].data) != bytes(desk.prompt_clouds[-2].data))
    painted = cloud_from_message(desk.prompt_clouds[-1])
    changed = (painted.rgb != plain.rgb).any(axis=1)
    np.testing.assert_array_equal(changed, rows_in(mask, CLOUD))
    assert len(np.unique(painted.rgb[changed], axis=0)) == 1


def test_accepted_instances_are_latched_saved_and_loaded(desk: PromptUser) -> None:
    masks = []
    for top in TOPS[:2]:
        masks.append(desk.get("clicked_point", top))
        assert desk.press("accept").message.startswith("accepted object 5000")
    # Subscribed to only now.
    late = desk.graph.collect(PointCloud2, f"{NODE}/accepted", LATCHED)
    message = desk.graph.until(lambda: late)[-1]
    assert (message.header.frame_id, stamp_ns(message.header.stamp)) == ("map", desk.now_s * S)
    accepted = instances_from_message(message)
    numbers = accepted.instance_ids.tolist()
    assert numbers == sorted(numbers)
    for row, mask in enumerate(masks):
        np.testing.assert_array_equal(accepted.cloud.points[accepted.masks[row]], mask.points)
    assert desk.press("save_instances").message.startswith("saved 2 instances")
    assert desk.press("reset").success
    desk.graph.until(lambda: late[-1].width == 0)
    assert f"{numbers[0]}, {numbers[1]}" in desk.press("load_instances").message
    desk.graph.until(lambda: late[-1].width == message.width)
    assert bytes(late[-1].data) == bytes(message.data)
    desk.see(CLOUD)
    desk.get("clicked_point", TOPS[2])
    assert f"object {numbers[1] + 1}:" in desk.press("accept").message, "ids are never used twice"


def test_goal_picks_what_stands_there(desk: PromptUser) -> None:
    x, y, _ = TOPS[1]
    mask = desk.get("prompt_goal", (x + 0.02, y - 0.02, 0.0))
    assert rows_in(mask, CLOUD)[LABELS == 2].mean() > 0.5
    desk.told("m: what stands there; object")


def test_box_prompt(desk: PromptUser) -> None:
    mask = desk.get("prompt_box", HIGH[0], LOW[0] + [0, 0, 0.02])
    assert rows_in(mask, CLOUD)[LABELS == 1].mean() > 0.5
    desk.ask("prompt_box", LOW[0])
    desk.told("prompt_box: the box has 1 corners, give 2")
    desk.ask("prompt_box", (5, 5, 5), (6, 6, 6))
    desk.told("prompt_box: there are no points in the box")


def test_a_newer_cloud_waits_for_the_object_in_progress(desk: PromptUser) -> None:
    old_s = desk.now_s
    first = desk.get("clicked_point", TOPS[0])
    desk.send(CLOUD.select(LABELS != 1))
    second = desk.get("clicked_point_negative", LOW[0])
    assert {first.stamp_ns, second.stamp_ns} == {old_s * S}
    assert desk.seen_s() == old_s
    assert desk.press("accept").success
    desk.graph.until(lambda: desk.seen_s() == desk.now_s)
    desk.ask("clicked_point", TOPS[0])
    desk.told("m from the nearest point of the cloud, at most 0.1 m is allowed")


def test_other_frames(desk: PromptUser) -> None:
    poses = desk.graph.publisher(TransformStamped, "/camera_pose", EVERYTHING)
    desk.graph.subscribed(poses)
    message = TransformStamped()
    message.header.frame_id, message.child_frame_id = "map", "gripper"
    message.header.stamp.sec = desk.now_s
    message.transform.translation.x, message.transform.rotation.w = 1.0, 1.0
    poses.publish(message)
    expected = desk.get("clicked_point", TOPS[1])
    desk.do("new_object")
    shifted = np.array(TOPS[1]) - [1, 0, 0]
    # The transform may still be on its way when the click comes: it is waited for.
    at_stamp = desk.get("clicked_point", shifted, frame_id="gripper", stamp_ns=desk.now_s * S)
    np.testing.assert_array_equal(at_stamp.points, expected.points)
    desk.told("from frame 'gripper', with the transform of its stamp; object")
    desk.do("new_object")
    later = desk.get("clicked_point", shifted, frame_id="gripper", stamp_ns=desk.now_s * S + S // 2)
    np.testing.assert_array_equal(later.points, expected.points)
    desk.told("from frame 'gripper', with the newest transform, 0.500 s from its stamp; object")
    for seconds, side in ((60, "newer"), (-60, "older")):
        desk.ask("clicked_point", shifted, frame_id="gripper", stamp_ns=(desk.now_s + seconds) * S)
        desk.told(f"the prompt is 60.000 s {side} than the newest transform, at most 1 s (click_tolerance_s)")
    desk.ask("clicked_point", shifted, frame_id="nowhere")
    desk.told("the camera_pose topic tells where 'gripper' is, not the images' frame")
    desk.graph.probe.destroy_publisher(poses)


def test_bad_input_is_refused_counted_and_changes_nothing(desk: PromptUser) -> None:
    before = int(desk.graph.status(NODE).get("prompts_refused", 0))
    desk.ask("clicked_point_negative", TOPS[0])
    desk.told("clicked_point_negative: the first click is beside the object")
    desk.get("clicked_point", TOPS[0])
    count, shown = len(desk.masks), bytes(desk.masks[-1].data)
    nan = float("nan")
    asked = [
        ("clicked_point", (nan, 0, 0), "map", "is not finite"),
        ("clicked_point", (1e300, 0, 0), "map", "is not finite"),
        ("clicked_point", (0, 0, 2), "map", "m from the nearest point of the cloud, at most 0.1 m is allowed"),
        ("clicked_point", TOPS[0], "", "the prompt does not say its frame"),
        ("clicked_point", TOPS[0], "elsewhere", "no transform from 'elsewhere'"),
        ("prompt_goal", (50, 50, 0), "map", "prompt_goal: the goal at [50.0, 50.0] m is outside of the map"),
        ("prompt_instance", TOPS[0], "map", "no result of scene_node has come on /instance_cloud yet"),
        ("prompt_goal", (nan, 0, 0), "map", "prompt_goal: the prompt at"),
    ]
    for topic, point, frame_id, reason in asked:
        desk.ask(topic, point, frame_id=frame_id)
        desk.told(reason)
    assert (len(desk.masks), bytes(desk.masks[-1].data)) == (count, shown)
    desk.graph.until(lambda: int(desk.graph.status(NODE)["prompts_refused"]) >= before + len(asked) + 1)
    status = desk.graph.status(NODE)
    assert status["level"] == "1"
    assert "prompts refused" in status["message"]
    assert bytes(desk.masks[-1].data) == shown
    # The object in progress goes on from where it was.
    assert "candidate 2 of 3" in desk.do("next_candidate")


def test_hundreds_of_clicks(desk: PromptUser) -> None:
    desk.get("clicked_point", TOPS[0])
    for number in range(200):
        desk.ask("clicked_point", TOPS[number % 3])
    desk.told(f"clicked_point: the object has {MAX_CLICKS} clicks, at most {MAX_CLICKS} are allowed")
    desk.told(f"({201 - MAX_CLICKS} times so far)")
    for _ in range(MAX_CLICKS):
        assert desk.press("undo").success
    assert desk.press("undo").message == "there is nothing to undo"


def test_services_in_every_order_answer(desk: PromptUser) -> None:
    expected = {
        "accept": (False, "no object is in progress"),
        "reject": (False, "no object is in progress"),
        "next_candidate": (False, "no object is in progress"),
        "undo": (False, "there is nothing to undo"),
        "clear": (True, "nothing is selected"),
        "new_object": (True, "click on object"),
    }
    for name, (success, message) in expected.items():
        answer = desk.press(name)
        assert (answer.success, message in answer.message) == (success, True), f"{name}: {answer.message}"
    desk.get("clicked_point", TOPS[0])
    desk.get("clicked_point", TOPS[0])
    answer = desk.press("next_candidate")
    assert (answer.success, "one candidate only" in answer.message) == (False, True)
    assert desk.graph.set_parameter(NODE, "instances_file", "/nowhere/at/all.npz").successful
    for name in ("save_instances", "load_instances"):
        assert not desk.press(name).success
    assert desk.graph.set_parameter(NODE, "instances_file", "").successful
    assert "instances_file is empty" in desk.press("save_instances").message


def test_accepted_instances_are_pinned_in_the_scene(desk: PromptUser) -> None:
    results = desk.graph.collect(PointCloud2, "/instance_cloud", EVERYTHING)
    names = ("accepted:=prompt_node/accepted", "~/instance_cloud:=/instance_cloud")
    scene = desk.graph.start("scene_node", *(part for name in names for part in ("-r", name)))
    desk.graph.active("/scene_node")
    desk.graph.subscribed(desk.clouds, 2)
    desk.see(CLOUD)
    desk.graph.until(lambda: results)
    found = instances_from_message(results[-1])
    assert best_ious(found.point_ids, LABELS)[0] > 0.8
    assert found.instance_ids.max() < FIRST
    # What the scene has found as a prompt, and that as an accepted instance.
    mask = desk.get("prompt_instance", TOPS[0])
    assert iou(mask, CLOUD, LABELS == 1) > 0.8
    number = int(desk.press("accept").message.split()[2].rstrip(":"))
    desk.graph.until(lambda: number in instances_from_message(results[-1]).instance_ids)
    pinned = instances_from_message(results[-1])
    np.testing.assert_array_equal(pinned.point_ids == number, rows_in(mask, CLOUD))
    assert len(pinned) == len(found)
    desk.see(CLOUD)
    desk.graph.until(lambda: stamp_ns(results[-1].header.stamp) == desk.now_s * S)
    assert number in instances_from_message(results[-1]).instance_ids
    assert desk.press("reset").success
    desk.graph.until(lambda: number not in instances_from_message(results[-1]).instance_ids)
    desk.graph.children.remove(scene)
    assert scene.stop() == 0


def test_from_before_the_first_cloud_to_after_the_last(user: PromptUser) -> None:
    graph = user.graph
    for number in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP):
        assert graph.transition(NODE, number)
    assert user.press("undo").message == "the node is not active"
    for number in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
        assert graph.transition(NODE, number)
    graph.subscribed(user.clouds)
    user.ask("clicked_point", TOPS[0])
    user.told("clicked_point: there is no cloud to click on yet")
    # A click that comes with the cloud waits for it.
    count = len(user.masks)
    user.send(CLOUD)
    user.ask("clicked_point", TOPS[0])
    graph.until(lambda: len(user.masks) > count and user.masks[-1].width > 0)
    for number in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_ACTIVATE):
        assert graph.transition(NODE, number)
    assert user.press("accept").success, "the object in progress has stayed"
    graph.children.remove(user.child)
    assert user.child.stop() == 0
