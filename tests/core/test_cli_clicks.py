"""``seg3d eval clicks`` from end to end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seg3d_core import prompting
from seg3d_core.cli import main
from seg3d_core.data.cloud_files import write_labelled
from seg3d_core.interaction.candidates import MaskCandidates
from seg3d_core.types import Cloud, LabelledCloud


class Balls:
    """Answers with all within 0.7 m of the last click."""

    description = "balls of 0.7 m"

    def set_cloud(self, cloud):
        self.cloud = cloud

    def predict(self, prompt, mask_input=None, multimask=None):
        mask = np.linalg.norm(self.cloud.points - prompt.points[-1], axis=1) < 0.7
        one = np.ones(1, np.float32)
        return MaskCandidates(self.cloud, np.where(mask, 1, -1).astype(np.float32)[None], one, one)


class Interrupted(Balls):
    """Ctrl-C during the second cloud."""

    def set_cloud(self, cloud):
        if hasattr(self, "cloud"):
            raise KeyboardInterrupt
        super().set_cloud(cloud)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two scenes: two plates each, a metre apart."""
    made = tmp_path / "plates"
    made.mkdir()
    for seed in range(2):
        plate = np.random.default_rng(seed).random((400, 3)) * (0.3, 0.3, 0)
        points = np.concatenate([plate, plate + np.array([1.5, 0, 0])]).astype(np.float32)
        write_labelled(made / f"{seed}.ply", LabelledCloud(Cloud(points), np.repeat([1, 2], 400).astype(np.int32), {}))
    return made


@pytest.fixture
def balls(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Configurations that models were made of."""
    asked: list[object] = []

    def make(config):
        asked.append(config)
        return Balls()

    monkeypatch.setattr(prompting, "make_prompt_model", make)
    return asked


def test_a_folder_of_scenes(folder, balls, tmp_path, capsys):
    files = ["--csv", str(tmp_path / "o.csv"), "--plot", str(tmp_path / "o.png"), "--picture", str(tmp_path / "worst")]
    arguments = ["eval", "clicks", "--data", str(folder), "--clicks", "2", "--compare", "s3dis", *files]
    assert main([*arguments, "--model", "small", "--set", "point_sam.selection=stability"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("balls of 0.7 m; scene.mode auto; best by stability\n\n| scene ")
    table = [line.split("|")[1:4] for line in said.out.splitlines() if line.startswith("| ")][2:]
    assert [(cells[0].strip(), cells[1].strip()) for cells in table] == [
        ("0.ply", "2"), ("1.ply", "2"), ("mean over objects", "4"), ("mean over 2 scenes", "4"),
        ("Point-SAM ViT-L, paper, s3dis", ""),
    ]  # fmt: skip
    assert table[2][2].strip() == "100.0"
    assert "scenes [" in said.err
    assert len((tmp_path / "o.csv").read_text().splitlines()) == 5
    assert (tmp_path / "o.png").is_file()
    assert len(list((tmp_path / "worst").iterdir())) == 2
    assert balls[0].model == "small"


def test_ctrl_c_prints_what_is_done(folder, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(prompting, "make_prompt_model", lambda config: Interrupted())
    assert main(["eval", "clicks", "--data", str(folder), "--csv", str(tmp_path / "o.csv")]) == 130
    said = capsys.readouterr()
    assert "interrupted: what follows is of the objects that were done until now" in said.err
    assert "| mean over objects |       2 |" in said.out
    assert len((tmp_path / "o.csv").read_text().splitlines()) == 3


def test_damaged_scenes_are_named_and_small_objects_counted(folder, balls, capsys):
    (folder / "0.ply").write_bytes(b"ply\n")
    assert main(["eval", "clicks", "--data", str(folder), "--clicks", "1"]) == 2
    said = capsys.readouterr()
    assert f"seg3d: {folder}/0.ply: " in said.err
    assert "| 1.ply " in said.out
    assert main(["eval", "clicks", "--data", str(folder / "1.ply"), "--min-points", "401"]) == 2
    assert "skipped 2: fewer than 401 points" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "{tmp}/gone"], "no such file or folder"),
        (["--data", "agile3d:{tmp}/gone"], "no .ply files there"),
        (["--data", "{folder}", "--set", "scene.mod=crop"], "unknown setting scene.mod, did you mean scene.mode?"),
        (["--data", "{folder}", "--csv", "{tmp}/no/o.csv"], "its folder does not exist"),
        (["--data", "{folder}", "--plot", "{tmp}"], "it is a folder"),
    ],
)
def test_errors_are_one_line_and_code_two(arguments, message, folder, balls, tmp_path, capsys):
    assert main(["eval", "clicks", *(text.format(folder=folder, tmp=tmp_path) for text in arguments)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("seg3d: ")
    assert message in said
    assert said.count("\n") == 1


def test_unknown_models_are_refused(folder, capsys):
    assert main(["eval", "clicks", "--data", str(folder), "--model", "oracle"]) == 2
    assert "model = 'oracle'" in capsys.readouterr().err
