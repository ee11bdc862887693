"""What ``seg3d bench point-sam`` counts and shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="networks need PyTorch")

from PIL import Image  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from seg3d_core.benchmark.point_sam_flops import Operations  # noqa: E402
from seg3d_core.benchmark.rooms import room_points  # noqa: E402
from seg3d_core.cli import main  # noqa: E402
from seg3d_core.point_sam.model import PointSamNetwork  # noqa: E402
from seg3d_core.point_sam_config import POINT_SAM_PRESETS, PointSamConfig  # noqa: E402

PLAIN = PointSamConfig.build(
    {"blocks": "plain", "encoder_dim": 96, "encoder_depth": 2, "encoder_heads": 2, "encoder_feedforward_dim": 300}
)


@pytest.mark.parametrize(
    "config", [POINT_SAM_PRESETS["nano"], PLAIN, POINT_SAM_PRESETS["nano_voronoi"]], ids=["gated", "plain", "voronoi"]
)
def test_operations_are_those_that_pytorch_counts(config: PointSamConfig) -> None:
    """With gradients, so that the plain modules run, whose operations PyTorch knows."""
    points, patches, size = 2000, 60, 40
    network = PointSamNetwork(config)
    xyz, rgb = torch.rand(1, points, 3) - 0.5, torch.rand(1, points, 3)
    click, label = xyz[:, None, :1], torch.ones(1, 1, 1, dtype=torch.bool)
    expected = Operations(config, points, patches, size).stages()
    with FlopCounterMode(display=False) as counted:
        cloud = network.encode(xyz, rgb, patches, size)
    # The positions and what a mask prompt needs of the cloud are not counted by us.
    assert counted.get_total_flops() / 1e9 == pytest.approx(expected["patches"] + expected["transformer"], rel=0.05)
    with FlopCounterMode(display=False) as counted:
        network.decode(cloud, click, label)
    assert counted.get_total_flops() / 1e9 == pytest.approx(expected["click"], rel=0.15)
    with FlopCounterMode(display=False) as counted:
        network.decode(cloud, click.repeat(1, 1, 2, 1), label.repeat(1, 1, 2), torch.randn(1, 1, points))
    assert counted.get_total_flops() / 1e9 == pytest.approx(expected["click with mask"], rel=0.1)


@pytest.mark.parametrize("points", [1, 777, 5000])
def test_clouds_have_the_points_asked_for(points: int) -> None:
    cloud = room_points(points)
    assert len(cloud) == points and cloud.rgb is not None
    assert 0 <= cloud.rgb.min() <= cloud.rgb.max() <= 1


def test_the_command_leaves_table_figures_and_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures, picture = tmp_path / "bench.json", tmp_path / "bench.png"
    arguments = [
        "bench",
        "point-sam",
        "--model",
        "nano",
        "--points",
        "700",
        "--threads",
        "1",
        "--repeats",
        "1",
        "--no-peers",
    ]
    settings = ["--set", "point_sam.patches=30", "--set", "point_sam.patch_size=20", "--set", "point_sam.device=cpu"]
    assert main([*arguments, *settings, "--json", str(figures), "--plot", str(picture)]) == 0
    (row,) = json.loads(figures.read_text())
    assert (row["points"], row["patches"], row["patch_size"]) == (700, 30, 20)
    assert list(row["stage_ms"]) == ["groups", "patches", "transformer", "other", "click", "click with mask"]
    assert sum(row["stage_ms"].values()) == pytest.approx(row["total_ms"], rel=1e-6)
    assert row["gflop"] == pytest.approx(sum(row["stage_gflop"].values()))
    assert 0 < row["peak_share"] < 1
    assert Image.open(picture).size[0] > 500
    printed = capsys.readouterr().out
    assert "Point-SAM nano on" in printed
    assert "| 700 |" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "huge"], "model = 'huge': neither one of"),
        (["--set", "point_sam.device=cuda:99"], "cuda:99"),
        (["--set", "point_sam.device=cpu", "--set", "point_sam.precision=bfloat16"], "precision bfloat16 needs a CUDA"),
    ],
)
def test_what_cannot_be_measured_is_said(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "point-sam", "--points", "200", *arguments]) == 2
    assert message in capsys.readouterr().err
