"""Each change of a cloud against a plain version of it, or by what it must leave as it is."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import RegularGridInterpolator

from seg3d_core.errors import ConfigError, InputError
from seg3d_core.learning.segment3d import augmentation
from seg3d_core.learning.segment3d.augmentation import (
    blurred,
    centred,
    colour_shifted,
    colourless,
    distorted,
    flipped,
    greyed,
    hue_rotation,
    hue_turned,
    jittered,
    kept_rows,
    move,
    outside_holes,
    recolour,
    relit,
    scaled,
    shifted,
    speckled,
    turned,
    zoomed,
)
from seg3d_core.learning.segment3d.data_settings import AugmentationConfig
from seg3d_core.segment3d.voxel_input import COLOUR_STATISTICS

PAPER = AugmentationConfig.build({})
OFF = AugmentationConfig.build(
    {
        "shift": False,
        **dict.fromkeys(
            ("flip", "distort", "scale", "turn_deg", "lean_deg", "brightness", "contrast", "colour_shift"), 0.0
        ),
    }
)
seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=20)


def a_cloud(seed, count=60):
    rng = np.random.default_rng(seed)
    points = (rng.uniform(0.1, 4, 3) * rng.uniform(-1, 1, (count, 3)) + rng.uniform(-50, 50, 3)).astype(np.float32)
    return rng, points, rng.random((count, 3), np.float32)


def distances(points):
    points = points.astype(np.float64)
    return np.linalg.norm(points[:, None] - points[None], axis=2)


def test_nothing_is_changed_where_all_is_off():
    rng, points, rgb = a_cloud(0)
    assert move(rng, points, OFF) is points and recolour(rng, rgb, OFF) is rgb
    np.testing.assert_array_equal(kept_rows(rng, points, OFF), np.arange(len(points)))


@few
@given(seeds)
def test_all_of_it_is_a_function_of_the_generator(seed):
    config = AugmentationConfig.build(
        {
            "zoom": (0.5, 2), "jitter_m": 0.01, "lose": 0.3, "holes": 3, "hue_deg": 90, "colour_noise": 0.1,
            "grey": 0.2, "no_colour": 0.1,
        }
    )  # fmt: skip
    _, points, rgb = a_cloud(seed)
    before = points.copy(), rgb.copy()
    results = []
    for _ in range(2):
        rng = np.random.default_rng(seed)
        rows = kept_rows(rng, points, config)
        results.append((rows, move(rng, points, config), recolour(rng, rgb, config)))
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)
    _, moved, coloured = results[0]
    assert moved.dtype == coloured.dtype == np.float32 and moved.shape == coloured.shape == points.shape
    assert coloured.min() >= 0 and coloured.max() <= 1 and np.isfinite(moved).all()
    np.testing.assert_array_equal(points, before[0])
    np.testing.assert_array_equal(rgb, before[1])


@few
@given(seeds)
def test_clouds_are_moved_by_half_of_a_place_within_them(seed):
    rng, points, _ = a_cloud(seed)
    middle = centred(points)
    np.testing.assert_allclose(middle.mean(axis=0), 0, atol=1e-4)
    offset = shifted(rng, middle) - middle
    np.testing.assert_allclose(offset, np.broadcast_to(offset[0], offset.shape), atol=1e-5)
    assert (2 * offset[0] >= middle.min(axis=0) - 1e-5).all() and (2 * offset[0] <= middle.max(axis=0) + 1e-5).all()


def test_flip_by_hand():
    points = np.array([[1, 2, 3], [4, 0, 9]], np.float32)
    assert flipped(points, 0).tolist() == [[3, 2, 3], [0, 0, 9]]
    assert flipped(points, 1).tolist() == [[1, 0, 3], [4, 2, 9]]


@few
@given(seeds, st.sampled_from([0, 1]))
def test_flipping_twice_only_moves(seed, axis):
    _, points, _ = a_cloud(seed)
    twice = flipped(flipped(points, axis), axis)
    np.testing.assert_allclose(points - twice, np.broadcast_to((points - twice)[0], points.shape), atol=1e-4)
    np.testing.assert_allclose(distances(flipped(points, axis)), distances(points), atol=1e-4)


def plain_blur(noise):
    """Means of three, borders padded with 0."""
    for _ in range(2):
        for axis in range(3):
            pad = [(1, 1) if a == axis else (0, 0) for a in range(4)]
            padded = np.moveaxis(np.pad(noise, pad), axis, 0)
            noise = np.moveaxis((padded[:-2] + padded[1:-1] + padded[2:]) / 3, 0, axis)
    return noise


def plain_distortion(rng, points, grain_m, strength_m):
    lower = points.min(axis=0).astype(np.float64)
    nodes = ((points.max(axis=0) - points.min(axis=0)).astype(np.float64) // grain_m).astype(int) + 3
    noise = plain_blur(rng.standard_normal((*nodes, 3), np.float32).astype(np.float64))
    axes = [low - grain_m + grain_m * np.arange(count) for low, count in zip(lower, nodes, strict=True)]
    return points + strength_m * RegularGridInterpolator(axes, noise)(points.astype(np.float64))


@pytest.mark.parametrize(("grain_m", "strength_m"), [(0.2, 0.4), (0.8, 1.6), (7.0, 0.3)])
def test_distortion_equals_the_plain_one(grain_m, strength_m):
    _, points, _ = a_cloud(5, 3000)
    fast = distorted(np.random.default_rng(1), points, grain_m, strength_m)
    plain = plain_distortion(np.random.default_rng(1), points, grain_m, strength_m)
    np.testing.assert_allclose(fast, plain, atol=2e-4 * strength_m + 1e-5)
    assert np.abs(fast - points).max() > 0.01 * strength_m


def test_blur_equals_the_plain_one():
    noise = np.random.default_rng(0).normal(size=(4, 5, 3, 3)).astype(np.float32)
    np.testing.assert_allclose(blurred(noise), plain_blur(noise), atol=1e-6)


@few
@given(seeds, st.floats(0.05, 3))
def test_distortion_of_clouds_whose_borders_lie_on_nodes(seed, grain_m):
    """Rounding never takes a point off the grid."""
    rng = np.random.default_rng(seed)
    points = (np.float32(grain_m) * rng.integers(-8, 9, (60, 3))).astype(np.float32) + np.float32(rng.uniform(-90, 90))
    moved = distorted(rng, points, grain_m, 0.1)
    assert np.isfinite(moved).all() and np.abs(moved - points).max() < 1


def test_a_flat_cloud_and_a_lone_point_are_distorted():
    rng = np.random.default_rng(0)
    assert distorted(rng, np.zeros((1, 3), np.float32), 0.2, 0.4).shape == (1, 3)
    flat = np.column_stack([rng.uniform(0, 3, (50, 2)), np.zeros(50)]).astype(np.float32)
    assert np.isfinite(distorted(rng, flat, 0.2, 0.4)).all()


def test_a_cloud_beyond_all_rooms_is_refused():
    points = np.array([[0, 0, 0], [300, 200, 100]], np.float32)
    with pytest.raises(InputError, match=r"300\.0 x 200\.0 x 100\.0 m has \d+ nodes of 0\.2 m, .* at most 20000000"):
        distorted(np.random.default_rng(0), points, 0.2, 0.4)


@few
@given(seeds)
def test_scale_and_zoom(seed):
    rng, points, _ = a_cloud(seed)
    ratio = scaled(rng, points, 0.1) / points
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[0], ratio.shape), rtol=1e-4)
    assert (np.abs(ratio[0] - 1) <= 0.1 + 1e-5).all()
    zoom = zoomed(rng, points, 0.5, 3.0) / points
    np.testing.assert_allclose(zoom, zoom[0, 0], rtol=1e-5)
    assert 0.5 - 1e-4 <= zoom[0, 0] <= 3 + 1e-4


@few
@given(seeds)
def test_turns_keep_the_mean_and_all_distances(seed):
    rng, points, _ = a_cloud(seed)
    moved = turned(rng, points, 180.0, 7.5)
    np.testing.assert_allclose(moved.mean(axis=0, dtype=np.float64), points.mean(axis=0, dtype=np.float64), atol=1e-3)
    np.testing.assert_allclose(distances(moved), distances(points), atol=1e-3)


def test_turns_are_about_z_then_y_then_x():
    points = np.array([[1, 0, 0], [-1, 0, 0], [0, 2, 0], [0, -2, 0], [0, 0, 3], [0, 0, -3]], np.float32)
    angles = np.random.default_rng(4).uniform([-90, -40, -40], [90, 40, 40])
    (cz, cy, cx), (sz, sy, sx) = np.cos(np.radians(angles)), np.sin(np.radians(angles))
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    expected = points @ (about_x @ about_y @ about_z).T
    np.testing.assert_allclose(turned(np.random.default_rng(4), points, 90.0, 40.0), expected, atol=1e-6)


@few
@given(seeds)
def test_leaning_alone_keeps_up_up(seed):
    rng, points, _ = a_cloud(seed)
    upper = points + np.array([0, 0, 1], np.float32)
    both = turned(rng, np.concatenate([points, upper]), 0.0, 7.5)
    up = (both[len(points) :] - both[: len(points)]).mean(axis=0)
    assert up[2] > np.cos(np.radians(7.5)) ** 2 - 1e-3


def test_jitter_is_small():
    rng, points, _ = a_cloud(2, 5000)
    deviation = np.std(jittered(rng, points, 0.01) - points)
    assert 0 < deviation < 0.0101


@few
@given(seeds)
def test_holes_are_balls(seed):
    rng, points, _ = a_cloud(seed)
    rows = outside_holes(np.random.default_rng(seed), points, 4, (0.1, 1.0))
    rng = np.random.default_rng(seed)
    centres = points[rng.integers(len(points), size=int(rng.integers(5)))]
    radii = rng.uniform(0.1, 1.0, len(centres))
    near = np.linalg.norm(points[:, None].astype(np.float64) - centres, axis=2)
    clear = (near >= radii + 1e-5).all(axis=1)
    lost = (near < radii - 1e-5).any(axis=1)
    kept = np.isin(np.arange(len(points)), rows)
    assert kept[clear].all() and not kept[lost].any()


def test_lost_points_are_a_share_of_all():
    config = OFF.model_copy(update={"lose": 0.5})
    shares = []
    for seed in range(30):
        rng, points, _ = a_cloud(seed, 2000)
        rows = kept_rows(rng, points, config)
        assert (np.diff(rows) > 0).all()
        shares.append(1 - len(rows) / len(points))
    assert 0 <= min(shares) < 0.1 and 0.4 < max(shares) < 0.55
    assert len(kept_rows(np.random.default_rng(0), np.zeros((0, 3), np.float32), PAPER)) == 0


@few
@given(seeds)
def test_light_and_shift_are_one_map_for_all_points(seed):
    """Without clipping: the same factor and sum for all, the same sums for each channel."""
    rng, _, rgb = a_cloud(seed)
    rgb = (0.4 + 0.2 * rgb).astype(np.float32)
    lit = relit(rng, rgb, 0.1, 0.2)
    factor, plus = np.polyfit(rgb.reshape(-1), lit.reshape(-1), 1)
    np.testing.assert_allclose(lit, factor * rgb + plus, atol=1e-5)
    assert abs(factor - 1) <= 0.2 + 1e-3 and abs(plus) <= 0.1 + 1e-3
    offset = colour_shifted(rng, rgb, 20 / 255) - rgb
    np.testing.assert_allclose(offset, np.broadcast_to(offset[0], offset.shape), atol=1e-6)
    assert np.abs(offset[0]).max() <= 20 / 255 + 1e-6


def test_hues_by_hand():
    np.testing.assert_allclose(hue_rotation(120.0) @ [1, 0, 0], [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(hue_rotation(77.0) @ [0.3, 0.3, 0.3], [0.3] * 3, atol=1e-12)


@few
@given(seeds)
def test_hues_turn_and_brightness_stays(seed):
    rng = np.random.default_rng(seed)
    rgb = (0.5 + 0.1 * rng.uniform(-1, 1, (50, 3))).astype(np.float32)
    changed = hue_turned(rng, rgb, 60.0)
    np.testing.assert_allclose(changed.sum(axis=1), rgb.sum(axis=1), atol=1e-5)
    np.testing.assert_allclose(changed.std(axis=1), rgb.std(axis=1), atol=1e-5)
    turns = [
        (colorsys.rgb_to_hsv(*after)[0] - colorsys.rgb_to_hsv(*before)[0] + 0.5) % 1 - 0.5
        for before, after in zip(rgb.tolist(), changed.tolist(), strict=True)
        if np.ptp(before) > 0.05
    ]
    # Hexagonal hues differ from the angle by a few degrees.
    assert np.abs(turns).max(initial=0) <= (60 + 6) / 360


def test_grey_and_no_colour():
    rgb = np.array([[1, 0, 0], [0.2, 0.2, 0.2]], np.float32)
    np.testing.assert_allclose(greyed(rgb), [[0.299] * 3, [0.2] * 3], rtol=1e-6)
    np.testing.assert_array_equal(colourless(rgb), np.array([COLOUR_STATISTICS["imagenet"][0]] * 2, np.float32))


def test_noise_on_colours_stays_in_range():
    rng, _, rgb = a_cloud(1)
    noisy = speckled(rng, rgb, 0.3)
    assert noisy.min() >= 0 and noisy.max() <= 1 and (noisy != rgb).any()


@pytest.mark.parametrize(
    ("name", "function", "stand_in"),
    [
        ("flip", "flipped", lambda points, axis: points),
        ("distort", "distorted", lambda rng, points, grain_m, strength_m: points),
        ("grey", "greyed", lambda rgb: rgb),
        ("no_colour", "colourless", lambda rgb: rgb),
    ],
)
def test_probabilities(monkeypatch, name, function, stand_in):
    """Flips on each of two axes."""
    happened = []
    monkeypatch.setattr(augmentation, function, lambda *values: happened.append(1) or stand_in(*values))
    config = OFF.model_copy(update={name: 0.3, "distortions": ((0.2, 0.4),)})
    rng, points, rgb = a_cloud(0, 4)
    for _ in range(500):
        move(rng, points, config)
        recolour(rng, rgb, config)
    assert abs(len(happened) / (1000 if name == "flip" else 500) - 0.3) < 0.07


def test_ranges_are_ordered():
    with pytest.raises(ConfigError, match=r"zoom = 3\.0, 2\.0: the first must not be greater"):
        AugmentationConfig.build({"zoom": (3, 2)})
