"""What was done on a scene is kept: after a kill, on a full disk, in the results; and undo takes it back."""

from __future__ import annotations

import errno
import json
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from table_steps import BALL, FLAT, ON, TABLE, TALL, accept, same, state

from seg3d_core.data import json_lines
from seg3d_core.data.cloud_files import read_labelled
from seg3d_core.data.scenes import SceneFolder
from seg3d_core.data.scenes import cloud as scene_cloud
from seg3d_core.data.scenes.check import check_scene
from seg3d_core.errors import InputError
from seg3d_core.relabel.actions import (
    Accept,
    Choose,
    Click,
    Delete,
    Edit,
    Label,
    Merge,
    New,
    Split,
    Undo,
)
from seg3d_core.relabel.journal import Entry

ACTIONS = st.one_of(
    st.builds(Click, st.sampled_from(list(ON.values())), st.booleans()),
    st.builds(Choose, st.integers(1, 3)),
    st.builds(Accept, st.sampled_from(["", "a", "b"]), st.sampled_from(["everything", "unaccepted"])),
    st.just(New()),
    st.just(Undo()),
    st.builds(Edit, st.integers(1, 4)),
    st.builds(Delete, st.integers(1, 4)),
    st.builds(Merge, st.tuples(st.integers(1, 3), st.integers(1, 3))),
    st.builds(Split, st.integers(1, 4)),
    st.builds(Label, st.integers(1, 4), st.sampled_from(["c", "d"])),
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=st.lists(ACTIONS, min_size=5, max_size=25))
def test_whatever_was_done_is_there_after_a_kill_and_can_be_undone(table, tmp_path, told_class, relabel, actions):
    scene, things = table
    session = relabel(scene, told_class(things))
    states = [state(session)]
    for action in actions:
        try:
            session.apply(action)
        except InputError:
            continue
        if action == Undo():
            states.pop()
        else:
            states.append(state(session))
    assert same(state(session), states[-1])
    # A kill: the program is gone, only its file is there.
    session.close()
    session = relabel(scene, told_class(things))
    assert session._prompter._kept == {}
    for expected in reversed(states[1:]):
        assert same(state(session), expected)
        session.apply(Undo())
    assert same(state(session), states[0])
    session.close()
    (scene.path / "relabel" / "journal.jsonl").unlink()


def test_undo_asks_the_model_nothing(session):
    session.apply(Click(ON[TALL]))
    session.apply(Click(ON[FLAT]))
    before = session.selection.mask_logits.tobytes()
    session.apply(Accept())
    asked = session._models.prompt.asked
    session.apply(Undo())
    assert session.selection.mask_logits.tobytes() == before
    assert session._models.prompt.asked == asked == 2
    assert session._models.prompt.shown == 1


def test_a_line_that_was_cut_off_is_as_if_it_had_not_been_done(table, relabel, told_class):
    session = relabel(table[0], told_class(table[1]))
    accept(session, TALL)
    session.close()
    journal = table[0].path / "relabel" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])
    session = relabel(table[0], told_class(table[1]))
    assert (session.sizes, session.undo_steps) == ({}, 1)
    session.apply(Accept())
    session.close()
    assert relabel(table[0], told_class(table[1])).sizes == {1: int((table[1] == TALL).sum())}


def test_a_full_disk_leaves_the_session_and_the_journal_as_they_were(session, monkeypatch):
    accept(session, TALL)
    before = state(session)
    write = os.write

    def fill(file, data):
        if len(data) <= 10:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data[:10])

    with monkeypatch.context() as patched:
        patched.setattr(json_lines.os, "write", fill)
        for action in (Delete(1), Click(ON[FLAT]), Undo(), Label(1, "x")):
            with pytest.raises(InputError, match=r"cannot write \S+/journal.jsonl: No space left on device"):
                session.apply(action)
            assert same(state(session), before)
    session.apply(Label(1, "x"))
    assert session.records[1].name == "x"
    lines = (session.scene.path / "relabel" / "journal.jsonl").read_text().splitlines()
    assert [json.loads(line).get("action", {}).get("do") for line in lines] == [None, "click", "accept", "label"]


def test_a_scene_is_relabelled_by_one_at_a_time(table, relabel, told_class):
    session = relabel(table[0], told_class(table[1]))
    with pytest.raises(InputError, match=r"table/relabel is being used by another process"):
        relabel(table[0], told_class(table[1]))
    session.close()
    relabel(table[0], told_class(table[1]))


def test_journals_that_do_not_fit_are_refused(table, relabel, told_class):
    scene, things = table
    relabel(scene, told_class(things)).close()
    with pytest.raises(InputError, match=r"begun with other start \(labels, now empty\): delete \S+/relabel to begin"):
        relabel(scene, told_class(things), start="empty")
    journal = scene.path / "relabel" / "journal.jsonl"
    good = journal.read_text()
    for bad, message in [
        ('{"format": 7}\n', "is of another format than 2"),
        (good + '{"action": {"do": "fly"}}\n', "line 2 is damaged .there is no action 'fly'"),
        (good + '{"action": {"do": "undo"}}\n', "line 2 of .* does not fit what is before it"),
        (good + "{]\n", "is damaged"),
        (good.replace('"points_sha256":"', '"points_sha256":"0'), "begun with other points of the scene"),
    ]:
        journal.write_text(bad)
        with pytest.raises(InputError, match=message):
            relabel(scene, told_class(things))


def test_a_scene_that_got_other_points_is_refused(table, relabel, told_class, tmp_path):
    scene, things = table
    relabel(scene, told_class(things)).close()
    cloud = np.load(scene.path / "cloud.npz")
    arrays = {name: cloud[name] for name in cloud.files}
    arrays["points"][0, 0] += 1
    np.savez(scene.path / "cloud.npz", **arrays)
    with pytest.raises(InputError, match="begun with other points of the scene"):
        relabel(scene, told_class(things))


def test_entries_say_where_they_come_from():
    assert Entry(Undo()).step is None


def test_results_are_a_sound_scene_that_training_and_evaluation_read(labelled_table, relabel, told_class):
    scene, things = labelled_table
    before = (scene.path / "cloud.npz").read_bytes()
    session = relabel(scene, told_class(things))
    assert session.records[TALL].decision == "given"
    session.apply(Merge((TALL, FLAT)))
    session.apply(Delete(BALL))
    session.apply(Label(TALL, "boxes"))
    results = session.save()
    assert results.instances == {"given": 1, "accepted": 1}
    now = SceneFolder.open(scene.path)
    assert list(check_scene(now)) == []
    cloud = now.cloud()
    expected = np.select([things == BALL, things == FLAT], [-1, TALL], things)
    assert (cloud.instance_id == expected).all()
    assert cloud.names == {TABLE: "table", TALL: "boxes"} == now.description.instance_names
    assert now.structure_ids == {TABLE}
    assert (cloud.cloud.points == session.cloud.points).all()
    assert (scene.path / "relabel" / "cloud_before.npz").read_bytes() == before
    assert (read_labelled(scene.path / "relabel" / "instances.ply").instance_id == expected).all()
    rows = json.loads((scene.path / "relabel" / "provenance.json").read_text())["instances"]
    assert [(row["instance_id"], row["decision"], row["parents"], row["points"]) for row in rows] == [
        (TABLE, "given", [], int((things == TABLE).sum())),
        (TALL, "accepted", [TALL, FLAT], int(np.isin(things, [TALL, FLAT]).sum())),
    ]
    # Relabelling goes on from the first labels by the journal, not from the results.
    session.close()
    session = relabel(scene, told_class(things))
    session.apply(Undo())
    session.apply(Undo())
    session.apply(Undo())
    assert (session.instance_ids == things).all()


def test_saves_at_once_while_somebody_works_leave_a_sound_scene(session):
    accept(session, TALL, name="tall")
    accept(session, FLAT, name="flat")
    with ThreadPoolExecutor(3) as pool:
        saves = [pool.submit(session.save) for _ in range(4)]
        for name in ("a", "b", "c"):
            session.apply(Label(1, name))
        written = [each.result().instances for each in saves]
    assert written == [{"accepted": 2}] * 4
    assert list(check_scene(SceneFolder.open(session.scene.path))) == []
    session.save()
    assert SceneFolder.open(session.scene.path).cloud().names == {1: "c", 2: "flat"}


def test_a_full_disk_while_saving_leaves_what_was_saved_before(session, monkeypatch):
    accept(session, TALL, name="tall")
    session.save()
    folder = session.scene.path
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    accept(session, FLAT, name="flat")

    def fill(path, arrays):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(scene_cloud, "write_npz", fill)
        with pytest.raises(InputError, match=r"cannot write \S+/cloud\.npz: No space left on device"):
            session.save()
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    journal = folder / "relabel" / "journal.jsonl"
    assert {**after, journal: before[journal]} == before
    assert list(check_scene(SceneFolder.open(folder))) == []
    # Nothing that was done is lost.
    session.save()
    assert SceneFolder.open(folder).cloud().names == {1: "tall", 2: "flat"}
