"""``seg3d relabel --headless`` from end to end, with the network that comes with the package."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")

import seg3d_core
from seg3d_core.cli import main
from seg3d_core.data.cloud_files import write_cloud
from seg3d_core.data.scenes import SceneFolder
from seg3d_core.data.scenes.check import check_scene
from seg3d_core.errors import InputError
from seg3d_core.relabel.script import Script

ROOT = Path(seg3d_core.__file__).parent.parent
TABLE, TALL, FLAT, BALL = 1, 2, 3, 4

SCRIPT = """
- click: [0.075, 0.06, 0.3]
- accept: tall
- click: [0.1, 0.4, 0.16]
- choose: 3
- accept: {name: ball}
- box: [[0.29, 0.09, 0.02], [0.56, 0.41, 0.11]]
- choose: 2
- accept: flat
- merge: [[0.075, 0.06, 0.3], [0.1, 0.4, 0.16]]
- undo
- delete: [0.42, 0.25, 0.1]
- undo
- propose: graph
- click: [0.42, 0.25, 0.1]
- edit: 1
- accept
"""


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def iou(mask, truth):
    return (mask & truth).sum() / (mask | truth).sum()


def labels(folder):
    return SceneFolder.open(folder).cloud()


def test_clicks_of_a_script_become_labels_of_a_scene(table, tmp_path, capsys):
    scene, things = table
    (tmp_path / "script.yaml").write_text(SCRIPT)
    arguments = ["relabel", str(scene.path), "--headless", str(tmp_path / "script.yaml")]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "| table | 16 of 16 | 3 | 0 | 0 | " in said
    cloud = labels(scene.path)
    assert cloud.names == {1: "tall", 2: "ball", 3: "flat"}
    for number, thing, least in ((1, TALL, 0.8), (2, BALL, 0.8), (3, FLAT, 0.8)):
        assert iou(cloud.instance_id == number, things == thing) > least
    rows = json.loads((scene.path / "relabel" / "provenance.json").read_text())["instances"]
    kept = {row["name"]: row for row in rows if row["written"]}
    assert [kept["ball"]["candidate"], kept["flat"]["source"], len(kept["tall"]["model_sha256"])] == [3, "box", 64]
    assert {row["model"] for row in rows} == {"nano", "graph"}
    assert list(check_scene(SceneFolder.open(scene.path))) == []
    # The same script has been done; another one goes on.
    before = (scene.path / "cloud.npz").read_bytes()
    assert main(arguments) == 0
    assert "| table | 16 of 16, 16 before | 3 |" in capsys.readouterr().out
    assert (scene.path / "cloud.npz").read_bytes() == before
    (tmp_path / "script.yaml").write_text("- delete: 2\n- delete: 9\n")
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert "| table | 1 of 2 | 2 | 0 | 0 | " in said.out
    assert "seg3d: table: step 2: there is no instance 9; there are: 1, 3" in said.err


def test_a_kill_in_the_middle_loses_nothing(table, tmp_path):
    scene, _ = table
    (tmp_path / "script.yaml").write_text(SCRIPT)
    command = [sys.executable, "-m", "seg3d_core", "relabel", str(scene.path), "--headless", tmp_path / "script.yaml"]
    # With as many threads as here: sums in another order may move a point over a mask's border.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    program = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journal = scene.path / "relabel" / "journal.jsonl"
    while program.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n") > 4):
        time.sleep(0.005)
    program.send_signal(signal.SIGKILL)
    program.wait()
    done = journal.read_bytes().count(b"\n") - 1
    assert main([str(one) for one in command[3:]]) == 0
    interrupted = labels(scene.path)
    again = [json.loads(line) for line in journal.read_text().splitlines()[1:]]
    assert [line["step"]["index"] for line in again] == list(range(16))
    assert done >= 4
    # The same from the beginning, without a kill.
    journal.unlink()
    assert main([str(one) for one in command[3:]]) == 0
    whole = labels(scene.path)
    assert interrupted.names == whole.names
    # Two processes may round differently, for sums depend on where memory lies.
    assert (interrupted.instance_id != whole.instance_id).mean() < 1e-3


def test_cloud_files_become_scenes_and_scripts_can_differ_by_scene(table, tmp_path, capsys):
    cloud = table[0].cloud().cloud
    for name in ("one", "two"):
        write_cloud(tmp_path / f"{name}.ply", cloud)
    script = tmp_path / "script.yaml"
    script.write_text('one: [propose: graph, confirm]\n"*": [new]\n')
    arguments = ["relabel", *(str(tmp_path / f"{name}.ply") for name in ("one", "two")), "--to", str(tmp_path / "to")]
    assert main([*arguments, "--headless", str(script)]) == 0
    said = capsys.readouterr().out
    assert f"one: {len(cloud)} points, scene folder {tmp_path / 'to' / 'one'}" in said
    found = labels(tmp_path / "to" / "one")
    assert set(np.unique(found.instance_id)) >= {1, 2}
    assert "| two | 1 of 1 | 0 | 0 | 0 | 0 | 0% |" in said
    assert main(["data", "check", str(tmp_path / "to")]) == 0
    capsys.readouterr()
    assert main(["eval", "scenes", str(tmp_path / "to" / "one" / "cloud.npz"), "--model", "graph"]) == 0


def test_the_script_of_the_documentation_is_one(tmp_path):
    words = (ROOT / "docs" / "relabelling.md").read_text()
    (tmp_path / "script.yaml").write_text(words.partition("```yaml\n")[2].partition("```")[0])
    assert len(Script(tmp_path / "script.yaml").steps_for("any").steps) == 17


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- fly", "step 1: 'fly' is unknown; there are: new, click, exclude,"),
        ("click: [1, 2, 3]", r"script.yaml, click, step 1: expected a name or NAME: VALUE, got 1"),
        ("7", r"script.yaml, \*: expected a list of steps, got 7"),
        ("- new\n- click: [1, 2]", r"step 2: click: point_m.2: Field required"),
        ("- click: 3", r"step 1: click: point_m: Input should be a valid tuple, got 3"),
        ("- box: [[1, 2, 3]]", "step 1: box: expected two opposite corners"),
        ("- delete: mug", r"step 1: 'mug' is no instance: expected its id, or x, y, z \(m\) of a place on it"),
        ("- label: {instance: 3}", "step 1: label: name: Field required"),
        ("- label: {instance: 3, text: x}", "step 1: label: 'text' is unknown, it takes instance_id, name"),
        ("- accept: {over: all}", "step 1: accept: over: Input should be 'everything' or 'unaccepted', got 'all'"),
        ("- merge: 3", "step 1: merge: expected a list of instances, got 3"),
        ("- {new: , undo: }", "step 1: expected a name or NAME: VALUE"),
        ("- [", "cannot read the script"),
    ],
)
def test_scripts_are_refused_in_words(tmp_path, text, message):
    (tmp_path / "script.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        Script(tmp_path / "script.yaml")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone"], "gone is not there"),
        (["{tmp}/table", "{tmp}/table"], "table is given more than once"),
        (["{tmp}/gone.ply"], "gone.ply: No such file or directory"),
        (["{tmp}/table", "--set", "start=nothing"], "start = 'nothing'"),
    ],
)
def test_what_cannot_be_relabelled_is_said(table, tmp_path, capsys, arguments, message):
    (tmp_path / "script.yaml").write_text("[]")
    arguments = [one.replace("{tmp}", str(tmp_path)) for one in arguments]
    assert main(["relabel", *arguments, "--headless", str(tmp_path / "script.yaml")]) == 2
    assert message in capsys.readouterr().err
