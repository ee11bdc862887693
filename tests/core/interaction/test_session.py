"""Sessions by hand: every kind of prompt, the way back, clouds that come meanwhile, and all that is refused."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from seg3d_core.errors import InputError, PromptError
from seg3d_core.interaction.session import ObjectSession
from seg3d_core.interaction_config import InteractionConfig
from seg3d_core.tracking.ids import ACCEPTED_IDS
from seg3d_core.types import Cloud, Instances

FIRST = ACCEPTED_IDS.start
ON_CUBE = np.array([0.2, 0.2, 0.41])
ON_TALL = np.array([1.2, 0.16, 0.8])
ON_TABLE = np.array([1.3, 1.3, 0.76])


@pytest.fixture
def session(world, oracle):
    session = ObjectSession(oracle)
    session.set_cloud(world[0])
    return session


def state(session):
    """Everything that a refusal must leave as it was."""
    now = session.selection
    bits = None if now is None else (now.candidates.mask_logits.tobytes(), now.chosen, now.prompt.points.tobytes())
    accepted = [instance.instance_id for instance in session.accepted]
    return session.cloud, session.waiting, bits, session.undo_steps, accepted, session.accepted.next_id


def test_clicks(world, oracle, session):
    cloud, labels = world
    assert not session.busy
    first = session.click(ON_CUBE)
    assert session.busy
    assert first is session.selection
    assert first.cloud is cloud
    assert len(first.candidates.mask_logits) == 3
    assert (first.chosen, first.source) == (0, "click")
    assert first.snap_distance_m == pytest.approx(0.01, abs=1e-6)
    assert np.array_equal(first.mask, labels == 1)
    assert (first.iou_prediction, first.stability) == (pytest.approx(0.9), pytest.approx(0.1))
    # Clicks are points of the cloud.
    assert (cloud.points == first.prompt.points[0]).all(axis=1).any()

    both = session.click(ON_TALL)
    assert np.array_equal(both.mask, (labels == 1) | (labels == 2))
    assert len(both.candidates.mask_logits) == 1
    only = session.click(np.array([0.3, 0.2, 0.41]), is_foreground=False)
    assert np.array_equal(only.mask, labels == 2)
    assert only.prompt.is_foreground.tolist() == [True, True, False]

    asked = [(mask, multimask) for _, mask, multimask in oracle.asked]
    assert [multimask for _, multimask in asked] == [True, False, False]
    assert asked[0][0] is None
    assert np.array_equal(asked[1][0], first.mask_logits)
    assert np.array_equal(asked[2][0], both.mask_logits)
    assert oracle.encoded == [cloud]


def test_undo_asks_nobody(oracle, session):
    steps = [session.click(ON_CUBE), session.click(ON_TALL), session.click(ON_TABLE)]
    bits = [step.mask_logits.tobytes() for step in steps]
    calls = len(oracle.asked)
    assert session.undo().mask_logits.tobytes() == bits[1]
    assert session.undo().mask_logits.tobytes() == bits[0]
    assert session.undo() is None
    assert not session.busy
    with pytest.raises(PromptError, match="there is nothing to undo"):
        session.undo()
    assert len(oracle.asked) == calls


def test_the_chosen_candidate_is_what_the_next_click_corrects(oracle, session):
    session.click(ON_CUBE)
    chosen = session.next_candidate()
    assert chosen.chosen == 1
    assert np.array_equal(chosen.mask_logits, chosen.candidates.mask_logits[1])
    session.click(ON_TALL)
    assert np.array_equal(oracle.asked[-1][1], chosen.candidates.mask_logits[1])
    assert session.undo().chosen == 1
    assert [session.next_candidate().chosen for _ in range(3)] == [2, 0, 1]
    assert session.undo() is None


def test_clear_can_be_undone(session):
    before = session.click(ON_CUBE).mask_logits.tobytes()
    session.clear()
    assert session.selection is None
    session.clear()
    assert session.undo().mask_logits.tobytes() == before
    session.clear()
    session.click(ON_TALL)
    assert session.undo() is None
    assert session.undo().mask_logits.tobytes() == before
    session.new_object()
    assert session.selection is None
    with pytest.raises(PromptError, match="nothing to undo"):
        session.undo()


def test_accepted_objects(world, session):
    labels = world[1]
    session.click(ON_CUBE)
    one = session.accept("cube")
    assert not session.busy
    session.click(ON_TALL)
    session.reject()
    session.click(ON_TABLE)
    session.next_candidate()
    two = session.accept()
    assert (one.instance_id, one.name, one.model, one.source) == (FIRST, "cube", "an oracle", "click")
    assert (one.frame_id, one.stamp_ns, one.candidate) == ("map", 1, 0)
    assert (two.instance_id, two.candidate) == (FIRST + 1, 1)
    assert two.iou_prediction == pytest.approx(0.5)
    found = session.accepted.as_instances(world[0])
    assert np.array_equal(found.masks[0], labels == 1)
    assert found.instance_ids.tolist() == [FIRST, FIRST + 1]


def test_clouds_wait_for_the_object(world, oracle, session):
    cloud = world[0]
    newer, newest = (Cloud(cloud.points, frame_id="map", stamp_ns=stamp) for stamp in (2, 3))
    session.click(ON_CUBE)
    session.set_cloud(newer)
    session.set_cloud(newest)
    assert session.cloud is cloud
    assert session.waiting is newest
    assert session.click(ON_TALL).cloud is cloud
    assert oracle.encoded == [cloud]
    session.undo()
    assert session.cloud is cloud
    assert session.accept().stamp_ns == 1
    assert session.cloud is newest
    assert session.waiting is None
    assert oracle.encoded == [cloud, newest]


@pytest.mark.parametrize("end", ["undo", "clear", "new_object", "reject", "accept"])
def test_every_end_takes_the_cloud_that_waits(world, session, end):
    newer = Cloud(world[0].points, frame_id="map", stamp_ns=2)
    session.click(ON_CUBE)
    session.set_cloud(newer)
    getattr(session, end)()
    assert session.cloud is newer
    assert not session.busy
    with pytest.raises(PromptError, match="nothing to undo"):
        session.undo()


def test_a_waiting_cloud_that_is_refused(world, session, caplog):
    cloud = world[0]
    session.click(ON_CUBE)
    session.set_cloud(Cloud(cloud.points[:2]))
    with caplog.at_level(logging.WARNING):
        assert session.accept().instance_id == FIRST
    assert session.cloud is cloud
    assert session.waiting is None
    assert session.refusal == "the cloud has 2 points, 3 are needed"
    assert "the newer cloud is not used" in caplog.text
    session.set_cloud(cloud)
    assert session.refusal == ""
    with pytest.raises(InputError, match="the cloud has 2 points"):
        session.set_cloud(Cloud(cloud.points[:2]))
    assert session.click(ON_CUBE).cloud is cloud


def test_a_mask_is_taken_as_it_is(world, oracle, session):
    labels = world[1]
    taken = session.select_mask(labels == 2, 0.75)
    assert np.array_equal(taken.mask, labels == 2)
    assert set(np.abs(taken.mask_logits)) == {6.0}
    assert (taken.iou_prediction, taken.stability, taken.source) == (0.75, 1.0, "mask")
    assert oracle.asked == []
    with pytest.raises(PromptError, match="there is one candidate only"):
        session.next_candidate()
    # Beside the object, as the first click: there is an object.
    session.click(ON_TABLE, is_foreground=False)
    prompt, mask, multimask = oracle.asked[0]
    assert prompt.is_foreground.tolist() == [False]
    assert np.array_equal(mask, taken.mask_logits)
    assert multimask is False
    assert np.array_equal(session.undo().mask_logits, taken.mask_logits)
    assert session.accept().source == "mask"


def test_masks_replace_what_was_selected(world, session):
    before = session.click(ON_CUBE).mask_logits.tobytes()
    session.select_mask(world[1] == 2)
    assert len(session.selection.prompt.points) == 0
    assert session.undo().mask_logits.tobytes() == before


def test_instances_of_another_cloud(world, session):
    cloud, labels = world
    order = np.random.default_rng(0).permutation(len(cloud))[::2]
    other = Cloud(cloud.points[order] + np.float32(0.001), frame_id="map")
    instances = Instances.from_labels(other, (labels[order] - 1).astype(np.int32), np.array([0.5, 0.25, 1], np.float32))
    taken = session.select_instance(instances, 1)
    truth = labels == 2
    assert (taken.mask & truth).sum() / (taken.mask | truth).sum() > 0.95
    assert taken.iou_prediction == 0.25
    under = session.select_instance_at(instances, ON_TALL)
    assert np.array_equal(under.mask, taken.mask)
    same = Instances.from_labels(cloud, (labels - 1).astype(np.int32))
    assert np.array_equal(session.select_instance(same, 2).mask, labels == 3)


def test_a_box(world, oracle, session):
    cloud, labels = world
    found = session.select_box(np.array([0.5, 0.5, 0.5]), np.array([-0.1, -0.1, 0.05]))
    assert np.array_equal(found.mask, labels == 1)
    assert (found.source, found.snap_distance_m) == ("box", 0)
    prompt, mask, multimask = oracle.asked[0]
    inside = (cloud.points >= [-0.11, -0.11, 0.04]).all(axis=1) & (cloud.points <= [0.51, 0.51, 0.51]).all(axis=1)
    assert np.array_equal(mask > 0, inside)
    assert len(prompt.points) == 1
    assert multimask is False
    given = session.next_candidate()
    assert np.array_equal(given.mask, inside)
    assert (given.chosen, given.iou_prediction, given.stability) == (1, 0, 1)
    assert len(session.click(ON_TALL).prompt.points) == 2
    assert np.array_equal(oracle.asked[1][1], given.mask_logits)


def test_goals(world, oracle, session):
    cloud, labels = world
    found = session.select_goal(0.2, 0.2)
    assert found.source == "goal"
    assert np.array_equal(found.mask, labels == 1)
    assert len(found.candidates.mask_logits) == 3
    assert np.array_equal(session.select_goal(1.3, 1.3).mask, labels == 3)
    instances = Instances.from_labels(cloud, (labels - 1).astype(np.int32))
    calls = len(oracle.asked)
    beside = session.select_goal(-0.4, 0.2, instances)
    assert np.array_equal(beside.mask, labels == 1)
    assert beside.source == "mask"
    assert len(oracle.asked) == calls
    assert np.array_equal(session.undo().mask, labels == 3)


REFUSED = [
    (lambda s: s.click(np.array([0, np.nan, 0])), PromptError, r"the click at \[0\.0, nan, 0\.0\] m is not finite"),
    (lambda s: s.click(np.array([0.2, 0.2, 1.4])), PromptError, r"is 1 m from the nearest point.*at most 0\.1 m"),
    (lambda s: s.select_mask(np.zeros(3, bool)), InputError, "the mask has 3 points, the cloud 15710"),
    (lambda s: s.select_mask(np.zeros(len(s.cloud), bool)), PromptError, "the mask has no points on this cloud"),
    (lambda s: s.select_mask(np.ones(len(s.cloud), bool), 1.5), InputError, r"the score of the mask is 1\.5, must be"),
    (lambda s: s.select_box(np.full(3, 5.0), np.full(3, 6.0)), PromptError, r"in the box of 1\.02 x 1\.02 x 1\.02 m"),
    (lambda s: s.select_goal(50.0, 0.0), PromptError, "is outside of the map: its nearest point is 47"),
    (
        lambda s: s.select_goal(-0.4, 0.2),
        PromptError,
        r"nothing stands at the goal.*no instances are given, at most 0\.5",
    ),
    (lambda s: s.select_goal(-0.9, 0.2, nobody(s.cloud)), PromptError, "the nearest of 0 instances is inf m away"),
    (lambda s: s.select_goal(-0.9, 0.2, nobody(elsewhere(s))), InputError, "are in frame 'odom', the cloud in 'map'"),
    (lambda s: s.select_instance(nobody(s.cloud), 0), InputError, "there is no instance in row 0, there are 0"),
    (lambda s: s.select_instance(nobody(elsewhere(s)), 0), InputError, "are in frame 'odom', the cloud in 'map'"),
    (lambda s: s.select_instance_at(nobody(s.cloud), ON_CUBE), PromptError, "is on none of the 0 instances"),
    (lambda s: s.select_instance_at(nobody(elsewhere(s)), ON_CUBE), InputError, "are in frame 'odom'"),
]


def nobody(cloud):
    return Instances.from_labels(cloud, np.full(len(cloud), -1, np.int32))


def elsewhere(session):
    return Cloud(session.cloud.points, frame_id="odom")


@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.parametrize(("action", "error", "message"), REFUSED)
def test_refusals_change_nothing(session, busy, action, error, message):
    if busy:
        session.click(ON_CUBE)
        session.next_candidate()
    before = state(session)
    with pytest.raises(error, match=message):
        action(session)
    assert state(session) == before


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda s: s.click(ON_CUBE, False), "the first click is beside the object: click on the object first"),
        (lambda s: s.next_candidate(), "no object is in progress: click on one first"),
        (lambda s: s.accept(), "no object is in progress"),
        (lambda s: s.reject(), "no object is in progress"),
        (lambda s: s.undo(), "there is nothing to undo"),
    ],
)
def test_services_without_an_object(session, action, message):
    before = state(session)
    with pytest.raises(PromptError, match=message):
        action(session)
    assert state(session) == before
    session.clear()
    session.new_object()
    assert state(session) == before


@pytest.mark.parametrize(
    "action",
    [
        lambda s: s.click(ON_CUBE),
        lambda s: s.select_mask(np.ones(3, bool)),
        lambda s: s.select_box(np.zeros(3), np.ones(3)),
        lambda s: s.select_goal(0.0, 0.0),
        lambda s: s.select_instance_at(nobody(Cloud(np.zeros((1, 3), np.float32))), ON_CUBE),
    ],
)
def test_before_any_cloud(oracle, action):
    with pytest.raises(PromptError, match="there is no cloud to click on yet"):
        action(ObjectSession(oracle))


def test_hundreds_of_clicks(world, oracle):
    session = ObjectSession(oracle, InteractionConfig.build({"max_clicks": 3}))
    session.set_cloud(world[0])
    for _ in range(3):
        session.click(ON_CUBE)
    before = state(session)
    with pytest.raises(PromptError, match="the object has 3 clicks, at most 3 are allowed: accept, undo or clear"):
        session.click(ON_CUBE)
    assert state(session) == before
    session.undo()
    session.click(ON_TALL)


def test_an_empty_mask_is_not_accepted(session):
    session.click(ON_CUBE)
    for _ in range(2):
        session.click(ON_CUBE, is_foreground=False)
    before = state(session)
    with pytest.raises(PromptError, match="the mask has no points: there is nothing to accept"):
        session.accept()
    assert state(session) == before


def test_names_that_cannot_be_used(session):
    session.click(ON_CUBE)
    before = state(session)
    with pytest.raises(InputError, match=r"the name 'a\\nn' has 3 characters, at most 100 are possible, all printable"):
        session.accept("a\nn")
    with pytest.raises(InputError, match="has 101 characters"):
        session.accept("x" * 101)
    assert state(session) == before


def test_what_the_model_refuses(session, oracle):
    session.click(ON_CUBE)
    before = state(session)

    def refuse(*_, **__):
        raise InputError("out of order")

    oracle.predict = refuse
    for action in (lambda: session.click(ON_TALL), lambda: session.select_goal(0.2, 0.2)):
        with pytest.raises(InputError, match="out of order"):
            action()
    assert state(session) == before
