"""Rounds of clicks as in training: the original's clicks, masks, losses and gradients."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from seg3d_core.learning.point_sam.losses import hard_iou, round_loss, total_loss  # noqa: E402
from seg3d_core.learning.point_sam.rounds import Clicks, handed_on, play_rounds  # noqa: E402

TOLERANCES = {"reference_micro": 5e-5, "reference_tiny_giant": 5e-4}


def play(network, recorded, prompts=None):
    """Clicks and predictions of every round, for both objects of the cloud at once."""
    clicks = Clicks(recorded["coords"].numpy(), recorded["interactive_loop"]["gt_masks"].numpy())
    cloud = network.encode(recorded["coords"], recorded["colors"])
    answers = play_rounds(network, cloud, clicks, recorded["interactive_loop"]["prompt_iters"], prompts=prompts)
    assert torch.equal(torch.from_numpy(clicks.rows[0]), recorded["interactive_loop"]["prompt_indices"])
    assert torch.equal(torch.from_numpy(clicks.labels[0]), recorded["interactive_loop"]["prompt_labels"])
    return answers


def fed(recorded):
    """The original's masks as prompts of the next round: our rounding does not pile up."""
    return [None, *(mask[None] for mask in recorded["interactive_loop"]["prompt_masks"][:-1])]


@torch.no_grad()
def test_rounds_of_clicks(recorded, networks):
    loop, tolerance = recorded["interactive_loop"], TOLERANCES[recorded["description"]]
    for i, answer in enumerate(play(networks["float32"], recorded, fed(recorded))):
        logits = handed_on(answer)
        torch.testing.assert_close(answer.mask_logits[0], loop["masks"][i], atol=tolerance, rtol=0)
        torch.testing.assert_close(answer.iou_predictions[0], loop["iou_preds"][i], atol=1e-5, rtol=0)
        torch.testing.assert_close(logits[0], loop["prompt_masks"][i], atol=tolerance, rtol=0)
        best = answer.iou_predictions[0].argmax(dim=-1)
        assert torch.equal(best, torch.as_tensor(loop["max_iou_pred_ind"][i]).expand(2))
        overlap = hard_iou(logits > 0, loop["gt_masks"])[0]
        torch.testing.assert_close(overlap, loop["iou_vs_gt"][i], atol=1e-6, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rounds_on_our_own_masks(recorded, networks, dtype):
    """Mask prompts of these random weights magnify rounding, which differs between CPUs, about tenfold a round; the
    clicks are the same."""
    answers = play(networks[dtype], recorded)
    for number, (answer, expected) in enumerate(zip(answers, recorded["interactive_loop"]["masks"], strict=True)):
        torch.testing.assert_close(answer.mask_logits[0].float(), expected, atol=1e-4 * 10**number, rtol=0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_losses_and_gradients(recorded, networks, dtype):
    network, loop = networks[dtype], recorded["interactive_loop"]
    rounds = [round_loss(answer, loop["gt_masks"]) for answer in play(network, recorded, fed(recorded))]
    assert_near(torch.stack([one.of_masks for one in rounds]), torch.stack(loop["loss_mask"]))
    assert_near(torch.stack([one.of_ious for one in rounds]), torch.stack(loop["loss_iou"]))
    assert_near(torch.stack([one.iou[0] for one in rounds]), torch.stack(loop["aux_iou"]))
    total = total_loss(rounds)
    assert_near(total, loop["loss"])
    if "train_grad" in recorded:
        network.zero_grad()
        total.backward()
        check_gradients(network, recorded["train_grad"])


def check_gradients(network, expected):
    own = dict(network.named_parameters())
    trained = {name for name, norm in expected["grad_norm"].items() if norm is not None}
    assert trained == set(own)
    for name, parameter in own.items():
        # Those of key biases are zero but for rounding: softmax does not see them.
        assert float(parameter.grad.norm()) == pytest.approx(expected["grad_norm"][name], rel=1e-4, abs=1e-6), name
        if name in expected["grad"]:
            torch.testing.assert_close(
                parameter.grad.double(), expected["grad"][name].double(), atol=2e-6, rtol=1e-3, msg=name
            )


def assert_near(found, expected):
    torch.testing.assert_close(found.double(), expected.double(), atol=1e-6, rtol=1e-5)
