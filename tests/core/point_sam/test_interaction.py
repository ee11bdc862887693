"""Rounds of clicks as in training: the original's clicks, masks, losses and gradients."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch.nn import functional  # noqa: E402

from seg3d_core.learning.clicks import next_click  # noqa: E402

TOLERANCES = {"reference_micro": 5e-5, "reference_tiny_giant": 5e-4}


def rounds(network, recorded, given):
    """Clicks (rows, labels) and predictions of every round, for both objects of the cloud at once.

    ``given`` is what was there before each round: what the original found, or None for what we find.
    """
    xyz, truth = recorded["coords"], recorded["interactive_loop"]["gt_masks"]
    cloud = network.encode(xyz, recorded["colors"])
    rows, labels = torch.empty(2, 0, dtype=torch.int64), torch.empty(2, 0, dtype=torch.bool)
    logits, history = None, []
    for before in given:
        logits = logits if before is None else before[None]
        masks = [None] * 2 if logits is None else logits[0] > 0
        clicks = [next_click(*(as_array(x) for x in (xyz[0], truth[0, m], masks[m]))) for m in range(2)]
        rows = torch.cat([rows, torch.tensor([[click.row] for click in clicks])], dim=1)
        labels = torch.cat([labels, torch.tensor([[click.is_foreground] for click in clicks])], dim=1)
        found = network.decode(cloud, xyz[0][rows][None], labels[None], logits, multimask=logits is None)
        best = found.iou_predictions.argmax(dim=-1)
        logits = found.mask_logits[0, torch.arange(2), best[0]][None].detach()
        history.append((found.mask_logits[0], found.iou_predictions[0], best[0], logits[0]))
    return rows, labels, history


def as_array(tensor):
    return None if tensor is None else tensor.numpy()


def fed(recorded):
    """The original's masks as prompts of the next round: our rounding does not pile up."""
    return [None, *recorded["interactive_loop"]["prompt_masks"][:-1]]


@torch.no_grad()
def test_rounds_of_clicks(recorded, networks):
    loop, tolerance = recorded["interactive_loop"], TOLERANCES[recorded["description"]]
    rows, labels, history = rounds(networks["float32"], recorded, fed(recorded))
    assert torch.equal(rows, loop["prompt_indices"])
    assert torch.equal(labels, loop["prompt_labels"])
    for i, (masks, ious, best, logits) in enumerate(history):
        torch.testing.assert_close(masks, loop["masks"][i], atol=tolerance, rtol=0)
        torch.testing.assert_close(ious, loop["iou_preds"][i], atol=1e-5, rtol=0)
        torch.testing.assert_close(logits, loop["prompt_masks"][i], atol=tolerance, rtol=0)
        assert torch.equal(best, torch.as_tensor(loop["max_iou_pred_ind"][i]).expand(2))
        torch.testing.assert_close(iou(logits > 0, loop["gt_masks"][0]), loop["iou_vs_gt"][i], atol=1e-6, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rounds_on_our_own_masks(recorded, networks, dtype):
    """Mask prompts of these random weights magnify rounding about tenfold a round; the clicks are the same."""
    loop = recorded["interactive_loop"]
    rows, labels, history = rounds(networks[dtype], recorded, [None] * loop["prompt_iters"])
    assert torch.equal(rows, loop["prompt_indices"])
    assert torch.equal(labels, loop["prompt_labels"])
    for (masks, *_), expected in zip(history, loop["masks"], strict=True):
        torch.testing.assert_close(masks.float(), expected, atol=0.02, rtol=0)


def iou(masks, truth):
    return (masks & truth).sum(-1) / (masks | truth).sum(-1)


def losses(history, truth):
    """The paper's, round by round: of masks (candidate of least loss), and of predicted overlaps."""
    of_masks, of_ious, overlaps = [], [], []
    for masks, ious, _, _ in history:
        per_candidate = focal(masks, truth) + 2 * dice(masks, truth)
        least, chosen = per_candidate.min(dim=1)
        overlap = iou(masks[torch.arange(2), chosen] > 0, truth[:, 0] > 0.5)
        of_masks.append(least.mean())
        of_ious.append((ious[torch.arange(2), chosen] - overlap).square().mean())
        overlaps.append(overlap)
    return of_masks, of_ious, overlaps


def focal(logits, truth):
    truth = truth.expand_as(logits)
    entropy = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    right = torch.where(truth > 0.5, logits.sigmoid(), 1 - logits.sigmoid())
    return (entropy * (1 - right) ** 2).mean(-1)


def dice(logits, truth):
    p = logits.sigmoid()
    return 1 - (2 * (p * truth).sum(-1) + 1e-3) / (p.square().sum(-1) + truth.sum(-1) + 1e-3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_losses_and_gradients(recorded, networks, dtype):
    network, loop = networks[dtype], recorded["interactive_loop"]
    truth = loop["gt_masks"][0, :, None].to(getattr(torch, dtype))
    _, _, history = rounds(network, recorded, fed(recorded))
    of_masks, of_ious, overlaps = losses(history, truth)
    assert_near(torch.stack(of_masks), torch.stack(loop["loss_mask"]))
    assert_near(torch.stack(of_ious), torch.stack(loop["loss_iou"]))
    assert_near(torch.stack(overlaps), torch.stack(loop["aux_iou"]))
    total = (sum(of_masks) + sum(of_ious)) / len(history)
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
