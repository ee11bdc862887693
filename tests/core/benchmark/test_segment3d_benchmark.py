"""The benchmark measures what it says: sizes, arithmetic, memory, stages."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks need PyTorch")

from PIL import Image  # noqa: E402

from seg3d_core.benchmark.flops import CountingEngine, peak_gflops  # noqa: E402
from seg3d_core.benchmark.memory import peak_bytes  # noqa: E402
from seg3d_core.benchmark.rooms import room_cloud  # noqa: E402
from seg3d_core.cli import main  # noqa: E402
from seg3d_core.geometry.voxels import voxelize  # noqa: E402
from seg3d_core.sparse.engines.choice import choose_engine  # noqa: E402
from seg3d_core.sparse.engines.interface import Step  # noqa: E402
from seg3d_core.sparse.tensor import SparseTensor  # noqa: E402

CPU = torch.device("cpu")


def test_a_cloud_fills_the_voxels_asked_for() -> None:
    cloud = room_cloud(3000, points_per_voxel=2)
    voxels = voxelize(cloud.points, 0.02)
    assert len(voxels.coordinates) == 3000
    assert np.bincount(voxels.point_to_voxel).max() == 2
    assert cloud.rgb is not None
    assert 0 <= cloud.rgb.min() < cloud.rgb.max() <= 1


def test_operations_by_hand() -> None:
    # Three voxels in a row have 3 + 2 + 2 pairs of neighbours; the first two share a parent.
    row = torch.tensor([[0, 0, 0, 0], [0, 1, 0, 0], [0, 2, 0, 0]], dtype=torch.int32)
    engine = CountingEngine(choose_engine("torch", CPU))
    x = SparseTensor.from_coordinates(row, torch.ones(3, 2))
    same = engine.convolution(torch.ones(27, 2, 4), None, Step(3))(x)
    assert engine.flops == 2 * 7 * 2 * 4
    assert same.features[:, 0].tolist() == [4, 6, 4], "counting changes nothing"
    engine.flops = 0
    down = engine.convolution(torch.ones(8, 2, 5), None, Step(2, "down"))(x)
    engine.convolution(torch.ones(8, 5, 3), None, Step(2, "up"))(down)
    engine.convolution(torch.ones(2, 7), None, Step(1))(x)
    assert engine.flops == 2 * 3 * (2 * 5 + 5 * 3 + 2 * 7)


def test_memory_that_is_needed_for_a_while_is_seen() -> None:
    held = peak_bytes(lambda: np.ones(25_000_000).sum(), CPU)
    if held is None:
        pytest.skip("this system does not tell the peak of a process")
    assert held == pytest.approx(200e6, rel=0.1)


def test_the_peak_of_the_machine_is_one() -> None:
    assert 1 < peak_gflops(CPU, torch.float32, rounds=1) < 100_000


def test_the_command_leaves_table_figures_and_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures, picture = tmp_path / "bench.json", tmp_path / "bench.png"
    arguments = ["bench", "segment3d", "--model", "nano", "--voxels", "600", "--threads", "1", "--repeats", "1"]
    settings = ["--set", "segment3d.num_queries=5", "--set", "segment3d.device=cpu"]
    assert main([*arguments, *settings, "--json", str(figures), "--plot", str(picture)]) == 0
    (row,) = json.loads(figures.read_text())
    assert row["voxels"] == 600
    assert sum(row["stage_ms"].values()) == pytest.approx(row["total_ms"], rel=1e-6)
    assert {"voxelize", "maps", "backbone", "decoder", "postprocess"} <= set(row["stage_ms"])
    assert row["gflop"] > 0
    assert 0 < row["peak_share"] < 1
    assert row["gflops"] == pytest.approx(row["peak_share"] * row["peak_gflops"])
    assert Image.open(picture).size[0] > 500
    printed = capsys.readouterr().out
    assert "| 600 |" in printed
    assert "engine torch, 1 threads" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "huge"], "model = 'huge': neither one of"),
        (["--set", "segment3d.device=cuda:99"], "cuda:99"),
        (["--set", "segment3d.engine=steam"], "segment3d.engine = 'steam'"),
    ],
)
def test_what_cannot_be_measured_is_said(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "segment3d", "--voxels", "200", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_size_below_one_is_no_size(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["bench", "segment3d", "--voxels", "0"])
    assert "0 is below 1" in capsys.readouterr().err
