"""Crops of large scenes: where they are, what is encoded when, and what comes back at full resolution.

The oracle sees objects by their colour: what it answers is right wherever the crop shows it the object.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")

from seg3d_core.errors import ConfigError, InputError, PromptError  # noqa: E402
from seg3d_core.interaction.candidates import MaskCandidates  # noqa: E402
from seg3d_core.point_sam.crop_kernels import rows_in_ball  # noqa: E402
from seg3d_core.point_sam.crops import OUTSIDE_LOGIT, Place, crop_radii, cut_out  # noqa: E402
from seg3d_core.point_sam.model import PointSamNetwork  # noqa: E402
from seg3d_core.point_sam.predictor import PointSam  # noqa: E402
from seg3d_core.point_sam.scene_crops import SceneCrops  # noqa: E402
from seg3d_core.point_sam_config import PointSamConfig, PointSamSettings, SceneCropConfig  # noqa: E402
from seg3d_core.types import Cloud, Prompt  # noqa: E402

NETWORK = PointSamConfig.build(
    {
        "patch_hidden_channels": (8, 8),
        "patch_channels": 8,
        "encoder_dim": 16,
        "encoder_depth": 1,
        "encoder_heads": 1,
        "encoder_feedforward_dim": 16,
        "hidden_dim": 16,
        "decoder_feedforward_dim": 16,
        "iou_hidden_dim": 8,
    }
)
SETTINGS = {"device": "cpu", "patches": 12, "patch_size": 8}


def make_sam(kind=PointSam):
    torch.manual_seed(0)
    return kind(PointSamNetwork(NETWORK), PointSamSettings.build(SETTINGS))


class Counting(PointSam):
    """Notes the clouds that it encodes and the masks that it is given."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.encoded, self.given = [], []

    def encode(self, cloud):
        self.encoded.append(cloud)
        return super().encode(cloud)

    def answer(self, scene, prompt, mask_input=None, multimask=None):
        self.given.append(mask_input)
        return super().answer(scene, prompt, mask_input, multimask)


class Oracle(Counting):
    """Answers with all that has the colour of what was clicked first."""

    def answer(self, scene, prompt, mask_input=None, multimask=None):
        self.given.append(mask_input)
        nearest = np.linalg.norm(scene.cloud.points - prompt.points[0], axis=1).argmin()
        same = np.abs(scene.cloud.rgb - scene.cloud.rgb[nearest]).max(axis=1) < 1e-3
        logits = np.where(same, np.float32(9), np.float32(-9))[None]
        return MaskCandidates(scene.cloud, logits, np.ones(1, np.float32), np.ones(1, np.float32))


def strip(length_m, count, colour, at=(0.0, 0.0, 0.0), seed=0):
    """A strip 0.3 m wide along x, centred at ``at``."""
    random = np.random.default_rng(seed)
    points = random.uniform(-0.5, 0.5, (count, 3)) * [length_m, 0.3, 0] + at
    return points.astype(np.float32), np.tile(np.float32(colour), (count, 1))


def scene(*parts):
    points, rgb = zip(*parts, strict=True)
    return Cloud(np.concatenate(points), np.concatenate(rgb), frame_id="map")


@pytest.fixture
def shelf():
    """A floor of 12 m, a strip of 3 m and one of 0.4 m above it."""
    return scene(
        strip(12, 6000, [0.1, 0.1, 0.1], (0, 0, -0.5), 1),
        strip(3, 3000, [0.9, 0.1, 0.1], (0, 0, 0), 2),
        strip(0.4, 500, [0.1, 0.9, 0.1], (4, 0, 0), 3),
    )


def crops(sam, **values):
    return SceneCrops(sam, SceneCropConfig.build({"mode": "crop", "radius_m": 1, "max_radius_m": 4, **values}))


def test_an_object_inside_of_the_crop_is_whole_at_full_resolution(shelf):
    sam = make_sam(Oracle)
    model = crops(sam, max_points=400)
    model.set_cloud(shelf)
    assert not sam.encoded
    found = model.predict(Prompt.click(4.1, 0.0, 0.0))
    assert np.array_equal(found.masks[0], shelf.rgb[:, 1] > 0.5)
    assert found.cloud is shelf
    assert len(sam.encoded) == 1
    assert len(sam.encoded[0]) <= 400
    away = np.linalg.norm(shelf.points - [4.1, 0, 0], axis=1) > 1.3
    assert (found.mask_logits[0, away] == OUTSIDE_LOGIT).all()


def test_a_crop_grows_until_it_holds_the_object(shelf):
    sam = make_sam(Oracle)
    model = crops(sam)
    model.set_cloud(shelf)
    found = model.predict(Prompt.click(0.2, 0.0, 0.0))
    assert np.array_equal(found.masks[0], shelf.rgb[:, 0] > 0.5)
    assert len(sam.encoded) == 2  # 1 m is too small for 3 m, 2 m is not
    # The floor is longer than crops grow: the largest has the last word.
    floor = model.predict(Prompt.click(0.2, 0.0, -0.5)).masks[0]
    inside = np.abs(shelf.points[:, 0] - 0.2) < 3.0
    assert np.array_equal(floor & inside, (shelf.rgb[:, 0] < 0.5) & (shelf.rgb[:, 1] < 0.5) & inside)
    assert not floor[np.abs(shelf.points[:, 0]) > 5.3].any()


@pytest.mark.parametrize(("goes_on", "crops_needed"), [(False, 1), (True, 2)])
def test_a_wall_of_the_crop_that_is_empty_is_no_cut(goes_on, crops_needed):
    """An object that ends where the crop does, and one with more of it right behind the border."""
    parts = [strip(1.96, 1800, [1, 0, 0])] + [strip(0.8, 900, [1, 0, 0], (1.4, 0, 0))] * goes_on
    sam = make_sam(Oracle)
    model = crops(sam)
    model.set_cloud(scene(*parts))
    assert model.predict(Prompt.click(0.0, 0.0, 0.0)).masks.all()
    assert len(sam.encoded) == crops_needed


def test_later_clicks_encode_nothing(shelf):
    sam = make_sam(Counting)
    model = crops(sam, max_radius_m=1.0)
    model.set_cloud(shelf)
    prompt = Prompt.click(0.2, 0.0, 0.0)
    first = model.predict(prompt)
    more = prompt.with_click(0.5, 0.05, 0.0, is_foreground=False)
    model.predict(more, first.mask_logits[0])
    model.predict(more.with_click(0.6, 0.0, 0.0), first.mask_logits[0])
    model.predict(Prompt.click(0.22, 0.05, 0.0))
    again = model.predict(prompt)
    assert len(sam.encoded) == 1
    assert np.array_equal(again.mask_logits, first.mask_logits)


def test_a_mask_up_to_the_border_stays_in_its_crop():
    """Clicked at its end, an object of 0.9 m fits into a crop of 1 m: the next click needs no larger one."""
    cloud = scene(strip(0.9, 900, [1, 0, 0], (0.45, 0, 0)), strip(6, 3000, [0, 0, 1], (0, 0, -0.3)))
    sam = make_sam(Oracle)
    model = crops(sam)
    model.set_cloud(cloud)
    prompt = Prompt.click(0.02, 0.0, 0.0)
    first = model.predict(prompt)
    assert np.array_equal(first.masks[0], cloud.rgb[:, 0] > 0.5)
    model.predict(prompt.with_click(0.3, 0.0, 0.0), first.mask_logits[0])
    assert len(sam.encoded) == 1


def test_answers_do_not_depend_on_what_was_asked_before(shelf):
    places = [(0.2, 0, 0), (0.5, 0.1, -0.5), (4.0, 0, 0), (-3.0, 0, -0.5)]

    def answers(order):
        model = crops(make_sam(), max_points=300)
        model.set_cloud(shelf)
        return {i: model.predict(Prompt.click(*map(float, places[i]))).mask_logits for i in order}

    forth, back = answers([0, 1, 2, 3]), answers([3, 1, 2, 0])
    for i in range(4):
        assert np.array_equal(forth[i], back[i])


def test_the_cache_is_bounded_and_forgets_what_was_used_least(shelf):
    sam = make_sam(Counting)
    model = crops(sam, max_radius_m=1.0, cache_mb=1)
    model.set_cloud(shelf)
    places = [Prompt.click(float(x), 0.0, -0.5) for x in range(-5, 6)] * 2
    for prompt in places:
        model.predict(prompt)
    assert len(sam.encoded) > 11
    kept = model._scene
    assert kept.num_bytes == sum(crop.num_bytes() for crop in kept.crops.values())
    assert kept.num_bytes <= 1e6
    encoded = len(sam.encoded)
    model.predict(places[-1])
    assert len(sam.encoded) == encoded


def test_clicks_far_apart_have_a_larger_crop_and_too_far_none(shelf):
    sam = make_sam(Oracle)
    model = crops(sam)
    model.set_cloud(shelf)
    prompt = Prompt.click(4.0, 0.0, 0.0)
    model.predict(prompt.with_click(2.6, 0.0, -0.5, is_foreground=False))
    assert len(sam.encoded) == 1
    assert 3.5 < np.ptp(sam.encoded[0].points[:, 0]) <= 4.0
    with pytest.raises(
        PromptError,
        match=r"the click at \[0\.0, 0\.0, -0\.5\] m is 4\.03 m from the first one, clicks on one object are within 3",
    ):
        model.predict(prompt.with_click(0.0, 0.0, -0.5, is_foreground=False))


def test_masks_go_in_and_out(shelf):
    """A mask of another crop comes in without what it cannot know; where no crop is, it stays as it was."""
    sam = make_sam(Counting)
    model = crops(sam, max_radius_m=1.0)
    model.set_cloud(shelf)
    mask = np.full(len(shelf), OUTSIDE_LOGIT, np.float32)
    green = shelf.rgb[:, 1] > 0.5
    mask[green] = np.linspace(-3, 7, green.sum(), dtype=np.float32)
    found = model.predict(Prompt.click(4.0, 0.0, 0.0), mask)
    given = sam.given[-1]
    shown = {point.tobytes(): row for row, point in enumerate(shelf.points)}
    rows = [shown[point.tobytes()] for point in sam.encoded[-1].points]
    assert np.array_equal(given, np.where(mask[rows] == OUTSIDE_LOGIT, np.float32(-10), mask[rows]))
    assert found.mask_logits.shape == (1, len(shelf))
    mask[shelf.points[:, 0] < -4] = 5.0
    kept = model.predict(Prompt.click(4.0, 0.0, 0.0), mask).mask_logits[0]
    assert (kept[shelf.points[:, 0] < -4] == 5).all()


def test_a_mask_without_clicks(shelf):
    sam = make_sam(Counting)
    model = crops(sam)
    model.set_cloud(shelf)
    none = Prompt(np.empty((0, 3), np.float32), np.empty(0, bool))
    mask = np.where(shelf.rgb[:, 0] > 0.5, np.float32(5), np.float32(-5))
    model.predict(none, mask)
    # The strip is 3 m long: a ball of 1 m around its middle is too small.
    assert 3.8 < np.ptp(sam.encoded[0].points[:, 0]) <= 4.0


def test_the_whole_cloud_is_encoded_at_once_where_it_is_small(shelf):
    small = scene(strip(1.8, 500, [1, 0, 0]))
    for cloud, values, expected in (
        (small, {}, 1),
        (small, {"whole_points": 400}, 0),
        (small, {"whole_extent_m": 1.5}, 0),
        (small, {"mode": "crop"}, 0),
        (shelf, {}, 0),
        (shelf, {"mode": "whole"}, 1),
    ):
        sam = make_sam(Counting)
        model = SceneCrops(sam, SceneCropConfig.build(values))
        model.set_cloud(cloud)
        assert len(sam.encoded) == expected
        if expected:
            prompt = Prompt.click(*cloud.points[7].tolist())
            alone = make_sam()
            alone.set_cloud(cloud)
            assert np.array_equal(model.predict(prompt).mask_logits, alone.predict(prompt).mask_logits)
            assert len(sam.encoded) == 1


@settings(max_examples=25)
@given(
    st.integers(0, 2**32 - 1),
    st.tuples(*[st.floats(-3, 3)] * 3),
    st.floats(0.2, 3.0),
    st.integers(3, 200),
)
def test_pieces(seed, point, radius_m, max_points):
    """Against the obvious way: all distances."""
    random = np.random.default_rng(seed)
    points = random.uniform(-2, 2, (300, 3)).astype(np.float32)
    place = Place.around(np.array(point), radius_m)
    assert np.linalg.norm(place.centre_m - point) <= 0.22 * radius_m
    away = np.linalg.norm(points.astype(np.float64) - place.centre_m, axis=1)
    piece = cut_out(Cloud(points), place, max_points)
    if (away <= radius_m).sum() < 3:
        assert piece is None
        return
    assert np.array_equal(piece.rows, np.flatnonzero(away <= radius_m))
    assert len(piece.shown) <= max_points
    beyond = points[(away > radius_m) & (away <= 1.05 * radius_m)]
    gaps = np.linalg.norm(points[piece.shown][:, None] - beyond[None], axis=2).min(axis=1, initial=np.inf)
    expected = (away[piece.shown] > 0.95 * radius_m) & (gaps <= 0.05 * radius_m)
    assert np.array_equal(piece.goes_on, expected)
    spread = piece.spread(random.random((2, len(piece.shown)), np.float32), np.full((2, 300), -1, np.float32))
    assert (spread[:, away > radius_m] == -1).all()
    assert (spread[:, away <= radius_m] >= 0).all()


def test_rows_in_a_ball_are_counted_exactly():
    points = np.array([[0, 0, 0], [1, 0, 0], [1.05, 0, 0], [0, 2, 0]], np.float32)
    rows, rim = rows_in_ball(points, np.zeros(3), 1.0, 0.1)
    assert rows.tolist() == [0, 1]
    assert rim.tolist() == [2]


def test_radii_double_up_to_the_limit():
    radii = [crop_radii(SceneCropConfig.build({"radius_m": 1, "max_radius_m": limit})) for limit in (1, 2, 3)]
    assert radii == [[1], [1, 2], [1, 2, 3]]
    with pytest.raises(ConfigError, match=r"max_radius_m = 0\.5 m is below radius_m = 1 m"):
        SceneCropConfig.build({"radius_m": 1, "max_radius_m": 0.5})


def test_what_is_refused_changes_nothing(shelf):
    model = crops(make_sam())
    click = Prompt.click(0.2, 0.0, 0.0)
    with pytest.raises(InputError, match="there is no cloud to click on: call set_cloud first"):
        model.predict(click)
    model.set_cloud(shelf)
    before = model.predict(click).mask_logits
    with pytest.raises(InputError, match="the cloud has 2 points, Point-SAM needs 3 at least"):
        model.set_cloud(Cloud(np.eye(3, dtype=np.float32)[:2]))
    with pytest.raises(InputError, match=r"colours are from 2 to 2, must be within 0\.\.1"):
        model.set_cloud(Cloud(shelf.points, np.full_like(shelf.points, 2)))
    with pytest.raises(
        PromptError, match=r"fewer than 3 points within 4 m \(max_radius_m\) of the click at \[0\.2, 0\.0, 9"
    ):
        model.predict(Prompt.click(0.2, 0.0, 9.0))
    with pytest.raises(InputError, match="the mask prompt has 4 points, the cloud 9500"):
        model.predict(click, np.zeros(4, np.float32))
    with pytest.raises(InputError, match="1 of 9500 mask logits are not finite"):
        model.predict(click, np.append(np.zeros(9499, np.float32), np.float32(np.nan)))
    with pytest.raises(InputError, match="there is neither a click nor a mask with points above 0"):
        model.predict(Prompt(np.empty((0, 3), np.float32), np.empty(0, bool)), np.zeros(9500, np.float32))
    assert np.array_equal(model.predict(click).mask_logits, before)
