"""Point-SAM against the plain way to compute the same: eager modules, and everything again for every click."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="Point-SAM needs PyTorch")

from eager_point_sam import EagerPointSam  # noqa: E402

from seg3d_core.benchmark.point_sam_flops import Operations  # noqa: E402
from seg3d_core.point_sam.model import EncodedCloud, PointSamNetwork  # noqa: E402
from seg3d_core.point_sam.patches import gather_members  # noqa: E402
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
        self.points, self.patches, self.size = SIZES[preset] if full_size else (600, 24, 16)
        self.rounds = ROUNDS[self.name]
        self.network = PointSamNetwork(POINT_SAM_PRESETS[self.name]).eval()
        self.eager = EagerPointSam(self.network)
        self.gflop = Operations(self.network.config, self.points, self.patches, self.size).stages()
        random = np.random.default_rng(0)
        directions = random.normal(size=(self.points, 3))
        xyz = directions / np.abs(directions).max(axis=1, keepdims=True) * 0.5
        self.xyz = torch.from_numpy((xyz + random.normal(scale=1e-3, size=xyz.shape)).astype(np.float32))
        self.rgb = torch.from_numpy(random.uniform(-1, 1, xyz.shape).astype(np.float32))
        self.clicks, self.labels = self.xyz[[0, 5]], torch.tensor([True, False])
        self.mask = torch.from_numpy(random.normal(scale=3, size=self.points).astype(np.float32))

    def encode(self) -> EncodedCloud:
        return self.network.encode(self.xyz[None], self.rgb[None], self.patches, self.size)

    def click(self, encoded: EncodedCloud, count: int, mask: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        clicks, labels = self.clicks[None, None, :count], self.labels[None, None, :count]
        found = self.network.decode(encoded, clicks, labels, None if mask is None else mask[None, None])
        return found.mask_logits[0, 0], found.iou_predictions[0, 0]

    def click_eagerly(self, count: int, mask: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        given = (self.xyz, self.rgb, self.patches, self.size, self.clicks[:count], self.labels[:count], mask)
        return self.eager.click(*given)


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


def test_encoder(case: Case, threads: int, clock: Callable[[], float], compare: Callable[..., None]) -> None:
    """Patch PointNet and transformer, groups given."""
    groups = case.encode().groups
    features = torch.cat([groups.offsets, gather_members(case.rgb[None], groups.member_rows)], dim=-1)
    torch.testing.assert_close(
        case.network.pc_encoder(groups, case.rgb[None]), case.eager.encoder(groups.centres, features), atol=1e-4, rtol=0
    )
    compare(
        f"{case.name}: encoder, {case.patches} patches of {case.size}, {threads} threads",
        lambda: case.network.pc_encoder(groups, case.rgb[None]),
        "eager modules",
        lambda: case.eager.encoder(groups.centres, features),
        at_least=ENCODER_AT_LEAST[case.name],
        bound=f"{case.gflop['patches'] + case.gflop['transformer']:.1f} GFLOP",
        rounds=case.rounds,
        clock=clock,
    )


def test_mask_encoder(case: Case, threads: int, clock: Callable[[], float], compare: Callable[..., None]) -> None:
    """What a mask prompt says about each patch."""
    encoded, encoder = case.encode(), case.network.mask_encoder
    mask = case.mask[None, None]

    def ours() -> torch.Tensor:
        return encoder(encoded.mask_offsets, encoded.groups, mask)[:, 0]

    def eagerly() -> torch.Tensor:
        logits = encoded.groups.members(mask)[:, 0, ..., None]
        return case.eager.mask_encoder(torch.cat([encoded.groups.offsets, logits], dim=-1))

    torch.testing.assert_close(ours(), eagerly(), atol=1e-4, rtol=0)
    compare(
        f"{case.name}: mask encoder, {threads} threads",
        ours,
        "eager modules",
        eagerly,
        at_least=MASK_ENCODER_AT_LEAST[case.name],
        clock=clock,
    )


@pytest.mark.parametrize(("count", "at_least"), [(1, 2), (2, 4)], ids=["first_click", "second_click"])
def test_click(
    case: Case, count: int, at_least: float, threads: int, clock: Callable[[], float], compare: Callable[..., None]
) -> None:
    """On an encoded cloud against encoding it again: the first click, and later ones with the mask before."""
    encoded, mask = case.encode(), None if count == 1 else case.mask
    for ours, theirs in zip(case.click(encoded, count, mask), case.click_eagerly(count, mask), strict=True):
        # The matrix form of cdist errs by 3e-4 where a point is a centre, and logits there by ten times as much.
        torch.testing.assert_close(ours, theirs, atol=1e-2, rtol=1e-3)
    compare(
        f"{case.name}: click {count}, {case.points} points, {threads} threads",
        lambda: case.click(encoded, count, mask),
        "encoding again",
        lambda: case.click_eagerly(count, mask),
        at_least=at_least,
        bound=f"{case.gflop['click' if mask is None else 'click with mask']:.1f} GFLOP",
        rounds=case.rounds,
        clock=clock,
    )


def test_whole_encoding(case: Case, threads: int, clock: Callable[[], float], compare: Callable[..., None]) -> None:
    """Groups included: all that happens when a cloud arrives."""

    def eagerly() -> torch.Tensor:
        centres, _, features = case.eager.group(case.xyz, case.rgb, case.patches, case.size)
        return case.eager.encoder(centres[None], features[None])

    torch.testing.assert_close(case.encode().embeddings, eagerly(), atol=1e-4, rtol=0)
    compare(
        f"{case.name}: encoding, {case.points} points, {threads} threads",
        case.encode,
        "eager modules",
        eagerly,
        at_least=WHOLE_AT_LEAST[case.name],
        bound=f"{case.gflop['patches'] + case.gflop['transformer']:.1f} GFLOP",
        rounds=case.rounds,
        clock=clock,
    )
