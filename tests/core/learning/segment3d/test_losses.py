"""Losses and matching: the original's recorded numbers, plain versions, gradients, rules of summing."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
torch.set_num_threads(1)

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch.nn import functional  # noqa: E402

from seg3d_core.learning.segment3d.criterion import Criterion  # noqa: E402
from seg3d_core.learning.segment3d.losses import class_losses, mask_costs, mask_losses, softplus_sums  # noqa: E402
from seg3d_core.learning.segment3d.matching import match, smallest_masks  # noqa: E402
from seg3d_core.learning.segment3d.settings import LossConfig  # noqa: E402
from seg3d_core.segment3d.decoder import Prediction  # noqa: E402

GOLDEN = Path(__file__).resolve().parents[3] / "golden" / "segment3d_reference_loss.pt"


@pytest.fixture(scope="module")
def recorded():
    return torch.load(GOLDEN, weights_only=True)


def prediction(class_logits, mask_logits):
    """Of recorded (voxels, queries) logits: every voxel is a channel of its own."""
    channels = max(len(masks) for masks in mask_logits)
    embeddings = torch.stack([functional.pad(masks.T, (0, channels - len(masks))) for masks in mask_logits])
    return Prediction(class_logits, embeddings, [torch.eye(channels)[: len(masks)] for masks in mask_logits])


def predictions(recorded):
    outputs = [*recorded["aux_outputs"], recorded]
    return [prediction(output["pred_logits"], output["pred_masks"]) for output in outputs]


def config(**changes):
    return LossConfig.build(changes)


@pytest.mark.parametrize(("stage", "class_weight"), [("stage1", 2.0), ("stage2", 0.0)])
def test_the_originals_losses(recorded, stage, class_weight):
    expected = recorded["results"][stage]
    criterion = Criterion(config(class_weight=class_weight, scenes="sum"))
    losses = criterion(predictions(recorded), recorded["target_masks"])
    assert float(losses.total) == pytest.approx(expected["weighted_total"], abs=1e-4)
    for name, values in (("ce", losses.of_classes), ("mask", losses.of_masks), ("dice", losses.of_dice)):
        for suffix, value in zip(("_0", "_1", ""), values.tolist(), strict=True):
            assert value == pytest.approx(expected["losses_unweighted"][f"loss_{name}{suffix}"], abs=1e-4)
    for found, (queries, masks) in zip(losses.matches[-1], expected["final_match"], strict=True):
        assert found.queries.tolist() == list(queries)
        assert found.masks.tolist() == list(masks)


def random_case(seed=0, queries=7, masks=3, voxels=130, channels=5):
    random = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(queries, channels, generator=random, dtype=torch.float64) * 3
    features = torch.randn(voxels, channels, generator=random, dtype=torch.float64)
    truth = (torch.rand(masks, voxels, generator=random) < 0.3).double()
    return embeddings, features, truth


def plain_losses(logits, wanted):
    entropy = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none").mean(-1)
    p = logits.sigmoid()
    return entropy, 1 - (2 * (p * wanted).sum(-1) + 1) / (p.sum(-1) + wanted.sum(-1) + 1)


@pytest.mark.parametrize("at_a_time", [1, 300, 2**19])
def test_losses_and_gradients_are_those_of_the_plain_version(monkeypatch, at_a_time):
    monkeypatch.setattr("seg3d_core.learning.segment3d.losses._ELEMENTS_AT_A_TIME", at_a_time)
    embeddings, features, truth = random_case()
    rows = torch.tensor([2, 0, 0, 1, 2, 1, 0])
    mine = [values.clone().requires_grad_() for values in (embeddings, features)]
    losses = mask_losses(*mine, truth, rows, 0.7, 1.3)
    (3 * losses.total).backward()
    plain = [values.clone().requires_grad_() for values in (embeddings, features)]
    entropy, dice = plain_losses(plain[0] @ plain[1].T, truth[rows])
    (3 * (0.7 * entropy + 1.3 * dice).sum()).backward()
    torch.testing.assert_close(losses.entropy, entropy.detach())
    torch.testing.assert_close(losses.dice, dice.detach())
    for one, other in zip(mine, plain, strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_gradients_by_differences():
    embeddings, features, truth = random_case(queries=3, voxels=20)
    rows = torch.tensor([2, 0, 0])

    def total(*values):
        return mask_losses(*values, truth, rows, 0.7, 1.3).total

    assert torch.autograd.gradcheck(total, (embeddings.requires_grad_(), features.requires_grad_()))


def test_queries_learn_the_smallest_masks_that_they_stand_on():
    """Two masks, one inside the other; the third query stands on neither."""
    truth = torch.tensor([[1, 1, 1, 1, 0, 0], [0, 1, 1, 0, 0, 0]], dtype=torch.bool)
    places = torch.tensor([3, 2, 5])
    found = smallest_masks(truth.double(), places)
    assert (found.queries.tolist(), found.masks.tolist()) == ([0, 1], [0, 1])
    random = torch.Generator().manual_seed(1)
    features = torch.randn(6, 4, generator=random, dtype=torch.float64)
    made = [
        Prediction(
            torch.zeros(1, 3, 2, dtype=torch.float64),
            torch.randn(1, 3, 4, generator=random, dtype=torch.float64),
            [features],
        )
        for _ in range(2)
    ]
    with_places, without = (
        Criterion(config(place_weight=weight))(made, [truth], [places]).total for weight in (0.5, 0.0)
    )
    entropy, dice = plain_losses(
        torch.cat([p.mask_embeddings[0, :2] @ features.T for p in made]), truth.double().repeat(2, 1)
    )
    torch.testing.assert_close(with_places - without, 0.5 * (5 * entropy + 2 * dice).sum() / 2)
    nothing = Criterion(config(place_weight=1.0))(made, [truth[:0]], [places]).total
    assert float(nothing) == float(Criterion(config())(made, [truth[:0]]).total)


def test_costs_are_the_losses_of_every_pair():
    embeddings, features, truth = random_case()
    entropy, dice = mask_costs(embeddings @ features.T, truth)
    logits, wanted = (embeddings @ features.T)[:, None].expand(7, 3, -1), truth[None].expand(7, 3, -1)
    for costs, losses in zip((entropy, dice), plain_losses(logits, wanted), strict=True):
        torch.testing.assert_close(costs, losses)


@given(st.integers(0, 200), st.floats(0.01, 300))
def test_softplus(voxels, size):
    logits = torch.linspace(-size, size, 3 * voxels).reshape(3, voxels)
    expected = functional.softplus(logits.double()).sum(1).float()
    torch.testing.assert_close(softplus_sums(logits, logits.sigmoid()), expected, rtol=1e-5, atol=1e-4)


def test_class_losses_by_hand():
    logits = torch.tensor([[[[0.0, 0.0], [2.0, 0.0]]]])
    sums, weights = class_losses(logits, torch.tensor([[[1, 0]]]), torch.tensor([1.0, 0.1]))
    assert sums.tolist() == pytest.approx([0.1 * 0.693147 + 0.126928], abs=1e-5)
    assert weights.tolist() == pytest.approx([1.1])


def test_matching_by_hand():
    found = match(torch.tensor([[5.0, 1.0], [0.0, 0.5], [9.0, 9.0]]))
    assert (found.queries.tolist(), found.masks.tolist()) == ([0, 1], [1, 0])
    assert match(torch.zeros(3, 0)).queries.tolist() == []
    assert len(match(torch.tensor([[float("nan"), 1.0]])).queries) == 1


def twice(case):
    """The same scene in a batch of two."""
    return Prediction(case.class_logits.repeat(2, 1, 1), case.mask_embeddings.repeat(2, 1, 1), case.mask_features * 2)


def single(seed=0):
    embeddings, features, truth = (values.float() for values in random_case(seed))
    return Prediction(
        torch.randn(1, 7, 2, generator=torch.Generator().manual_seed(seed)), embeddings[None], [features]
    ), truth > 0


def test_batch_size_changes_nothing_but_by_the_released_rule():
    case, truth = single()
    ours, released = Criterion(config()), Criterion(config(scenes="sum"))
    torch.testing.assert_close(ours([twice(case)], [truth] * 2).total, ours([case], [truth]).total)
    one, two = released([case], [truth]), released([twice(case)], [truth] * 2)
    torch.testing.assert_close(two.of_masks, 2 * one.of_masks)
    torch.testing.assert_close(two.of_classes, one.of_classes)


def test_a_scene_without_masks_is_background():
    case, truth = single()
    losses = Criterion(config())([case], [truth[:0]])
    background = torch.full((7,), 1)
    expected = functional.cross_entropy(case.class_logits[0], background)
    assert float(losses.of_classes[0]) == pytest.approx(float(expected), rel=1e-5)
    assert float(losses.of_masks) == 0 == float(losses.of_dice)
    beside = Criterion(config())([twice(case)], [truth, truth[:0]])
    alone = Criterion(config())([case], [truth])
    torch.testing.assert_close(beside.of_masks, alone.of_masks / 2)


def test_more_masks_than_queries():
    case, truth = single()
    losses = Criterion(config())([case], [truth.repeat(4, 1)])
    assert losses.matches[0][0].queries.tolist() == list(range(7))


def test_matching_on_some_voxels_only():
    case, truth = single()
    torch.manual_seed(0)
    losses = Criterion(config(matching_voxels=60))([case], [truth])
    assert len(losses.matches[0][0].queries) == 3


def test_without_class_loss_neither_loss_nor_matching_knows_classes():
    case, truth = single()
    without = Criterion(config(class_weight=0))
    other = Prediction(
        case.class_logits + 3 * torch.randn_like(case.class_logits), case.mask_embeddings, case.mask_features
    )
    one, two = without([case], [truth]), without([other], [truth])
    assert torch.equal(one.matches[0][0].queries, two.matches[0][0].queries)
    assert float(one.total) == float(two.total)
