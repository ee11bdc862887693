from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from seg3d_core.geometry.camera import Camera
from seg3d_core.geometry.rectification import rectification, rectify
from seg3d_core.geometry.rectification_kernels import sample_bilinear
from seg3d_core.types import RgbdFrame

Lens = Callable[[str], Camera]
WIDE = np.array([[320.0, 0, 319.5], [0, 320.0, 239.5], [0, 0, 1]])


def wall_seen_by(camera: Camera) -> RgbdFrame:
    """A slanted wall z = 2 + x / 4, coloured by position, rendered along the exact rays of ``camera``."""
    rays = camera.rays().astype(np.float64)
    depth_m = 2 / (1 - rays[..., 0] / 4)
    rgb = np.clip(0.5 + 0.3 * rays * depth_m[..., None], 0, 1)
    return RgbdFrame(depth_m.astype(np.float32), camera, rgb.astype(np.float32), np.eye(4), "map", 7)


@pytest.mark.parametrize("model", ["plumb_bob", "rational_polynomial", "equidistant"])
def test_rectified_wall_is_the_wall_a_pinhole_sees(lens: Lens, model: str) -> None:
    camera = lens(model)
    ours = rectify(wall_seen_by(camera))
    truth = wall_seen_by(camera.rectified())
    assert not ours.camera.is_distorted
    assert (ours.frame_id, ours.stamp_ns) == ("map", 7)
    seen = ours.depth_m > 0
    assert seen.mean() > 0.85
    # Nearest depth is off by at most half a pixel of slope, colour by the curvature within a pixel.
    assert np.abs(ours.depth_m - truth.depth_m)[seen].max() < 2e-3
    assert ours.rgb is not None and truth.rgb is not None
    assert np.quantile(np.abs(ours.rgb - truth.rgb)[seen], 0.999) < 1e-3


def test_nothing_to_do_returns_the_frame_itself(lens: Lens) -> None:
    frame = wall_seen_by(lens(""))
    assert rectify(frame) is frame


def test_what_the_lens_did_not_see_has_no_depth_and_is_black() -> None:
    pincushion = Camera(640, 480, WIDE, np.array([0.4, 0, 0, 0, 0]), "plumb_bob")
    frame = rectify(wall_seen_by(pincushion))
    assert frame.rgb is not None
    assert frame.depth_m[0, 0] == 0
    assert (frame.rgb[0, 0] == 0).all()
    assert frame.depth_m[240, 320] > 0


def test_no_pixel_is_used_from_beyond_the_fold_of_a_polynomial() -> None:
    # With k1 = -0.6 the image radius 0.497 is the largest; farther rays fold back into the picture.
    barrel = Camera(640, 480, WIDE, np.array([-0.6, 0, 0, 0, 0]), "plumb_bob")
    radius = np.linalg.norm(barrel.rectified().rays()[..., :2], axis=-1)
    nearest = rectification(barrel).nearest
    assert (nearest[radius > 0.76] == 640 * 480).all()
    assert (nearest[radius < 0.72] < 640 * 480).all()


def test_depth_without_colour(lens: Lens) -> None:
    frame = wall_seen_by(lens("plumb_bob"))
    assert rectify(RgbdFrame(frame.depth_m, frame.camera)).rgb is None


def test_maps_are_kept_for_equal_cameras(lens: Lens) -> None:
    assert rectification(lens("plumb_bob")) is rectification(lens("plumb_bob"))


def test_bilinear_kernel_against_the_formula() -> None:
    generator = np.random.default_rng(3)
    image = generator.random((6, 9, 3), dtype=np.float32)
    pixels = generator.uniform((0, 0), (8, 5), (40, 50, 2)).astype(np.float32)
    u, v = pixels[..., 0].astype(np.float64), pixels[..., 1].astype(np.float64)
    column, row = np.minimum(u.astype(int), 7), np.minimum(v.astype(int), 4)
    a, b = (u - column)[..., None], (v - row)[..., None]
    upper = (1 - a) * image[row, column] + a * image[row, column + 1]
    lower = (1 - a) * image[row + 1, column] + a * image[row + 1, column + 1]
    np.testing.assert_allclose(sample_bilinear(image, pixels), (1 - b) * upper + b * lower, atol=1e-6)


def test_bilinear_kernel_outside_and_one_pixel_images() -> None:
    image = np.ones((1, 1, 3), np.float32)
    pixels = np.array([[[0, 0], [0.4, -0.4], [0.6, 0], [np.nan, 0]]], np.float32)
    np.testing.assert_array_equal(sample_bilinear(image, pixels)[0, :, 0], [1, 1, 0, 0])
