from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import seg3d_core
from seg3d_core.cli import main
from seg3d_core.config import SegmentConfig
from seg3d_core.data.cloud_files import read_labelled, write_cloud
from seg3d_core.errors import ConfigError
from seg3d_core.types import Cloud

ROOT = Path(seg3d_core.__file__).parent.parent


@pytest.fixture
def boxes(tmp_path: Path) -> Path:
    """Two boxes a metre apart, seen from above."""
    rng = np.random.default_rng(0)
    top = rng.random((4000, 3)) * (0.4, 0.4, 0)
    side = rng.random((4000, 3)) * (0.4, 0, 0.3) - (0, 0, 0.3)
    one = np.concatenate([top, side])
    points = np.concatenate([one, one + np.array([1.5, 0, 0])]).astype(np.float32)
    write_cloud(tmp_path / "boxes.ply", Cloud(points, rng.random(points.shape, np.float32)))
    return tmp_path / "boxes.ply"


def test_segment_writes_a_labelled_cloud_and_a_picture(boxes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, picture = boxes.with_name("out.ply"), boxes.with_name("out.png")
    assert main(["segment", str(boxes), "-o", str(out), "--picture", str(picture)]) == 0
    labelled = read_labelled(out)
    assert len(labelled.cloud) == 16000
    ids = labelled.instance_id
    # Whatever the boxes are split into, nothing spans both.
    assert not set(ids[:8000][ids[:8000] > 0]) & set(ids[8000:][ids[8000:] > 0])
    count = len(set(ids[ids > 0]))
    said = capsys.readouterr().out
    assert said.startswith(f"{count} instances on ")
    assert "of 16000 points, " in said
    assert f" ms: {out}" in said
    assert f"picture: {picture}" in said
    assert Image.open(picture).size[0] > 200


def test_settings_come_from_a_file_and_from_the_command_line(boxes: Path, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("model: graph\ngraph: {max_instances: 1}\n")
    arguments = ["segment", str(boxes), "-o", str(tmp_path / "o.npz"), "--config", str(tmp_path / "s.yaml")]
    assert main(arguments) == 0
    assert len(set(read_labelled(tmp_path / "o.npz").instance_id.tolist()) - {-1}) == 1
    assert main([*arguments, "--set", "graph.max_instances=2"]) == 0
    assert len(set(read_labelled(tmp_path / "o.npz").instance_id.tolist()) - {-1}) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone.ply", "-o", "{tmp}/o.ply"], "seg3d: gone.ply: No such file or directory"),
        (["{cloud}", "-o", "{tmp}/o.stl"], "o.stl: unknown suffix '.stl', expected one of .ply, .pcd, .npz"),
        (["{cloud}", "-o", "{tmp}/no/o.ply"], "no does not exist"),
        (["{cloud}", "-o", "{tmp}/o.ply", "--set", "graph.kk=1"], "unknown setting graph.kk, did you mean graph.k?"),
        (["{cloud}", "-o", "{tmp}/o.ply", "--set", "graph.k=soft"], "graph.k = 'soft': "),
        (["{cloud}", "-o", "{tmp}/o.ply", "--set", "graph.k"], "expected NAME=VALUE"),
        (["{cloud}", "-o", "{tmp}/o.ply", "--set", "graph.k.x=1"], "k is a value, not a group of settings"),
        (["{cloud}", "-o", "{tmp}/o.ply", "--set", "graph.k={{"], "the value is not YAML"),
        (["{cloud}", "-o", "{tmp}/o.ply", "--model", "oracle"], "model = 'oracle'"),
        (["{cloud}", "-o", "{tmp}/o.ply", "--config", "{tmp}/gone.yaml"], "cannot read settings from"),
        (["{cloud}", "-o", "{tmp}/o.ply", "--config", "{cloud}"], "cannot read settings from"),
    ],
)
def test_errors_are_one_line_and_code_two(
    arguments: list[str], message: str, boxes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["segment", *(text.format(cloud=boxes, tmp=tmp_path) for text in arguments)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("seg3d: ")
    assert message in said
    assert said.count("\n") == 1


def test_list_settings_shows_what_set_takes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["segment", "--list-settings"])
    assert ended.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("model=nano ")
    assert any(line.startswith("graph.k=") for line in lines)


def test_it_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "seg3d_core", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    listed = done.stdout.partition("{")[2].partition("}")[0].split(",")
    assert {"segment", "eval", "doctor"} <= set(listed)


def test_off_is_a_word_where_it_is_a_choice(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("segment3d: {fill: off}\n")
    assert SegmentConfig.from_yaml(tmp_path / "s.yaml").segment3d.fill == "off"
    with pytest.raises(ConfigError, match=r"segment3d.fill = True: Input should be 'auto', 'off' or 'graph'"):
        SegmentConfig.build({"segment3d": {"fill": True}})
