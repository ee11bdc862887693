"""What losses are by hand, and which rounds add clicks; tests/core/point_sam/test_interaction.py has the original's."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from seg3d_core.learning.point_sam.losses import RoundLoss, dice_loss, focal_loss, hard_iou, round_loss, total_loss  # noqa: E402
from seg3d_core.learning.point_sam.rounds import Clicks, play_rounds, refinement_rounds  # noqa: E402
from seg3d_core.point_sam.decoder import MaskPrediction  # noqa: E402
from seg3d_core.point_sam.model import PointSamNetwork  # noqa: E402
from seg3d_core.point_sam_config import POINT_SAM_PRESETS  # noqa: E402


def test_losses_by_hand():
    """Two points, one of them on the object, both held for on it with probability 3/4."""
    logits, target = torch.full((2,), math.log(3)), torch.tensor([1.0, 0.0])
    focal = (-math.log(0.75) / 16 - math.log(0.25) * 9 / 16) / 2
    assert float(focal_loss(logits, target)) == pytest.approx(focal)
    assert float(dice_loss(logits, target)) == pytest.approx(1 - (1.5 + 1e-3) / (1.125 + 1 + 1e-3))
    assert float(hard_iou(logits > 0, target > 0)) == 0.5


def test_only_the_best_candidate_learns():
    truth = torch.tensor([[[True, True, False, False]]])
    logits = torch.stack([torch.tensor([1.0, 1, -1, -1]), torch.tensor([-1.0, 1, 1, -1]), torch.zeros(4)])
    logits, ious = logits[None, None].requires_grad_(), torch.tensor([[[0.5, 0.9, 0.1]]], requires_grad=True)
    loss = round_loss(MaskPrediction(logits, ious), truth)
    assert loss.iou.tolist() == [[1.0]]
    assert loss.of_ious.item() == 0.25
    total_loss([loss]).backward()
    assert logits.grad[0, 0].abs().sum(dim=1).gt(0).tolist() == [True, False, False]
    assert ious.grad.ne(0).tolist() == [[[True, False, False]]]


def test_all_candidates_may_be_judged():
    """Two of four points; the candidates overlap with 1, 1/3 and 0 of them."""
    truth = torch.tensor([[[True, True, False, False]]])
    logits = torch.tensor([[1.0, 1, -1, -1], [-1, 1, 1, -1], [-1, -1, 1, 1]])[None, None]
    ious = torch.tensor([[[0.5, 1 / 3, 0.5]]])
    loss = round_loss(MaskPrediction(logits, ious), truth, judge_all=True)
    assert loss.of_ious.item() == pytest.approx((0.25 + 0 + 0.25) / 3)
    assert loss.of_masks.item() == round_loss(MaskPrediction(logits, ious), truth).of_masks.item()


def test_all_candidates_may_learn_a_little():
    truth = torch.tensor([[[True, True, False, False]]])
    logits = torch.tensor([[1.0, 1, -1, -1], [-1, 1, 1, -1], [-1, -1, 1, 1]])[None, None]
    each = [round_loss(MaskPrediction(logits[:, :, [c]], torch.zeros(1, 1, 1)), truth).of_masks for c in range(3)]
    found = round_loss(MaskPrediction(logits, torch.zeros(1, 1, 3)), truth, all_candidates=0.1).of_masks
    torch.testing.assert_close(found, 0.9 * each[0] + 0.1 * sum(each) / 3)


def test_weights_of_rounds_and_of_overlaps():
    rounds = [RoundLoss(*torch.tensor([masks, ious]), torch.zeros(1, 1)) for masks, ious in ((1.0, 0.5), (3.0, 0.1))]
    assert total_loss(rounds).item() == pytest.approx((1.5 + 3.1) / 2)
    assert total_loss(rounds, iou_weight=2.0, first_weight=3.0).item() == pytest.approx((3 * 2.0 + 3.2) / 4)


def test_rounds_that_only_refine():
    drawn = [refinement_rounds(5, np.random.default_rng(seed)) for seed in range(50)]
    assert all(4 in rounds and 0 not in rounds for rounds in drawn)
    assert set().union(*drawn) == {1, 2, 3, 4}
    assert frozenset({4}) in drawn
    assert refinement_rounds(1, np.random.default_rng(0)) == frozenset()


def test_a_refining_round_adds_no_click(monkeypatch):
    xyz = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 40, 3)).astype(np.float32)
    clicks = Clicks(xyz, xyz[:, None, :, 0] > 0)
    network, seen = PointSamNetwork(POINT_SAM_PRESETS["nano"]), []
    decode = network.decode
    monkeypatch.setattr(network, "decode", lambda *given, multimask: (seen.append(given), decode(*given, multimask))[1])
    with torch.no_grad():
        cloud = network.encode(torch.from_numpy(xyz), torch.zeros(1, 40, 3), 8, 8)
        answers = play_rounds(network, cloud, clicks, 4, frozenset({1, 3}))
    assert [points.shape[2] for _, points, *_ in seen] == [1, 1, 2, 2]
    assert [answer.mask_logits.shape[2] for answer in answers] == [3, 1, 1, 1]
    assert clicks.rows.shape == (1, 1, 2)


def test_some_objects_are_clicked_on_once():
    xyz = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 40, 3)).astype(np.float32)
    truth = np.stack([xyz[..., axis] > 0 for axis in range(3)], axis=1)
    network, clicks = PointSamNetwork(POINT_SAM_PRESETS["nano"]).eval(), Clicks(xyz, truth)
    with torch.no_grad():
        cloud = network.encode(torch.from_numpy(xyz), torch.zeros(2, 40, 3), 8, 8)
        all_go_on = play_rounds(network, cloud, Clicks(xyz, truth), 3)
        answers = play_rounds(network, cloud, clicks, 3, corrected=2)
    assert [answer.mask_logits.shape[1] for answer in answers] == [3, 2, 2]
    assert clicks.rows.shape == (2, 2, 3)
    for answer, expected in zip(answers, all_go_on, strict=True):
        count = answer.mask_logits.shape[1]
        torch.testing.assert_close(answer.mask_logits, expected.mask_logits[:, :count], atol=1e-4, rtol=1e-4)


def test_clicks_of_a_user_are_anywhere_in_the_error():
    xyz = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 200, 3)).astype(np.float32)
    truth = xyz[:, None, :, 0] > 0
    predicted = xyz[:, None, :, 0] > 0.2
    clicks = Clicks(xyz, truth, 1.0, np.random.default_rng(1))
    for _ in range(20):
        clicks.add(predicted)
    x = clicks.points[0, 0, :, 0]
    assert ((x > 0) & (x <= 0.2)).all() and clicks.labels.all()
    assert len(np.unique(clicks.rows)) > 10
