"""The whole network against the recorded original, and against itself."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from seg3d_core.errors import InputError  # noqa: E402
from seg3d_core.point_sam.model import EncodedCloud, PointSamNetwork  # noqa: E402
from seg3d_core.point_sam_config import PointSamConfig  # noqa: E402

SMALL = PointSamConfig.build(
    {
        "patches": 12,
        "patch_size": 6,
        "patch_channels": 24,
        "encoder_dim": 32,
        "encoder_depth": 2,
        "encoder_heads": 2,
        "encoder_feedforward_dim": 48,
        "hidden_dim": 32,
        "decoder_heads": 2,
        "decoder_feedforward_dim": 40,
        "iou_hidden_dim": 16,
    }
)


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return PointSamNetwork(SMALL).double().eval()


def clouds(batch=2, points=90):
    generator = torch.Generator().manual_seed(3)
    xyz = torch.rand(batch, points, 3, generator=generator) - 0.5
    rgb = torch.rand(batch, points, 3, generator=generator, dtype=torch.float64) * 2 - 1
    return xyz, rgb


def clicks(batch=2, sets=3, count=2):
    generator = torch.Generator().manual_seed(5)
    points = torch.rand(batch, sets, count, 3, generator=generator) - 0.5
    return points, torch.rand(batch, sets, count, generator=generator) > 0.4


def masks(batch=2, sets=3, points=90):
    return torch.randn(batch, sets, points, generator=torch.Generator().manual_seed(7), dtype=torch.float64) * 4


@torch.no_grad()
def run_step(network, encoded, step, mask_logits):
    points, labels = step["prompt_coords"][:, None], step["prompt_labels"][:, None]
    return network.decode(encoded, points, labels, mask_logits, step["multimask_output"])


TOLERANCES = {"micro": 5e-5, "tiny_giant": 5e-4}


@torch.no_grad()
def test_recorded_clicks(recorded, networks, request):
    """Both clicks in the original's own precision, with its own mask as the second one's prompt."""
    network, tolerance = networks["float32"], TOLERANCES[recorded["description"].removeprefix("reference_")]
    encoded = network.encode(recorded["coords"], recorded["colors"])
    torch.testing.assert_close(encoded.embeddings, recorded["encoder"]["pc_embeddings"], atol=1e-4, rtol=0)
    for step in recorded["steps"]:
        mask = step["prompt_mask"]
        found = run_step(network, encoded, step, None if mask is None else mask[:, None])
        torch.testing.assert_close(found.mask_logits[:, 0], step["masks"], atol=tolerance, rtol=0)
        torch.testing.assert_close(found.iou_predictions[:, 0], step["iou_preds"], atol=1e-5, rtol=0)
        assert torch.equal(found.iou_predictions[:, 0].argmax(dim=-1), step["best"])


@torch.no_grad()
def test_double_precision_is_the_originals(recorded, networks):
    """The recording is in single precision, but says how far the original in double precision is from it.

    Those distances agree to the rounding of the numbers themselves, ten thousand times finer than single precision.
    """
    network, expected = networks["float64"], recorded["tolerance_probe"]["float64_model_exact_dist_vs_fp32"]
    encoded = network.encode(recorded["coords"], recorded["colors"])
    found = {"pc_embeddings": distance(encoded.embeddings, recorded["encoder"]["pc_embeddings"])}
    first, second = recorded["steps"]
    prediction = run_step(network, encoded, first, None)
    best = prediction.mask_logits[:, :, int(first["best"])]
    for i, (step, mask) in enumerate(((first, None), (second, best))):
        prediction = run_step(network, encoded, step, mask)
        found[f"step{i}.masks"] = distance(prediction.mask_logits[:, 0], step["masks"])
        found[f"step{i}.ious"] = distance(prediction.iou_predictions[:, 0], step["iou_preds"])
    for name, value in found.items():
        assert value == pytest.approx(expected[name], abs=1e-10, rel=0), name


def distance(found, recorded):
    return float((found - recorded.double()).abs().max())


@torch.no_grad()
@pytest.mark.parametrize("mask", [None, "mask"])
def test_one_call_is_encoding_and_decoding(small, mask):
    given = (*clicks(), masks() if mask else None)
    whole = small(*clouds(), *given)
    parts = small.decode(small.encode(*clouds()), *given)
    assert torch.equal(whole.mask_logits, parts.mask_logits)
    assert torch.equal(whole.iou_predictions, parts.iou_predictions)


@torch.no_grad()
@pytest.mark.parametrize("multimask", [False, True])
@pytest.mark.parametrize("mask", [None, "mask"])
def test_a_batch_is_its_clouds_and_its_prompts(small, mask, multimask):
    (xyz, rgb), (points, labels) = clouds(), clicks()
    logits = masks() if mask else None
    together = small(xyz, rgb, points, labels, logits, multimask)
    assert together.mask_logits.shape == (2, 3, 3 if multimask else 1, 90)
    for b in range(2):
        encoded = small.encode(xyz[b : b + 1], rgb[b : b + 1])
        for m in range(3):
            one = (slice(b, b + 1), slice(m, m + 1))
            alone = small.decode(encoded, points[one], labels[one], None if logits is None else logits[one], multimask)
            torch.testing.assert_close(alone.mask_logits, together.mask_logits[one], atol=1e-10, rtol=0)
            torch.testing.assert_close(alone.iou_predictions, together.iou_predictions[one], atol=1e-10, rtol=0)


@torch.no_grad()
def test_a_click_does_no_work_of_the_encoder(small, monkeypatch):
    encoded = small.encode(*clouds())
    before = copied(encoded)

    def encoder(*_):
        raise AssertionError("the cloud was encoded again")

    monkeypatch.setattr(small.pc_encoder, "forward", encoder)
    monkeypatch.setattr(small.mask_encoder, "encode_offsets", encoder)
    monkeypatch.setattr("seg3d_core.point_sam.model.group_points", encoder)
    monkeypatch.setattr("seg3d_core.point_sam.model.nearest", encoder)
    first = small.decode(encoded, *clicks())
    small.decode(encoded, *clicks(count=4), masks())
    again = small.decode(encoded, *clicks())
    assert torch.equal(first.mask_logits, again.mask_logits)
    assert all(torch.equal(one, other) for one, other in zip(before, copied(encoded), strict=True))


def copied(value):
    if isinstance(value, torch.Tensor):
        return [value.clone()]
    assert is_dataclass(value)
    return [tensor for field in fields(value) for tensor in copied(getattr(value, field.name))]


@torch.no_grad()
def test_order_of_points_and_clicks(small):
    """Only the first point, on which the first patch stands, has a meaning."""
    (xyz, rgb), (points, labels) = clouds(), clicks(count=3)
    order = torch.cat([torch.zeros(1, dtype=torch.int64), torch.randperm(89) + 1])
    given = small(xyz, rgb, points, labels, masks())
    moved = small(xyz[:, order], rgb[:, order], points.flip(2), labels.flip(2), masks()[..., order])
    torch.testing.assert_close(moved.mask_logits, given.mask_logits[..., order], atol=1e-10, rtol=0)


@torch.no_grad()
def test_candidates_are_asked_for_or_follow_from_the_prompt(small):
    encoded = small.encode(*clouds())
    counts = [
        small.decode(encoded, *clicks(count=1)),
        small.decode(encoded, *clicks(count=2)),
        small.decode(encoded, *clicks(count=1), masks()),
        small.decode(encoded, *clicks(count=0), masks()),
        small.decode(encoded, *clicks(count=2), masks(), True),
    ]
    assert [found.iou_predictions.shape[2] for found in counts] == [3, 1, 1, 1, 3]


@torch.no_grad()
@pytest.mark.parametrize(("patches", "size"), [(3, 1), (90, 90), (40, 2)])
def test_any_number_of_patches(small, patches, size):
    encoded = small.encode(*clouds(), patches=patches, patch_size=size)
    assert isinstance(encoded, EncodedCloud)
    assert encoded.embeddings.shape == (2, patches, 32)
    assert encoded.mask_offsets.shape[1:3] == (patches, size)
    assert small.decode(encoded, *clicks(), masks()).mask_logits.isfinite().all()


@torch.no_grad()
def test_copies_of_one_point(small):
    """Distances of zero everywhere: patches repeat, weights stay finite."""
    xyz, rgb = clouds()
    found = small(torch.zeros_like(xyz), rgb, *clicks(), masks())
    assert found.mask_logits.isfinite().all()


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_keeps_places_precise(dtype):
    whole = PointSamNetwork(SMALL).eval()
    network = whole.converted(torch.device("cpu"), dtype)
    assert whole.converted(torch.device("cpu"), torch.float32) is whole
    assert {parameter.dtype for parameter in network.parameters()} == {dtype}
    encoded, expected = network.encode(*clouds()), whole.encode(*clouds())
    assert encoded.groups.offsets.dtype == encoded.table.weights.dtype == torch.float32
    assert torch.equal(encoded.places, expected.places.to(dtype)), "rounded once, at the end"
    assert encoded.embeddings.dtype == dtype
    found = network.decode(encoded, *clicks(), masks())
    torch.testing.assert_close(
        found.mask_logits.float(), whole.decode(expected, *clicks(), masks()).mask_logits, atol=0.05, rtol=0.1
    )


def test_gradients_reach_every_parameter_and_no_mask_prompt(small):
    network = PointSamNetwork(SMALL)
    logits = masks().float().requires_grad_()
    encoded = network.encode(*clouds())
    with_mask = network.decode(encoded, *clicks(), logits)
    without = network.decode(encoded, *clicks(), None, multimask=True)
    total = sum(found.mask_logits.square().mean() + found.iou_predictions.sum() for found in (with_mask, without))
    total.backward()
    assert logits.grad is None
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []


def with_value(tensor, value):
    changed = tensor.clone()
    changed[0, -1, 0] = value
    return changed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"xyz": 1.5}, r"points have a coordinate of magnitude 1\.5, a normalised cloud is within -1\.\.1"),
        ({"xyz": float("nan")}, r"1 of 180 points are NaN or infinite, the first is row \[0, 89\]"),
        ({"rgb": 255.0}, r"colours have a value of magnitude 255, the network takes -1\.\.1"),
        ({"rgb": float("nan")}, r"colours have a value of magnitude nan"),
        ({"patches": 2}, r"2 patches were asked of 90 points, from 3 to 90 are possible"),
        ({"patches": 91}, r"91 patches were asked of 90 points, from 3 to 90 are possible"),
        ({"patch_size": 0}, r"patches of 0 points were asked of 90 points, 1 to 90 are possible"),
        ({"patch_size": 91}, r"patches of 91 points were asked of 90 points, 1 to 90 are possible"),
    ],
)
def test_clouds_that_are_refused(small, arguments, message):
    xyz, rgb = clouds()
    values = {"xyz": xyz, "rgb": rgb}
    for name, value in arguments.items():
        values[name] = with_value(values[name], value) if name in values else value
    with pytest.raises(InputError, match=message):
        small.encode(**values)


@pytest.mark.parametrize(
    ("points", "labels", "logits", "message"),
    [
        (clicks()[0] * 9, clicks()[1], None, r"clicks have a coordinate of magnitude 4\.\d+, a normalised"),
        (clicks()[0] * float("inf"), clicks()[1], None, r"12 of 12 clicks are NaN or infinite"),
        (*clicks(count=0), None, r"there is neither a click nor a mask"),
        (*clicks(batch=1), None, r"clicks have shape \(1, 3, 2, 3\) and labels \(1, 3, 2\), must be \(2, M, P, 3\)"),
        (*clicks(), masks(points=80), r"mask logits have shape \(2, 3, 80\), must be \(2, 3, 90\) for 90 points"),
        (*clicks(), masks() / 0.0, r"540 of 540 mask logits are not finite"),
    ],
)
def test_prompts_that_are_refused(small, points, labels, logits, message):
    encoded = small.encode(*clouds())
    with pytest.raises(InputError, match=message):
        small.decode(encoded, points, labels, logits)
