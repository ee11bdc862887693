"""Relabelling from recordings and into them: clouds with what the robot found, and results that ROS tools read."""

from __future__ import annotations

import json

import numpy as np
import pytest
from rosbags.typesys import Stores, get_typestore

from seg3d_core.cli import main
from seg3d_core.data.bag_clouds import CLOUD, decode_cloud, decode_labelled, encode_cloud, encode_labelled
from seg3d_core.data.bags import BagReader, BagWriter, read_bag
from seg3d_core.data.scenes import SceneFolder
from seg3d_core.data.scenes.check import check_scene
from seg3d_core.errors import InputError
from seg3d_core.recording.bag_run import FUSED_TOPIC, INSTANCES_TOPIC
from seg3d_core.relabel.actions import Accept, Click, Merge
from seg3d_core.relabel.recorded_cloud import newest_cloud
from seg3d_core.relabel.results_bag import PROVENANCE_TOPIC
from seg3d_core.relabel.targets import open_targets
from seg3d_core.types import IGNORE, Cloud, LabelledCloud

TALL, FLAT = 2, 3
S = 1_000_000_000
STORE = get_typestore(Stores.ROS2_JAZZY)


def boxes(stamp_ns, count=60):
    """A cloud of three ids, the last of which is none."""
    points = np.random.default_rng(stamp_ns).uniform(0, 1, (count, 3)).astype(np.float32)
    ids = np.repeat(np.array([1, 2, IGNORE], np.int32), count // 3)
    return LabelledCloud(Cloud(points, frame_id="map", stamp_ns=stamp_ns), ids, {})


def record(path, clouds, found, topics=("/cloud", "/scene_node/instance_cloud")):
    """A recording of clouds, and of instances of some of them."""
    with BagWriter(path) as writer:
        cloud, result = (writer.topic(topic, CLOUD) for topic in topics)
        for one in clouds:
            cloud(one.cloud.stamp_ns + 5, encode_cloud(one.cloud))
        for one in found:
            result(one.cloud.stamp_ns + 9, encode_labelled(one))
    return path


def open_bag(bag, to, **more):
    said = []
    (scene,) = open_targets([bag], to, said.append, **more)
    return scene, said


def test_a_recording_without_images_is_its_newest_cloud_with_what_was_found_in_it(tmp_path):
    one, two, three = (boxes(number * S) for number in (1, 2, 3))
    bag = record(tmp_path / "walk", [one, two, three], [one, two])
    scene, said = open_bag(bag, tmp_path / "to")
    cloud = scene.cloud()
    np.testing.assert_array_equal(cloud.cloud.points, two.cloud.points)
    np.testing.assert_array_equal(cloud.instance_id, two.instance_id)
    assert (cloud.cloud.stamp_ns, cloud.cloud.frame_id) == (2 * S, "map")
    assert said[0] == "walk: the newest cloud of /cloud, with the instances of /scene_node/instance_cloud"
    assert list(check_scene(scene)) == []
    assert open_bag(bag, tmp_path / "to")[1] == []  # it is there
    with pytest.raises(InputError, match=r"was made of \S+/walk: give another folder for \S+/other/walk"):
        open_targets([record(tmp_path / "other" / "walk", [one], [])], tmp_path / "to", print)


def test_results_of_other_points_are_not_taken(tmp_path):
    one = boxes(S)
    for name, found in (("moved", boxes(S, 63)), ("alone", None)):
        bag = record(tmp_path / name, [one], [found] if found else [])
        scene, said = open_bag(bag, tmp_path / "to")
        assert scene.cloud().instance_id is None
        assert said[0] == f"{name}: the newest cloud of /cloud"


def test_recordings_of_several_clouds_ask_which(tmp_path):
    bag = record(tmp_path / "walk", [boxes(S)], [boxes(2 * S)], ("/cloud", "/map"))
    with pytest.raises(InputError, match=r"has clouds on /cloud, /map: choose with --set cloud_topic=NAME"):
        open_bag(bag, tmp_path / "to")
    scene, _ = open_bag(bag, tmp_path / "to", cloud_topic="/map")
    assert scene.cloud().cloud.stamp_ns == 2 * S
    with pytest.raises(InputError, match=r"has no clouds on /cluod; it has /cloud, /map"):
        open_bag(bag, tmp_path / "two", cloud_topic="/cluod")


def test_a_recording_whose_recorder_was_killed_says_how_to_repair_it(tmp_path):
    bag = record(tmp_path / "walk", [boxes(S)], [])
    (bag / "metadata.yaml").unlink()
    with pytest.raises(InputError, match=r"the folder has no metadata\.yaml; make it readable with: seg3d bags repair"):
        open_bag(bag, tmp_path / "to")


def test_results_are_a_recording_too(table, relabel, told_class, tmp_path, capsys):
    scene, things = table
    session = relabel(scene, told_class(things), bag=True)
    session.apply(Click((0.075, 0.06, 0.3)))
    session.apply(Accept("tall"))
    session.apply(Click((0.42, 0.25, 0.1)))
    session.apply(Accept("flat"))
    session.save()
    bag = scene.path / "relabel" / "bag"
    for merged in (False, True):  # what is there is replaced
        if merged:
            session.apply(Merge((1, 2)))
            session.save()
        now = SceneFolder.open(scene.path).cloud()
        found = {message.topic: message for message in read_bag(bag)}
        assert set(found) == {FUSED_TOPIC, INSTANCES_TOPIC, PROVENANCE_TOPIC}
        labelled = decode_labelled(found[INSTANCES_TOPIC].data)
        np.testing.assert_array_equal(labelled.cloud.points, now.cloud.points)
        np.testing.assert_array_equal(labelled.instance_id, now.instance_id)
        assert set(np.unique(labelled.instance_id)) == ({-1, 1} if merged else {-1, 1, 2})
        np.testing.assert_allclose(decode_cloud(found[FUSED_TOPIC].data).rgb, now.cloud.rgb, atol=1 / 255)
        text = STORE.deserialize_cdr(found[PROVENANCE_TOPIC].data, "std_msgs/msg/String").data
        assert text == (scene.path / "relabel" / "provenance.json").read_text()
        assert [row["name"] for row in json.loads(text)["instances"]] == (["tall"] if merged else ["tall", "flat"])
    with BagReader(bag) as reader:
        assert all(topic.is_latched for topic in reader.topics())
    assert sorted(file.name for file in bag.iterdir()) == ["bag.mcap", "metadata.yaml"]
    assert [file.name for file in bag.parent.iterdir() if file.name.startswith(".")] == []
    assert list(check_scene(SceneFolder.open(scene.path))) == []
    assert main(["bags", "info", str(bag)]) == 0
    assert f"{INSTANCES_TOPIC}" in capsys.readouterr().out
    # And a recording to relabel, with the labels that it has.
    again = newest_cloud(bag, FUSED_TOPIC)
    np.testing.assert_array_equal(again.instance_id, now.instance_id)
    assert again.found_on == INSTANCES_TOPIC


def test_a_recording_of_results_that_cannot_be_written_leaves_the_old_one(table, relabel, told_class, monkeypatch):
    scene, things = table
    session = relabel(scene, told_class(things), bag=True)
    session.save()
    bag = scene.path / "relabel" / "bag"
    before = {file.name: file.read_bytes() for file in bag.iterdir()}

    def refuse(self, *unused):
        raise InputError("cannot record: No space left on device")

    monkeypatch.setattr(BagWriter, "_write", refuse)
    with pytest.raises(InputError, match="No space left on device"):
        session.save()
    assert {file.name: file.read_bytes() for file in bag.iterdir()} == before
    assert [file.name for file in bag.parent.iterdir() if file.name.startswith(".")] == []
