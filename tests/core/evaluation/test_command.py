"""``seg3d eval scenes`` from end to end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from seg3d_core.cli import main
from seg3d_core.data.cloud_files import write_labelled
from seg3d_core.types import Cloud, LabelledCloud


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two scenes: two flat plates each, a metre apart."""
    made = tmp_path / "plates"
    made.mkdir()
    for seed in range(2):
        plate = np.random.default_rng(seed).random((4000, 3)) * (0.4, 0.4, 0)
        points = np.concatenate([plate, plate + np.array([1.5, 0, 0])]).astype(np.float32)
        ids = np.repeat([1, 2], 4000).astype(np.int32)
        write_labelled(made / f"{seed}.ply", LabelledCloud(Cloud(points), ids, {}))
    return made


def test_plates_are_found_and_kept(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "out.json"
    arguments = ["eval", "scenes", str(folder), "--json", str(kept)]
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert said.out.startswith("model graph; scored: ")
    table = [line.split("|")[1].strip() for line in said.out.splitlines() if line.startswith("| ")]
    assert [name.rstrip("-") for name in table] == [
        "scene", "", "0.ply", "1.ply", "2 pooled", "object size", "", "<2k points", "2k-15k points", ">15k points",
    ]  # fmt: skip
    assert "scenes [" in said.err
    pooled = json.loads(kept.read_text())["figures"]["scored, background ignore"]["pooled"]
    assert (pooled["targets"], pooled["ap"]) == (4, 1)
    assert main([*arguments, "--protocol", "released"]) == 0
    assert "scenes [" not in capsys.readouterr().err  # nothing was segmented again
    assert set(json.loads(kept.read_text())["figures"]) == {
        "scored, background ignore", "released, background ignore",
    }  # fmt: skip


def test_the_picture_of_one_scene(folder: Path, tmp_path: Path) -> None:
    picture = tmp_path / "out.png"
    assert main(["eval", "scenes", str(folder / "0.ply"), "--picture", str(picture), "--up", "0", "0", "1"]) == 0
    assert picture.is_file()


def test_settings_of_the_model_reach_it(folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "out.json"
    arguments = ["eval", "scenes", str(folder), "--json", str(kept)]
    assert main([*arguments, "--model", "graph", "--set", "graph.max_instances=1"]) == 0
    content = json.loads(kept.read_text())
    assert content["settings"]["graph.max_instances"] == 1
    assert content["figures"]["scored, background ignore"]["pooled"]["recall50"] == 0.5
    assert main(arguments) == 2  # other settings


def test_a_damaged_scene_is_named_and_the_others_are_reported(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "0.ply").write_bytes(b"ply\n")
    assert main(["eval", "scenes", str(folder)]) == 2
    said = capsys.readouterr()
    assert f"seg3d: {folder}/0.ply: " in said.err
    assert "| 1.ply " in said.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{tmp}/gone"], "no such file or folder"),
        (["room:one"], "a room is room:SEED"),
        (["{folder}", "--set", "graph.kk=1"], "unknown setting graph.kk, did you mean graph.k?"),
        (["{folder}", "--model", "oracle"], "model = 'oracle'"),
        (["{folder}", "--json", "{tmp}/no/out.json"], "its folder does not exist"),
    ],
)
def test_errors_are_one_line_and_code_two(
    arguments: list[str], message: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", "scenes", *(text.format(folder=folder, tmp=tmp_path) for text in arguments)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("seg3d: ")
    assert message in said
    assert said.count("\n") == 1
