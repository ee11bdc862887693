"""Several models in one command: tables, figures, plots, and going on."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seg3d_core.cli import main
from seg3d_core.data.cloud_files import write_labelled
from seg3d_core.types import Cloud, LabelledCloud


@pytest.fixture
def folder(tmp_path: Path, make_scene) -> Path:
    """Two scene folders."""
    for name in ("a", "b"):
        make_scene(tmp_path / "scenes" / name)
    return tmp_path / "scenes"


def table(text: str) -> list[list[str]]:
    """Cells of the first table."""
    lines = text[text.index("| ") :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_graph_and_merged_masks_in_one_table(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    arguments = [
        "eval", "scenes", str(folder), "--models", "graph", "sam3d", "--set", "sam3d.voxel_size_m=0.02",
        "--postprocessing", "both", "--out", str(out), "--protocol", "both",
    ]  # fmt: skip
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert "segmenting graph (1 of 3)" in said.err or "scenes [" in said.err
    head, _, *rows = table(said.out)
    assert [row[0] for row in rows] == ["graph", "sam3d -post", "sam3d +post"]
    figures = dict(zip(head, rows[1], strict=True))
    assert (figures["true"], figures["AP50"], figures["AP25"], figures["peak MB"]) == ("6", "1.000", "1.000", "-")
    # All boards and the floor are flat: one region for a method that looks at shape alone.
    assert dict(zip(head, rows[0], strict=True))["AP25"] == "0.000"
    assert said.out.count("| sam3d -post ") == 4  # two protocols, all objects and by size

    tables = (out / "tables.md").read_text()
    assert "## Released: all scores 1" in tables
    assert "| b " in tables
    assert "sam3d.smoothing=ensemble" in tables
    with (out / "figures.csv").open() as file:
        lines = list(csv.DictReader(file))
    # Protocols, models, scenes and their pool, sizes.
    assert len(lines) == 2 * 3 * 3 * 4
    (one,) = [
        line for line in lines
        if (line["protocol"], line["model"], line["scene"], line["size"]) == ("scored", "sam3d -post", "all", "all")
    ]  # fmt: skip
    assert (float(one["ap50"]), one["true"], one["peak_bytes"]) == (1, "6", "")
    assert Image.open(out / "models.png").size[0] > 1000
    assert sorted(path.name for path in (out / "results").iterdir()) == [
        "graph.json", "sam3d_+post.json", "sam3d_-post.json",
    ]  # fmt: skip

    assert main(arguments) == 0
    assert "scenes [" not in capsys.readouterr().err  # nothing was segmented again
    (out / "results" / "sam3d_-post.json").unlink()
    assert main(arguments) == 0
    assert json.loads((out / "results" / "sam3d_-post.json").read_text())["scenes"][0]["seconds"] > 0


def test_a_sweep_is_drawn(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    arguments = ["eval", "scenes", str(folder / "a"), "--models", "graph", "sam3d", "--out", str(out)]
    assert main([*arguments, "--sweep", "sam3d.voxel_size_m", "0.02", "0.1", "--sweep", "min_overlap", "0.5"]) == 0
    rows = table(capsys.readouterr().out)[2:]
    assert [row[0] for row in rows] == [
        "graph", "sam3d voxel_size_m=0.02 min_overlap=0.5", "sam3d voxel_size_m=0.1 min_overlap=0.5",
    ]  # fmt: skip
    for name in ("sweep-sam3d.voxel_size_m.png", "sweep-sam3d.min_overlap.png"):
        assert Image.open(out / name).size[0] > 900


def test_a_picture_has_a_column_for_each_model(folder: Path, tmp_path: Path) -> None:
    picture = tmp_path / "p.png"
    assert main(["eval", "scenes", str(folder / "a"), "--models", "graph", "sam3d", "--picture", str(picture)]) == 0
    assert Image.open(picture).size[0] == 4 * 800


def test_a_scene_that_one_model_cannot_do_is_said_with_its_name(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points = np.random.default_rng(0).random((400, 3), np.float32)
    write_labelled(tmp_path / "c.ply", LabelledCloud(Cloud(points), np.ones(400, np.int32), {}))
    scenes = [str(folder / "a"), str(tmp_path / "c.ply")]
    assert main(["eval", "scenes", *scenes, "--models", "graph", "sam3d", "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr()
    assert f"seg3d: {tmp_path / 'c.ply'}: sam3d merges 2-D masks: it needs the images" in said.err
    assert said.err.rstrip().endswith("(sam3d)")
    assert [row[0] for row in table(said.out)[2:]] == ["graph", "sam3d (1 of 2 scenes)"]
    assert "## Not evaluated" in (tmp_path / "out" / "tables.md").read_text()


def test_memory_is_in_the_table(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "out.json"
    arguments = ["eval", "scenes", str(folder / "a"), "--model", "sam3d", "--json", str(kept)]
    assert main(arguments) == 0
    assert main([*arguments, "--memory"]) == 0
    assert table(capsys.readouterr().out.rpartition("model sam3d")[2])[0][-1] == "peak MB"
    assert json.loads(kept.read_text())["scenes"][0]["peak_bytes"] > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models", "graph", "sam3d", "--json", "{tmp}/a.json"], "--json {tmp}/a.json keeps one model alone"),
        (["--models", "graph", "graph"], "--models: graph given more than once"),
        (["--sweep", "num_queries", "5"], "--sweep segment3d.num_queries: none of graph has this setting"),
        (["--out", "{tmp}/scenes/a/scene.json"], "cannot make the folder"),
        (["--models", "graph", "oracle"], "model = 'oracle'"),
    ],
)
def test_errors_are_one_line_and_code_two(
    arguments: list[str], message: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", "scenes", str(folder), *(text.format(tmp=tmp_path) for text in arguments)]) == 2
    said = capsys.readouterr().err
    assert message.format(tmp=tmp_path) in said
    assert said.count("\n") == 1
