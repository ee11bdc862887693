from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from seg3d_core.errors import InputError
from seg3d_core.geometry.camera import Camera

LENSES = ["", "plumb_bob", "rational_polynomial", "equidistant"]
Lens = Callable[[str], Camera]


def intrinsics(f: float = 525.0, cx: float = 319.5, cy: float = 239.5) -> np.ndarray:
    return np.array([[f, 0, cx], [0, f, cy], [0, 0, 1]])


def test_ray_and_projection_by_hand() -> None:
    camera = Camera(4, 2, np.array([[2.0, 0, 1], [0, 4.0, 0.5], [0, 0, 1]]))
    np.testing.assert_array_equal(camera.rays()[1, 3], np.array([1, 0.125, 1], np.float32))
    np.testing.assert_allclose(camera.project(np.array([[2, 0.25, 2]], np.float32)), [[3, 1]])


@pytest.mark.parametrize("model", LENSES)
@given(u=st.integers(0, 639), v=st.integers(0, 479), z=st.floats(0.1, 50))
def test_projection_inverts_rays(lens: Lens, model: str, u: int, v: int, z: float) -> None:
    camera = lens(model)
    point = camera.rays()[v, u].astype(np.float64)[None] * z
    np.testing.assert_allclose(camera.project(point), [[u, v]], atol=1e-4)


def test_points_behind_have_no_pixel(lens: Lens) -> None:
    pixels = lens("").project(np.array([[0, 0, -1], [0, 0, 0], [0, 0, 1]], np.float32))
    assert np.isnan(pixels[:2]).all()
    np.testing.assert_allclose(pixels[2], (319.5, 239.5))


def test_rays_are_shared_between_equal_cameras_and_read_only(lens: Lens) -> None:
    assert lens("plumb_bob").rays() is lens("plumb_bob").rays()
    with pytest.raises(ValueError, match="read-only"):
        lens("plumb_bob").rays()[0] = 0


@given(
    scale=st.sampled_from([(320, 240), (1280, 960), (160, 480), (641, 333)]),
    point=st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
)
def test_resizing_moves_pixels_as_areas(lens: Lens, scale: tuple[int, int], point: tuple[float, float]) -> None:
    camera = lens("")
    resized = camera.resized(*scale)
    xyz = np.array([[*point, 2.0]])
    # Distances from the outer border (0.5 px before the first centre) scale with the image.
    border = (camera.project(xyz) + 0.5) * (scale[0] / 640, scale[1] / 480)
    np.testing.assert_allclose(resized.project(xyz) + 0.5, border, atol=1e-9)
    assert (resized.width, resized.height) == scale


def test_cropping_and_binning_keep_the_rays(lens: Lens) -> None:
    camera = lens("plumb_bob")
    np.testing.assert_allclose(camera.cropped(30, 20, 100, 50).rays(), camera.rays()[20:70, 30:130], atol=1e-6)
    pinhole = lens("")
    averaged = pinhole.rays().reshape(240, 2, 320, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(pinhole.binned(2, 2).rays(), averaged, atol=1e-6)


def test_binning_loses_the_remainder() -> None:
    binned = Camera(7, 5, intrinsics(10.0, 3.0, 2.0)).binned(2, 2)
    assert (binned.width, binned.height) == (3, 2)
    np.testing.assert_allclose(binned.K, [[5, 0, 1.25], [0, 5, 0.75], [0, 0, 1]])


@pytest.mark.parametrize("region", [(-1, 0, 5, 5), (0, 0, 641, 5), (600, 0, 50, 5), (0, 0, 0, 5)])
def test_region_outside_is_refused(lens: Lens, region: tuple[int, int, int, int]) -> None:
    with pytest.raises(InputError, match="is not inside 640x480 px"):
        lens("").cropped(*region)


def test_binning_out_of_range_is_refused(lens: Lens) -> None:
    with pytest.raises(InputError, match="binning 0x2"):
        lens("").binned(0, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"K": np.zeros((3, 3))}, "fx = 0 px, fy = 0 px"),
        ({"K": intrinsics(-5.0)}, "fx = -5 px"),
        ({"K": np.full((3, 3), np.nan)}, "not finite"),
        ({"K": intrinsics() * 2}, "is not"),
        ({"width": 0}, "0x480 px"),
        ({"distortion": np.ones(5)}, "unknown distortion model ''"),
        ({"distortion": np.ones(4), "distortion_model": "plumb_bob"}, "5 distortion coefficients, got 4"),
        ({"distortion": np.zeros(4), "distortion_model": "plumb_bob"}, "5 distortion coefficients, got 4"),
        ({"distortion": np.zeros(5), "distortion_model": "thin_prism"}, "unknown distortion model 'thin_prism'"),
        ({"distortion": np.array([np.inf, 0, 0, 0, 0]), "distortion_model": "plumb_bob"}, "not finite"),
    ],
)
def test_what_is_no_camera_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Camera(**{"width": 640, "height": 480, "K": intrinsics(), **change})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change", [{"K": np.eye(3, dtype=np.int64)}, {"K": np.eye(4)}, {"distortion": np.zeros(5, np.float32)}]
)
def test_numbers_of_another_type_or_shape_are_refused(change: dict[str, object]) -> None:
    with pytest.raises((InputError, TypeCheckError)):
        Camera(**{"width": 640, "height": 480, "K": intrinsics(), **change})  # type: ignore[arg-type]


def test_zero_coefficients_mean_a_rectified_image(lens: Lens) -> None:
    camera = Camera(640, 480, intrinsics(), np.zeros(5), "plumb_bob")
    assert not camera.is_distorted
    np.testing.assert_array_equal(camera.rays(), lens("").rays())
