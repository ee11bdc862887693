"""``seg3d propose``: what it writes and says."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")

from seg3d_core.cli import main
from seg3d_core.data.cloud_files import read_labelled, write_cloud
from seg3d_core.types import Cloud

FAST = ["clicks=6", "point_sam.device=cpu", "point_sam.patches=16", "point_sam.patch_size=8"]


@pytest.fixture
def file(tmp_path):
    random = np.random.default_rng(0)
    points = random.random((3000, 3)) * [2, 0.5, 0]
    write_cloud(tmp_path / "floor.ply", Cloud(points.astype(np.float32), random.random((3000, 3), np.float32)))
    return tmp_path / "floor.ply"


def propose(file, *settings):
    arguments = [part for setting in [*FAST, *settings] for part in ("--set", setting)]
    return main(["propose", str(file), "-o", str(file.with_name("out.ply")), "--model", "tiny", *arguments])


def test_a_labelled_cloud_a_table_and_progress(file, capsys):
    assert propose(file, "tile_voxels=1200", "overlap_m=0.2", "min_iou=0", "min_stability=0", "max_share=1") == 0
    labelled = read_labelled(file.with_name("out.ply"))
    assert len(labelled.cloud) == 3000
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0] == "| id | points | size, m | predicted IoU |"
    assert " of 3000 points, " in lines[-1]
    assert lines[-1].endswith(f" s: {file.with_name('out.ply')}")
    assert "tile 1 of " in said.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "click=3"], "seg3d: unknown setting click, did you mean clicks?\n"),
        (["--set", "min_iou=2"], "seg3d: min_iou = 2: "),
        (["--model", "huge"], "seg3d: model = 'huge': neither one of nano, tiny, small, base, large,"),
    ],
)
def test_errors_are_one_line_and_code_two(file, options, message, capsys):
    assert main(["propose", str(file), "-o", str(file.with_name("out.ply")), *options]) == 2
    said = capsys.readouterr().err
    assert said.startswith(message)
    assert said.count("\n") == 1
