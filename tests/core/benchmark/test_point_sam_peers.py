"""Point-SAM beside its peers: they compute the same, differences are found, and the command prints the ratios."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks need PyTorch")

from seg3d_core.benchmark import by_turns as turns  # noqa: E402
from seg3d_core.benchmark import point_sam_peers, processes  # noqa: E402
from seg3d_core.benchmark.by_turns import Comparison, Pair, by_turns, table  # noqa: E402
from seg3d_core.benchmark.large_map import MapPairs, floor_with_boxes  # noqa: E402
from seg3d_core.benchmark.plain_points import farthest_plainly, groups_pair, nearest_plainly  # noqa: E402
from seg3d_core.benchmark.point_sam import CLICKS, STAGES, Measurement  # noqa: E402
from seg3d_core.benchmark.point_sam_pairs import NetworkPairs  # noqa: E402
from seg3d_core.benchmark.point_sam_peers import PeerSizes, peer_pairs, timed_conditions  # noqa: E402
from seg3d_core.cli import main  # noqa: E402
from seg3d_core.errors import DisagreementError  # noqa: E402
from seg3d_core.point_sam.model import PointSamNetwork  # noqa: E402
from seg3d_core.point_sam.predictor import PointSam  # noqa: E402
from seg3d_core.point_sam_config import (  # noqa: E402
    POINT_SAM_PRESETS,
    PointSamConfig,
    PointSamSettings,
    PromptModelConfig,
)
from seg3d_core.types import Cloud  # noqa: E402

SMALL = PeerSizes(groups=((800, 40, 16), (1000, 60, 8)), map_points=60_000)
CPU = PointSamSettings.build({"device": "cpu", "patches": 30, "patch_size": 20})
PLAIN_BLOCKS = PointSamConfig.build(
    {"blocks": "plain", "encoder_dim": 96, "encoder_depth": 2, "encoder_heads": 2, "encoder_feedforward_dim": 300}
)


def network_pairs(config: PointSamConfig) -> NetworkPairs:
    torch.manual_seed(0)
    network = PointSamNetwork(config).eval()
    for parameter in network.parameters():  # biases and norms begin as what changes nothing
        torch.nn.init.normal_(parameter.data, std=0.1) if parameter.ndim == 1 else None
    return NetworkPairs(network, torch.rand(700, 3) - 0.5, torch.rand(700, 3) * 2 - 1, 30, 20, rows=(3, 400))


@pytest.fixture(autouse=True)
def conditions() -> Iterator[None]:
    with timed_conditions(1):
        yield


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small sizes, each measured as briefly as can be, on a cloud that takes no time to make."""

    def cloud(points: int) -> Cloud:
        random = np.random.default_rng(0)
        return Cloud(random.random((points, 3), np.float32), random.random((points, 3), np.float32))

    monkeypatch.setattr(point_sam_peers, "SIZES", SMALL)
    monkeypatch.setattr(point_sam_peers, "room_points", cloud)
    monkeypatch.setattr(turns, "_ENOUGH_S", 0.0)


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first table is not measured."""
    times = dict.fromkeys((*STAGES, *CLICKS), 1.0)
    measured = Measurement(times, 5.0, None, 1.0, 100.0, "cpu", 1, 700, 30, 20, dict.fromkeys(times, 0.2))
    monkeypatch.setattr(processes, "measure_all", lambda *_: [measured])


def test_the_plain_loops_by_hand() -> None:
    line = torch.tensor([[0.0, 0, 0], [1, 0, 0], [5, 0, 0], [2, 0, 0]])
    assert farthest_plainly(line, 3).tolist() == [0, 2, 3]
    rows, distances = nearest_plainly(line, line[2:3], 2)
    assert rows.tolist() == [[2, 3]] and distances.tolist() == [[0, 3]]


@pytest.mark.parametrize("config", [POINT_SAM_PRESETS["nano"], PLAIN_BLOCKS], ids=["gated", "plain"])
def test_plain_modules_compute_the_same(config: PointSamConfig) -> None:
    pairs = network_pairs(config)
    pairs.encoder().agree()
    pairs.encoding().agree()
    pairs.first_click().agree()
    pairs.later_click(torch.randn(700)).agree()


def test_their_parameters_are_shared() -> None:
    pairs = network_pairs(POINT_SAM_PRESETS["nano"])
    ours, plain = dict(pairs.network.pc_encoder.named_parameters()), dict(pairs.plain.encoder.named_parameters())
    assert ours.keys() == plain.keys()
    assert all(ours[name].data_ptr() == plain[name].data_ptr() for name in ours)


def test_other_embeddings_are_found() -> None:
    pairs = network_pairs(POINT_SAM_PRESETS["nano"])
    pairs.plain.encoder.out_proj.bias = torch.nn.Parameter(pairs.plain.encoder.out_proj.bias + 1e-3)
    with pytest.raises(DisagreementError, match=r"3840 of 3840 embeddings .* up to 0\.001, 0\.0001 is allowed"):
        pairs.encoder().compared(1)


def test_other_groups_are_found() -> None:
    pair = groups_pair(torch.rand(200, 3), 10, 5)
    rows, distances = pair.ours()
    other = replace(pair, theirs=lambda: (rows.flip(0), distances))
    with pytest.raises(DisagreementError, match=r"10 of 10 farthest points .* number 0, row 0 instead of"):
        other.agree()
    farther = replace(pair, theirs=lambda: (rows, distances + 0.1))
    with pytest.raises(DisagreementError, match="50 of 50 distances of nearest points"):
        farther.agree()
    nothing = replace(pair, theirs=lambda: (rows, distances * math.nan))
    with pytest.raises(DisagreementError, match="difference is up to nan"):
        nothing.agree()


def test_other_masks_in_the_map_are_found() -> None:
    pairs = MapPairs(PointSam.from_preset("nano", CPU), floor_with_boxes(SMALL.map_points))
    pair = pairs.first_click()
    found = pair.theirs()
    other = replace(pair, theirs=lambda: replace(found, mask_logits=found.mask_logits + 1))
    with pytest.raises(DisagreementError, match="mask logits are others than the peer's: the difference is up to 1,"):
        other.agree()


def test_by_turns() -> None:
    calls: list[str] = []
    ticks = iter(range(100))
    found = by_turns(lambda: calls.append("ours"), lambda: calls.append("peer"), 3, clock=lambda: float(next(ticks)))
    assert calls == ["ours", "peer"] * 3
    assert found == (1000, 1000)


def test_a_column_that_is_empty_is_left_out() -> None:
    row = Comparison("clicks", 2.0, "eager", 5.0)
    assert row.ratio == 2.5
    assert table([row]).splitlines()[2] == "| clicks | 2.00 | eager | 5.00 | 2.50 |"
    assert table([replace(row, bound="reads 1 MB")]).splitlines()[2].endswith("| 2.50 | reads 1 MB |")


@pytest.mark.usefixtures("brief")
def test_voronoi_cells_are_compared_where_they_can_be() -> None:
    config = PromptModelConfig.build({"model": "nano_voronoi", "point_sam": CPU})
    names = [pair.name for pair in peer_pairs(config, 700, SMALL)]
    assert len(names) == 4
    assert not any("encoder" in name for name in names)


@pytest.mark.usefixtures("stages")
def test_peers_can_be_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "point-sam", "--points", "700", "--no-peers"]) == 0
    printed = capsys.readouterr()
    assert "| 700 |" in printed.out and "peer" not in printed.out + printed.err


def test_threads_are_given_back() -> None:
    before = torch.get_num_threads()
    with timed_conditions(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


@pytest.mark.usefixtures("brief", "stages")
def test_the_command_prints_the_ratios(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = tmp_path / "bench.json"
    arguments = ["bench", "point-sam", "--points", "700", "--threads", "1", "--repeats", "1", "--json", str(figures)]
    settings = [f"point_sam.{setting}" for setting in ("patches=30", "patch_size=20", "device=cpu")]
    assert main([*arguments, *(word for setting in settings for word in ("--set", setting))]) == 0
    printed = capsys.readouterr()
    names = [
        "40 groups of 16 of 800 points",
        "60 groups of 8 of 1,000 points",
        "encoder, 30 patches of 20",
        "first click, 700 points",
        "second click, 700 points",
        "first click, map of 60,000 points",
        "second click, map of 60,000 points",
    ]
    rows = [line.strip("| ").split(" | ") for line in printed.out.split("| what |")[1].splitlines()[2:9]]
    assert [row[0] for row in rows] == names
    for _, ours_ms, _, peer_ms, ratio in rows:
        assert 0 < float(ours_ms) < math.inf and 0 < float(peer_ms) < math.inf and 0 < float(ratio) < math.inf
    assert all(f"{name} against" in printed.err for name in names)
    _, *compared = json.loads(figures.read_text())
    assert [row["name"] for row in compared] == names
    assert all(row["ratio"] == pytest.approx(row["peer_ms"] / row["ours_ms"]) for row in compared)


@pytest.mark.usefixtures("stages")
def test_a_difference_ends_the_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def differ(ours: object, theirs: object) -> None:
        raise DisagreementError("embeddings are others")

    def one_pair(*_: object) -> Iterator[Pair]:
        yield Pair("encoder", int, "eager modules", int, differ)

    monkeypatch.setattr(point_sam_peers, "peer_pairs", one_pair)
    arguments = ["--points", "200", "--threads", "1", "--repeats", "1", "--set", "point_sam.device=cpu"]
    assert main(["bench", "point-sam", *arguments]) == 2
    assert "seg3d: embeddings are others" in capsys.readouterr().err
