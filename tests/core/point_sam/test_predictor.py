"""Clicks in metres: what is recorded of the original, what moving the cloud changes, and what is refused."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")

from seg3d_core.errors import ConfigError, DeviceError, InputError, PromptError  # noqa: E402
from seg3d_core.point_sam.model import PointSamNetwork  # noqa: E402
from seg3d_core.point_sam.predictor import PointSam  # noqa: E402
from seg3d_core.point_sam_config import PointSamConfig, PointSamSettings, patches_for  # noqa: E402
from seg3d_core.types import Cloud, Prompt  # noqa: E402

TOLERANCES = {"reference_micro": 5e-5, "reference_tiny_giant": 5e-4}
CONFIG = PointSamConfig.build(
    {
        "patch_channels": 24,
        "encoder_dim": 32,
        "encoder_depth": 1,
        "encoder_heads": 2,
        "encoder_feedforward_dim": 48,
        "hidden_dim": 32,
        "decoder_heads": 2,
        "decoder_feedforward_dim": 40,
        "iou_hidden_dim": 16,
    }
)


def make(**values):
    torch.manual_seed(0)
    return PointSam(PointSamNetwork(CONFIG), PointSamSettings.build({"device": "cpu", "patches": 20, **values}))


@pytest.fixture(scope="module")
def cloud():
    random = np.random.default_rng(4)
    points = (random.random((150, 3)) * [4, 3, 1] + [10, -5, 0]).astype(np.float32)
    return Cloud(points, random.random((150, 3), np.float32), frame_id="map")


@pytest.fixture
def sam(cloud):
    sam = make()
    sam.set_cloud(cloud)
    return sam


def test_raw_clouds_of_the_original(recorded, networks):
    """From metres and bytes to the recorded masks; these clouds are y-up."""
    config = networks["float32"].config
    chosen = {
        "surface_weight": 0.0,
        "up": "y",
        "device": "cpu",
        "patches": config.patches,
        "patch_size": config.patch_size,
    }
    sam = PointSam(networks["float32"], PointSamSettings.build(chosen))
    points = recorded["raw_xyz"].numpy()
    sam.set_cloud(Cloud(points, recorded["raw_rgb"].numpy().astype(np.float32) / 255))
    first, second = recorded["steps"]
    clicks = points[recorded["prompt_indices"].numpy()]
    tolerance = TOLERANCES[recorded["description"]]
    found = sam.predict(Prompt(clicks[:1], first["prompt_labels"][0].numpy()))
    order = (-first["iou_preds"][0]).argsort().numpy()
    np.testing.assert_allclose(found.iou_predictions, first["iou_preds"][0].numpy()[order], atol=1e-5)
    np.testing.assert_allclose(found.mask_logits, first["masks"][0].numpy()[order], atol=tolerance)
    found = sam.predict(Prompt(clicks, second["prompt_labels"][0].numpy()), found.mask_logits[0])
    np.testing.assert_allclose(found.mask_logits, second["masks"][0].numpy(), atol=10 * tolerance)


def test_best_first_by_either_rule(cloud):
    prompt = Prompt.click(*cloud.points[3].tolist())
    by_iou, by_stability = make(), make(selection="stability")
    by_iou.set_cloud(cloud)
    by_stability.set_cloud(cloud)
    one, other = by_iou.predict(prompt), by_stability.predict(prompt)
    assert (np.diff(one.iou_predictions) <= 0).all()
    assert (np.diff(other.stability) <= 0).all()
    assert sorted(one.iou_predictions) == sorted(other.iou_predictions)
    for found in (one, other):
        assert found.mask_logits.shape == (3, 150)
        assert np.array_equal(found.masks, found.mask_logits > 0)
        strict, lax = (found.mask_logits > 1).sum(1), (found.mask_logits > -1).sum(1)
        np.testing.assert_allclose(found.stability, strict / np.maximum(lax, 1), rtol=1e-6)


def test_more_clicks_and_masks(sam, cloud):
    prompt = Prompt.click(*cloud.points[3].tolist())
    first = sam.predict(prompt)
    more = prompt.with_click(*cloud.points[90].tolist(), is_foreground=False)
    assert len(sam.predict(more).mask_logits) == 1
    assert len(sam.predict(more, multimask=True).mask_logits) == 3
    refined = sam.predict(more, first.mask_logits[0])
    assert not np.array_equal(refined.mask_logits, sam.predict(more).mask_logits)
    none = Prompt(np.empty((0, 3), np.float32), np.empty(0, bool))
    assert len(sam.predict(none, first.mask_logits[0]).mask_logits) == 1
    assert np.array_equal(sam.predict(prompt).mask_logits, first.mask_logits)


@settings(max_examples=15)
@given(
    st.floats(0.05, 50),
    st.tuples(*[st.floats(-20, 20)] * 3),
    st.integers(0, 149),
)
def test_moved_and_scaled_clouds_have_the_same_masks(cloud, scale, shift, row):
    def masks(points):
        sam = make()
        sam.set_cloud(Cloud(points, cloud.rgb))
        return sam.predict(Prompt.click(*points[row].tolist())).mask_logits

    # Coordinates that moving does not round.
    points = np.round((cloud.points - [10, -5, 0]) * 64).astype(np.float32) / 64
    scale, shift = 2.0 ** round(np.log2(scale)), np.round(shift)
    moved = ((points + shift) * scale).astype(np.float32)
    np.testing.assert_allclose(masks(moved), masks(points), atol=2e-4)


def test_up_is_a_rotation(cloud):
    """A z-up cloud is the y-up cloud (-x, z, y)."""
    upright = Cloud(cloud.points[:, [0, 2, 1]] * np.array([-1, 1, 1], np.float32), cloud.rgb)
    z, y = make(up="z"), make(up="y")
    z.set_cloud(cloud)
    y.set_cloud(upright)
    found, expected = (
        sam.predict(Prompt.click(*points[7].tolist())).mask_logits
        for sam, points in ((z, cloud.points), (y, upright.points))
    )
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_clouds_without_colour_are_grey(cloud):
    bare, grey = make(), make()
    bare.set_cloud(Cloud(cloud.points))
    grey.set_cloud(Cloud(cloud.points, np.full_like(cloud.points, 0.4)))
    click = Prompt.click(*cloud.points[0].tolist())
    np.testing.assert_allclose(bare.predict(click).mask_logits, grey.predict(click).mask_logits, atol=1e-5)


def test_every_point_can_be_clicked(sam, cloud):
    """The farthest, too, on the border of what the network knows."""
    for point in cloud.points:
        assert np.isfinite(sam.predict(Prompt.click(*point.tolist())).mask_logits).all()


@pytest.mark.parametrize("count", [3, 5, 20])
def test_tiny_clouds(count):
    sam = make(patches=0)
    points = np.random.default_rng(1).random((count, 3), np.float32)
    sam.set_cloud(Cloud(points))
    assert sam.predict(Prompt.click(*points[0].tolist())).mask_logits.shape == (3, count)


@pytest.mark.parametrize(
    ("points", "chosen", "expected"),
    [
        (10_000, {}, (512, 64)),
        (30_000, {}, (512, 64)),
        (30_001, {}, (1024, 128)),
        (100_000, {}, (1024, 128)),
        (2_000_000, {}, (2048, 256)),
        (40, {}, (40, 40)),
        (10_000, {"patches": 4096}, (4096, 64)),
        (50, {"patches": 4096, "patch_size": 10}, (50, 10)),
    ],
)
def test_patches_follow_from_the_number_of_points(points, chosen, expected):
    assert patches_for(points, PointSamSettings.build(chosen)) == expected


@pytest.mark.parametrize(
    ("points", "rgb", "message"),
    [
        (np.zeros((2, 3)), None, "the cloud has 2 points, Point-SAM needs 3 at least"),
        (np.ones((9, 3)), None, r"all 9 points lie within 0 m of \[1\.0, 1\.0, 1\.0\] m: no object to see"),
        (np.eye(3), np.full((3, 3), 255), r"colours are from 255 to 255, must be within 0\.\.1"),
        (np.eye(3), np.full((3, 3), np.nan), r"colours are from nan to nan, must be within 0\.\.1"),
    ],
)
def test_a_refused_cloud_leaves_the_one_before(sam, cloud, points, rgb, message):
    click = Prompt.click(*cloud.points[0].tolist())
    before = sam.predict(click)
    with pytest.raises(InputError, match=message):
        sam.set_cloud(Cloud(points.astype(np.float32), None if rgb is None else rgb.astype(np.float32)))
    after = sam.predict(click)
    assert after.cloud is cloud
    assert np.array_equal(after.mask_logits, before.mask_logits)


def test_prompts_that_are_refused(sam, cloud):
    click = Prompt.click(*cloud.points[0].tolist())
    with pytest.raises(InputError, match="there is no cloud to click on: call set_cloud first"):
        make().predict(click)
    with pytest.raises(
        PromptError, match=r"the click at \[1\.0, 2\.0, 3\.0\] m lies outside of the cloud: 12\.5 m from"
    ):
        sam.predict(click.with_click(1.0, 2.0, 3.0))
    with pytest.raises(InputError, match="the mask prompt has 4 points, the cloud 150"):
        sam.predict(click, np.zeros(4, np.float32))
    with pytest.raises(InputError, match="150 of 150 mask logits are not finite"):
        sam.predict(click, np.full(150, np.nan, np.float32))
    with pytest.raises(InputError, match="there is neither a click nor a mask"):
        sam.predict(Prompt(np.empty((0, 3), np.float32), np.empty(0, bool)))


def test_presets_and_devices(caplog):
    with caplog.at_level(logging.WARNING):
        sam = PointSam.from_preset("tiny", PointSamSettings.build({"device": "cpu"}))
    assert "Point-SAM tiny is untrained" in caplog.text
    assert sam.description.startswith("Point-SAM with 10.")
    assert sam.description.endswith(" M parameters on cpu")
    with pytest.raises(ConfigError, match="preset 'huge' is unknown, known are nano, tiny, small, base, large, giant"):
        PointSam.from_preset("huge")
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="device cuda was asked for"):
            make(device="cuda")
