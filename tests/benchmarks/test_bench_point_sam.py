"""Point-SAM against the plain way to compute the same: eager modules, and everything again for every click."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="Point-SAM needs PyTorch")

from seg3d_core.benchmark.by_turns import Pair  # noqa: E402
from seg3d_core.benchmark.point_sam_flops import Operations  # noqa: E402
from seg3d_core.benchmark.point_sam_pairs import NetworkPairs  # noqa: E402
from seg3d_core.point_sam.model import PointSamNetwork  # noqa: E402
from seg3d_core.point_sam_config import POINT_SAM_PRESETS  # noqa: E402

SIZES = {"large": (10_000, 512, 64), "nano": (10_000, 512, 64)}
ROUNDS = {"large": 3, "nano": 9}
ENCODER_AT_LEAST = {"large": 1.3, "nano": 0.85}
"""Narrow layers leave nothing to gain: what fusing saves, smaller products cost."""
WHOLE_AT_LEAST = {"large": 1.2, "nano": 0.85}
"""Groups included: some percent of the time, and memory-bound products of two threads vary by as much."""
MASK_ENCODER_AT_LEAST = {"large": 1.7, "nano": 0.85}


@pytest.fixture(autouse=True, params=[1, 2], ids=["one_thread", "two_threads"])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    if request.param > 1 and not request.config.getoption("--bench"):
        pytest.skip("only timed with several threads: nothing else differs")
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    with torch.inference_mode():
        yield request.param
    torch.set_num_threads(before)


@pytest.fixture
def clock(threads: int) -> Callable[[], float]:
    """One thread by the processor's clock, which others do not slow down as much."""
    return time.process_time if threads == 1 else time.perf_counter


class Case:
    """A network, a cloud, and a click on it with the answer to an earlier one."""

    def __init__(self, preset: str, full_size: bool) -> None:
        torch.manual_seed(0)
        self.name = preset if full_size else "nano"
        points, patches, size = SIZES[preset] if full_size else (600, 24, 16)
        self.rounds = ROUNDS[self.name]
        random = np.random.default_rng(0)
        directions = random.normal(size=(points, 3))
        xyz = directions / np.abs(directions).max(axis=1, keepdims=True) * 0.5
        xyz = torch.from_numpy((xyz + random.normal(scale=1e-3, size=xyz.shape)).astype(np.float32))
        rgb = torch.from_numpy(random.uniform(-1, 1, (points, 3)).astype(np.float32))
        network = PointSamNetwork(POINT_SAM_PRESETS[self.name]).eval()
        self.gflop = Operations(network.config, points, patches, size).stages()
        self.mask = torch.from_numpy(random.normal(scale=3, size=points).astype(np.float32))
        self.pairs = NetworkPairs(network, xyz, rgb, patches, size, rows=(0, 5))


_CASES: dict[tuple[str, bool], Case] = {}


@pytest.fixture(params=["large", "nano"])
def case(request: pytest.FixtureRequest) -> Case:
    """Weights of the large network are drawn once, and only to be timed."""
    key = (request.param, request.config.getoption("--bench"))
    if key == ("large", False):
        pytest.skip("too large but to be timed: the small one does the same")
    if key not in _CASES:
        _CASES[key] = Case(*key)
    return _CASES[key]


@pytest.mark.parametrize(
    ("pair_of", "at_least"),
    [(NetworkPairs.encoder, ENCODER_AT_LEAST), (NetworkPairs.encoding, WHOLE_AT_LEAST)],
    ids=["patches_given", "whole"],
)
def test_encoder(
    pair_of: Callable[[NetworkPairs], Pair],
    at_least: dict[str, float],
    case: Case,
    threads: int,
    clock: Callable[[], float],
    compare: Callable[..., None],
) -> None:
    pair = pair_of(case.pairs)
    pair.agree()
    compare(
        f"{case.name}: {pair.name}, {threads} threads",
        pair.ours,
        pair.peer,
        pair.theirs,
        at_least=at_least[case.name],
        bound=f"{case.gflop['patches'] + case.gflop['transformer']:.1f} GFLOP",
        rounds=case.rounds,
        clock=clock,
    )


def test_mask_encoder(case: Case, threads: int, clock: Callable[[], float], compare: Callable[..., None]) -> None:
    """What a mask prompt says about each patch."""
    encoded, encoder = case.pairs.encode(), case.pairs.network.mask_encoder
    mask = case.mask[None, None]

    def ours() -> torch.Tensor:
        return encoder(encoded.mask_offsets, encoded.groups, mask)[:, 0]

    def eagerly() -> torch.Tensor:
        logits = encoded.groups.members(mask)[:, 0, ..., None]
        return case.pairs.plain.mask_encoder(torch.cat([encoded.groups.offsets, logits], dim=-1))

    torch.testing.assert_close(ours(), eagerly(), atol=1e-4, rtol=0)
    compare(
        f"{case.name}: mask encoder, {threads} threads",
        ours,
        "eager modules",
        eagerly,
        at_least=MASK_ENCODER_AT_LEAST[case.name],
        clock=clock,
    )


@pytest.mark.parametrize(("later", "at_least"), [(False, 2), (True, 4)], ids=["first_click", "second_click"])
def test_click(
    case: Case, later: bool, at_least: float, threads: int, clock: Callable[[], float], compare: Callable[..., None]
) -> None:
    """On an encoded cloud against encoding it again: the first click, and later ones with the mask before."""
    pair = case.pairs.later_click(case.mask) if later else case.pairs.first_click()
    pair.agree()
    compare(
        f"{case.name}: {pair.name}, {threads} threads",
        pair.ours,
        pair.peer,
        pair.theirs,
        at_least=at_least,
        bound=f"{case.gflop['click with mask' if later else 'click']:.1f} GFLOP",
        rounds=case.rounds,
        clock=clock,
    )
