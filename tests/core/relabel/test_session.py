"""Every action on a scene: what it does, and what of it is refused."""

from __future__ import annotations

import numpy as np
import pytest
from table_steps import BALL, FLAT, ON, TABLE, TALL, accept

from seg3d_core.data.scenes import SceneFolder
from seg3d_core.errors import InputError, PromptError
from seg3d_core.relabel.actions import (
    Accept,
    Box,
    Choose,
    Click,
    Confirm,
    Delete,
    Edit,
    Label,
    Lasso,
    Merge,
    New,
    Split,
    Undo,
)
from seg3d_core.relabel.edits import ModelIdentity, proposed
from seg3d_core.types import Instances


def test_click_and_accept(session, things):
    accept(session, TALL, name="box")
    assert ((session.instance_ids == 1) == (things == TALL)).all()
    record = session.records[1]
    assert (record.name, record.decision, record.model, record.model_sha256) == ("box", "accepted", "told", "0123")
    assert (record.source, record.candidate) == ("click", 1)
    ((x, y, z, on_it),) = record.clicks
    assert on_it and np.linalg.norm(np.subtract((x, y, z), ON[TALL])) < 0.02
    assert session.selection is None
    accept(session, FLAT)
    assert ((session.instance_ids == 2) == (things == FLAT)).all()


def test_more_clicks_candidates_and_a_new_object(session, things):
    session.apply(Click(ON[TALL]))
    session.apply(Click(ON[FLAT]))
    assert (session.selection.mask == np.isin(things, [TALL, FLAT])).all()
    session.apply(Click(ON[FLAT], is_foreground=False))
    assert (session.selection.mask == (things == TALL)).all()
    session.apply(New())
    assert session.selection is None
    session.apply(Click(ON[FLAT]))
    assert len(session.selection.candidates.mask_logits) == 3
    session.apply(Choose(3))
    assert session.selection.mask.all()
    session.apply(Choose(2))
    session.apply(Accept())
    assert 0 < (session.instance_ids == 1).sum() < (things == FLAT).sum()
    assert session.records[1].candidate == 2


def test_what_was_accepted_last_has_the_points_or_only_those_that_nobody_accepted(session, things):
    accept(session, TALL)
    session.apply(Click(ON[FLAT]))
    session.apply(Choose(3))
    session.apply(Accept(over="unaccepted"))
    assert session.sizes == {1: int((things == TALL).sum()), 2: int((things != TALL).sum())}
    session.apply(Undo())
    session.apply(Accept())
    assert session.sizes == {2: len(things)}
    assert list(session.records) == [2]
    session.apply(Click(ON[BALL]))
    with pytest.raises(PromptError, match=r"the mask has \d+ points and all are of accepted instances"):
        session.apply(Accept(over="unaccepted"))


def test_an_instance_is_corrected_under_its_id(session, things):
    session.apply(Click(ON[TALL]))
    session.apply(Click(ON[FLAT]))
    session.apply(Accept("two"))
    session.apply(Edit(session.instance_at(np.array(ON[FLAT]))))
    assert (session.editing, session.selection.source) == (1, "mask")
    session.apply(Click(ON[TALL]))
    session.apply(Click(ON[FLAT], is_foreground=False))
    session.apply(Accept())
    assert ((session.instance_ids == 1) == (things == TALL)).all()
    assert session.records[1].name == "two"
    assert session.sizes == {1: int((things == TALL).sum())}


def test_what_is_corrected_is_let_go_when_it_is_deleted(session):
    accept(session, TALL)
    accept(session, FLAT)
    session.apply(Edit(1))
    session.apply(Label(1, "post"))
    session.apply(Delete(2))
    assert session.editing == 1
    session.apply(Delete(1))
    assert (session.editing, session.selection, session.sizes) == (0, None, {})
    session.apply(Undo())
    assert (session.editing, session.records[1].name) == (1, "post")


def test_delete_merge_label(session, things):
    for thing in (TALL, FLAT, BALL):
        accept(session, thing, name=f"{thing}")
    session.apply(Merge((3, 2)))
    assert session.sizes == {1: int((things == TALL).sum()), 2: int(np.isin(things, [FLAT, BALL]).sum())}
    record = session.records[2]
    assert (record.name, record.parents, record.source, len(record.clicks)) == ("3", (2, 3), "merge", 2)
    session.apply(Delete(1))
    session.apply(Label(2, "both"))
    assert session.records[2].name == "both"
    accept(session, TALL)
    # The id of what was deleted is not given again.
    assert list(session.records) == [2, 4]


def test_split_by_gaps_and_by_places(session, things):
    session.apply(Click(ON[TALL]))
    session.apply(Click(ON[FLAT]))
    session.apply(Accept("pair"))
    session.apply(Split(1))
    larger, smaller = (FLAT, TALL) if (things == FLAT).sum() > (things == TALL).sum() else (TALL, FLAT)
    assert ((session.instance_ids == 1) == (things == larger)).all()
    assert ((session.instance_ids == 2) == (things == smaller)).all()
    assert session.records[2].parents == (1,)
    with pytest.raises(PromptError, match="instance 1 hangs together: give a place on each of its parts"):
        session.apply(Split(1))
    flat = session.instance_at(np.array(ON[FLAT]))
    with pytest.raises(PromptError, match="one place says nothing about where to split"):
        session.apply(Split(flat, (ON[FLAT],)))
    with pytest.raises(PromptError, match=r"the click at \[0.075, 0.06, 0.3\] m is 0.3\S* m from the nearest point"):
        session.apply(Split(flat, (ON[FLAT], ON[TALL])))
    session.apply(Split(flat, ((0.31, 0.25, 0.1), (0.54, 0.25, 0.1))))
    x = session.cloud.points[:, 0]
    one, other = (x[session.instance_ids == number] for number in (flat, 3))
    assert len(one) + len(other) == (things == FLAT).sum()
    assert abs(len(one) - len(other)) < 0.4 * len(one)
    assert min(one.max(), other.max()) == pytest.approx(max(one.min(), other.min()), abs=0.05)


def test_boxes_and_lassos(session, things):
    session.apply(Box((-0.02, -0.02, 0.02), (0.17, 0.14, 0.32)))
    assert session.selection.source == "box"
    session.apply(Choose(2))
    in_box = (session.cloud.points > (-0.04, -0.04, 0.0)).all(1) & (session.cloud.points < (0.19, 0.16, 0.34)).all(1)
    assert not (session.selection.mask & ~in_box).any()
    # From straight above, around the ball, whose surroundings are farther away than the lasso is deep.
    T = np.diag([1.0, -1, -1, 1])
    T[:3, 3] = 0.1, 0.4, 1.16
    outline = tuple((float(0.1 * np.cos(a)), float(0.1 * np.sin(a))) for a in np.linspace(0, 6, 20))
    session.apply(Lasso(outline, tuple(T.reshape(-1).tolist())))
    session.apply(Choose(2))
    assert session.selection.source == "lasso"
    assert session.selection.mask[(things == BALL) & (session.cloud.points[:, 2] > 0.1)].all()
    session.apply(Accept())
    assert session.records[1].source == "lasso"


def test_proposals_are_left_out_until_somebody_confirms_them(session, things):
    accept(session, TALL)
    found = Instances.from_labels(session.cloud, things - 1)
    session._labelling.apply(proposed(session._labelling, found, ModelIdentity("graph"), 30))
    sizes = session.sizes
    # What a person accepted keeps its points, and of the rest each thing is proposed once.
    assert [session.records[number].decision for number in sizes] == ["accepted", *["proposed"] * 3]
    assert sizes[1] == (things == TALL).sum()
    assert session.save().left_out == 3
    session.apply(Confirm((2,)))
    results = session.save()
    assert (results.instances, results.left_out) == ({"accepted": 2}, 2)
    session.apply(Confirm())
    assert session.save().instances == {"accepted": 4}
    with pytest.raises(InputError, match="there are no proposals to confirm"):
        session.apply(Confirm())


REFUSED = [
    (Undo(), PromptError, "there is nothing to undo"),
    (Accept(), PromptError, "no object is in progress: click on one first"),
    (Choose(1), PromptError, "no object is in progress: click on one first"),
    (Click((0.0, 0.0, 5.0)), PromptError, r"the click at \[0.0, 0.0, 5.0\] m is 4.7\S* m from the nearest point"),
    (Click(ON[TALL], is_foreground=False), PromptError, "the first click is beside the object"),
    (Box((2.0, 2.0, 2.0), (3.0, 3.0, 3.0)), PromptError, "there are no points in the box"),
    (Lasso(((0.0, 0.0), (1.0, 0.0)), (1.0,) * 16), PromptError, "the lasso has 2 corners, at least 3 finite ones"),
    (Lasso(((0.0, 0.0), (1.0, 0.0)), (1.0,)), PromptError, "the view of the lasso has 1 numbers, a 4x4 matrix has 16"),
    (Edit(7), InputError, "there is no instance 7; there are: none"),
    (Delete(7), InputError, "there is no instance 7; there are: none"),
    (Merge((7,)), InputError, "only 1 instance to merge, at least 2 are needed"),
    (Split(7), InputError, "there is no instance 7"),
    (Label(7, "x"), InputError, "there is no instance 7"),
]


@pytest.mark.parametrize(("action", "kind", "message"), REFUSED)
def test_what_is_refused_changes_nothing(session, action, kind, message):
    journal = (session.scene.path / "relabel" / "journal.jsonl").read_bytes()
    with pytest.raises(kind, match=message):
        session.apply(action)
    assert (session.undo_steps, session.records, session.selection) == (0, {}, None)
    assert (session.scene.path / "relabel" / "journal.jsonl").read_bytes() == journal


def test_names_and_candidates_out_of_range(session):
    session.apply(Click(ON[TALL]))
    with pytest.raises(PromptError, match="candidate 4 is not there: a first click gives 3"):
        session.apply(Choose(4))
    with pytest.raises(InputError, match=r"the name 'a.*' has 2 characters, at most 100"):
        session.apply(Accept("a\n"))
    assert session.undo_steps == 1


def test_an_instance_called_floor_is_no_object(session):
    accept(session, TABLE, name="Floor")
    session.save()
    assert SceneFolder.open(session.scene.path).structure_ids == {1}
