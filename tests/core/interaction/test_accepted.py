"""Accepted instances: ids, other clouds, files and what is wrong with them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seg3d_core.errors import InputError, PromptError
from seg3d_core.interaction.accepted import AcceptedInstances
from seg3d_core.interaction.candidates import MaskCandidates
from seg3d_core.interaction.selection import Selection
from seg3d_core.interaction_config import InteractionConfig
from seg3d_core.tracking.ids import ACCEPTED_IDS
from seg3d_core.types import Cloud, Prompt

FIRST = ACCEPTED_IDS.start


def selection(cloud, mask, score=0.75):
    logits = np.where(mask, 1, -1).astype(np.float32)[None]
    candidates = MaskCandidates(cloud, logits, np.array([score], np.float32), np.array([0.5], np.float32))
    place = cloud.points[mask.argmax()].tolist()
    return Selection(Prompt.click(*place).with_click(*place, is_foreground=False), candidates)


@pytest.fixture
def filled(world):
    """The three boxes."""
    accepted = AcceptedInstances()
    for label in (1, 2, 3):
        accepted.add(selection(world[0], world[1] == label), "a model", f"box {label}")
    return accepted


def contents(accepted):
    return [
        (
            each.instance_id, each.name, each.points.tobytes(), each.surroundings.tobytes(), each.model, each.source,
            each.prompt.points.tobytes(), each.prompt.is_foreground.tolist(), each.candidate, each.iou_prediction,
            each.stability, each.frame_id, each.stamp_ns,
        )
        for each in accepted
    ]  # fmt: skip


def state(accepted):
    return contents(accepted), accepted.next_id, accepted.frame_id


def test_ids_are_given_once(world, filled):
    cloud, labels = world
    assert [each.instance_id for each in filled] == [FIRST, FIRST + 1, FIRST + 2]
    assert filled.remove(FIRST + 2).name == "box 3"
    assert filled.add(selection(cloud, labels == 3), "m").instance_id == FIRST + 3
    filled.clear()
    assert (len(filled), filled.frame_id) == (0, None)
    assert filled.add(selection(cloud, labels == 3), "m").instance_id == FIRST + 4
    with pytest.raises(InputError, match=f"no accepted instance has the id 7; there are: {FIRST + 4}"):
        filled.remove(7)


def test_names(filled):
    assert filled.rename(FIRST, "mug").name == "mug"
    before = state(filled)
    with pytest.raises(InputError, match="the name 'a\\\\tb' has 3 characters"):
        filled.rename(FIRST, "a\tb")
    with pytest.raises(InputError, match="no accepted instance has the id 3"):
        filled.rename(3, "mug")
    assert state(filled) == before


def test_one_frame(world, filled):
    cloud, labels = world
    other = Cloud(cloud.points, frame_id="odom")
    before = state(filled)
    with pytest.raises(InputError, match="the object is in frame 'odom', the 3 accepted instances are in 'map'"):
        filled.add(selection(other, labels == 1), "m")
    with pytest.raises(InputError, match="the cloud is in frame 'odom', the 3 accepted instances are in 'map'"):
        filled.as_instances(other)
    with pytest.raises(PromptError, match="nothing to accept"):
        filled.add(selection(cloud, labels == 9), "m")
    assert state(filled) == before
    filled.clear()
    assert filled.add(selection(other, labels == 1), "m").frame_id == "odom"


def test_on_the_same_cloud(world, filled):
    found = filled.as_instances(world[0])
    assert found.instance_ids.tolist() == [FIRST, FIRST + 1, FIRST + 2]
    assert found.scores.tolist() == [0.75] * 3
    assert np.array_equal(found.masks, world[1] == np.array([[1], [2], [3]]))


def test_scores_are_within_bounds(world):
    accepted = AcceptedInstances()
    for score in (-0.5, 1.5):
        accepted.add(selection(world[0], world[1] == 1, score), "m")
    assert accepted.as_instances(world[0]).scores.tolist() == [0, 1]
    assert [each.iou_prediction for each in accepted] == [-0.5, 1.5]


def test_on_another_cloud(world, filled):
    """A newer map: other points, one box is gone."""
    cloud, labels = world
    random = np.random.default_rng(2)
    rows = np.flatnonzero(labels != 2)
    rows = random.choice(rows, len(rows) // 2, replace=False)
    noise = random.normal(0, 0.002, (len(rows), 3)).astype(np.float32)
    found = filled.as_instances(Cloud(cloud.points[rows] + noise, frame_id="map", stamp_ns=5))
    for label, number in ((1, FIRST), (3, FIRST + 2)):
        mask, truth = found.masks[found.instance_ids == number][0], labels[rows] == label
        assert (mask & truth).sum() / (mask | truth).sum() > 0.95


def test_where_nothing_is_seen(filled):
    empty = filled.as_instances(Cloud(np.full((4, 3), 50, np.float32), frame_id="map"))
    assert empty.masks.shape == (0, 4)
    assert len(AcceptedInstances().as_instances(Cloud(np.zeros((2, 3), np.float32)))) == 0


def test_files_keep_everything(tmp_path, world, filled):
    filled.remove(FIRST + 2)
    filled.save(tmp_path / "a.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]
    loaded = AcceptedInstances()
    returned = loaded.load(tmp_path / "a.npz", "map")
    assert state(loaded) == state(filled)
    assert list(returned) == list(loaded)
    # The id of the one that was removed before saving is not given again.
    assert loaded.add(selection(world[0], world[1] == 3), "m").instance_id == FIRST + 3
    assert np.array_equal(loaded.as_instances(world[0]).masks[:2], filled.as_instances(world[0]).masks)


def test_an_empty_file(tmp_path):
    AcceptedInstances().save(tmp_path / "a.npz")
    accepted = AcceptedInstances()
    assert accepted.load(tmp_path / "a.npz", "map") == ()
    assert state(accepted) == ([], FIRST, None)


def test_loading_adds(tmp_path, world, filled):
    cloud, labels = world
    filled.save(tmp_path / "a.npz")
    other = AcceptedInstances()
    other.add(selection(cloud, labels == 0), "m", "floor")
    loaded = other.load(tmp_path / "a.npz")
    # The first id is the floor's here, the others are free.
    assert [each.instance_id for each in loaded] == [FIRST + 3, FIRST + 1, FIRST + 2]
    assert [each.name for each in other] == ["floor", "box 2", "box 3", "box 1"]
    again = other.load(tmp_path / "a.npz")
    assert list(again) == list(loaded)
    assert len(other) == 4
    other.remove(FIRST + 3)
    assert [each.instance_id for each in other.load(tmp_path / "a.npz")] == [FIRST + 3, FIRST + 1, FIRST + 2]


def test_loading_what_is_there_or_was(tmp_path, filled):
    filled.save(tmp_path / "a.npz")
    filled.rename(FIRST + 1, "renamed")
    filled.remove(FIRST)
    loaded = filled.load(tmp_path / "a.npz")
    assert [each.instance_id for each in loaded] == [FIRST, FIRST + 1, FIRST + 2]
    assert [each.name for each in filled] == ["box 1", "renamed", "box 3"]
    assert filled.next_id == FIRST + 3


def test_frames_of_files(tmp_path, world, filled):
    filled.save(tmp_path / "a.npz")
    other = AcceptedInstances()
    with pytest.raises(InputError, match=r"a\.npz is in frame 'map', the cloud in 'odom'"):
        other.load(tmp_path / "a.npz", "odom")
    assert state(other) == ([], FIRST, None)
    elsewhere = Cloud(world[0].points, frame_id="odom")
    other.add(selection(elsewhere, world[1] == 1), "m")
    before = state(other)
    with pytest.raises(InputError, match=r"a\.npz is in frame 'map', the 1 accepted instances are in 'odom'"):
        other.load(tmp_path / "a.npz")
    assert state(other) == before


def test_no_ids_left(tmp_path, world, filled):
    filled.save(tmp_path / "a.npz")
    change(tmp_path / "a.npz", next_id=np.array(ACCEPTED_IDS.stop))
    other = AcceptedInstances()
    other.add(selection(world[0], world[1] == 0), "m")
    before = state(other)
    with pytest.raises(InputError, match="all 10000 ids of accepted instances, 50001 to 60000, have been given"):
        other.load(tmp_path / "a.npz")
    assert state(other) == before
    full = AcceptedInstances()
    full.load(tmp_path / "a.npz")
    with pytest.raises(InputError, match="all 10000 ids"):
        full.add(selection(world[0], world[1] == 0), "m")


def change(path, **arrays):
    """Rewrite a file with other arrays; None leaves one out."""
    with np.load(path) as archive:
        present = {**archive, **arrays}
    np.savez(path, **{name: array for name, array in present.items() if array is not None})


DAMAGE = [
    ({"seg3d_accepted_instances": None}, "it holds no accepted instances, but next_id, frame_id, points"),
    ({"seg3d_accepted_instances": np.array(2)}, "its format is 2, only 1 is known"),
    ({"seg3d_accepted_instances": np.array(["x"])}, "its format is ['x'], only 1 is known"),
    ({"frame_id": None}, "it has no frame_id"),
    ({"instance_id": None}, "it has no instance_id"),
    ({"instance_id": np.array(1)}, "its source is"),
    (
        {"instance_id": np.array([FIRST, FIRST, FIRST + 1], "i4")},
        f"its ids are [{FIRST}, {FIRST}, {FIRST + 1}] and then",
    ),
    (
        {"instance_id": np.array([1, 2, 3], "i4")},
        "its ids are [1, 2, 3] and then 50004, must be distinct and from 50001",
    ),
    ({"next_id": np.array(FIRST + 2)}, "must be distinct and from 50001 to 60000"),
    ({"next_id": np.array(60_002)}, "and then 60002, must be distinct"),
    ({"next_id": np.array(1.5)}, "its next_id is float64 ()"),
    ({"points": np.zeros((4, 2), "f4")}, "its points is float32 (4, 2), or not finite"),
    ({"points": np.zeros((4, 3), "f4")}, "it has 4 rows of points, but point_count is"),
    ({"clicks": np.zeros((5, 3), "f4")}, "its is_foreground is bool (6,), or not finite"),
    ({"click_count": np.array([7, -1, 0])}, "it has 6 rows of clicks, but click_count is [7, -1, 0]"),
    ({"surroundings": np.full((1, 3), np.nan, "f4")}, "its surroundings is float32 (1, 3), or not finite"),
    ({"iou_prediction": np.full(3, np.inf, "f4")}, "its iou_prediction is float32 (3,), or not finite"),
    ({"name": np.array(["a", "b", "c" * 101])}, "has 101 characters, at most 100 are possible"),
    ({"name": np.array(["a", "b", object()])}, "not a readable NumPy archive"),
]


@pytest.mark.parametrize(("arrays", "message"), DAMAGE, ids=[message[:40] for _, message in DAMAGE])
def test_files_that_contradict_themselves(tmp_path, filled, arrays, message):
    filled.save(tmp_path / "a.npz")
    change(tmp_path / "a.npz", **arrays)
    before = state(filled)
    with pytest.raises(InputError) as error:
        filled.load(tmp_path / "a.npz")
    assert f"{tmp_path / 'a.npz'} cannot be used: " in str(error.value)
    assert message in str(error.value)
    assert state(filled) == before


@settings(max_examples=60)
@given(st.data())
def test_flipped_and_missing_bytes(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damaged") / "a.npz"
    accepted = AcceptedInstances(InteractionConfig.build({"transfer_m": 0.2}))
    points = np.random.default_rng(0).random((50, 3)).astype(np.float32)
    accepted.add(selection(Cloud(points), points[:, 0] < 0.5), "m")
    accepted.save(path)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[place] ^= data.draw(st.integers(1, 255))
        path.write_bytes(content)
    else:
        path.write_bytes(content[:place])
    other = AcceptedInstances()
    try:
        other.load(path)
    except InputError:
        assert state(other) == ([], FIRST, None)
    else:
        # Bytes that zip files do not need.
        assert contents(other) == contents(accepted)


def test_files_that_cannot_be(tmp_path, filled):
    with pytest.raises(InputError, match=r"cannot read .*none\.npz: No such file"):
        filled.load(tmp_path / "none.npz")
    with pytest.raises(InputError, match=r"cannot read .*: Is a directory"):
        filled.load(tmp_path)
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(InputError, match=r"text\.npz cannot be used: not a readable NumPy archive"):
        filled.load(tmp_path / "text.npz")
    with pytest.raises(InputError, match=r"cannot write .*a\.txt: accepted instances are kept in \.npz files"):
        filled.save(tmp_path / "a.txt")
    with pytest.raises(InputError, match=r"the folder .* does not exist"):
        filled.save(tmp_path / "no" / "a.npz")
