from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg3d_core.errors import InputError
from seg3d_core.geometry.backprojection import backproject
from seg3d_core.geometry.camera import Camera
from seg3d_core.geometry.transforms import from_quaternion, invert
from seg3d_core.types import RgbdFrame

Lens = Callable[[str], Camera]
POSE = from_quaternion(np.array([1.0, -2, 0.5]), np.array([0.1, -0.5, 0.3, 0.8]))


def frame_of(camera: Camera, seed: int = 0, T: np.ndarray | None = POSE) -> RgbdFrame:
    generator = np.random.default_rng(seed)
    depth_m = generator.uniform(0.1, 6, (camera.height, camera.width)).astype(np.float32)
    depth_m[generator.random(depth_m.shape) < 0.2] = 0
    depth_m[generator.random(depth_m.shape) < 0.01] = np.nan
    rgb = generator.random((camera.height, camera.width, 3), dtype=np.float32)
    return RgbdFrame(depth_m, camera, rgb, T, "map", 42)


def test_one_pixel_by_hand() -> None:
    camera = Camera(3, 2, np.array([[2.0, 0, 1], [0, 2.0, 0], [0, 0, 1]]))
    depth_m = np.zeros((2, 3), np.float32)
    depth_m[1, 2] = 4
    T = np.array([[0.0, 0, 1, 10], [-1, 0, 0, 20], [0, -1, 0, 30], [0, 0, 0, 1]])  # looks along the world's x
    cloud = backproject(RgbdFrame(depth_m, camera, None, T, "map", 5), 0.5, 5.0)
    np.testing.assert_allclose(cloud.points, [[14, 18, 28]])
    assert cloud.rgb is None
    assert cloud.source_index is not None
    assert cloud.source_index.tolist() == [5]
    assert (cloud.frame_id, cloud.stamp_ns) == ("map", 5)
    np.testing.assert_array_equal(cloud.viewpoint, [10, 20, 30])


@pytest.mark.parametrize("model", ["", "plumb_bob"])
@pytest.mark.parametrize("stride", [1, 3])
def test_equals_the_plain_version(lens: Lens, model: str, stride: int) -> None:
    frame = frame_of(lens(model))
    v, u = (grid.reshape(-1) for grid in np.mgrid[0:480:stride, 0:640:stride])
    z = frame.depth_m[v, u]
    with np.errstate(invalid="ignore"):
        seen = (z >= 0.5) & (z <= 4) & (z > 0)
    v, u, z = v[seen], u[seen], z[seen]
    points = frame.camera.rays()[v, u].astype(np.float64) * z[:, None]
    cloud = backproject(frame, 0.5, 4.0, stride)
    np.testing.assert_allclose(cloud.points, points @ POSE[:3, :3].T + POSE[:3, 3], atol=1e-6)
    assert cloud.rgb is not None and frame.rgb is not None
    np.testing.assert_array_equal(cloud.rgb, frame.rgb[v, u])
    np.testing.assert_array_equal(cloud.source_index, v * 640 + u)


@given(seed=st.integers(0, 1000), stride=st.integers(1, 9))
def test_projection_finds_the_source_pixel(seed: int, stride: int) -> None:
    camera = Camera(31, 17, np.array([[25.0, 0, 14], [0, 26.0, 8], [0, 0, 1]]))
    cloud = backproject(frame_of(camera, seed), 0.1, 6.0, stride)
    T_camera_world = invert(POSE)
    pixels = camera.project(cloud.points @ T_camera_world[:3, :3].T + T_camera_world[:3, 3])
    assert cloud.source_index is not None
    np.testing.assert_allclose(pixels, np.stack([cloud.source_index % 31, cloud.source_index // 31], 1), atol=1e-3)


def test_without_pose_points_are_in_the_camera_frame(lens: Lens) -> None:
    frame = frame_of(lens(""), T=None)
    cloud = backproject(frame, 0.5, 4.0)
    assert cloud.source_index is not None
    np.testing.assert_array_equal(cloud.points[:, 2], frame.depth_m.reshape(-1)[cloud.source_index])


def test_zero_is_never_a_return_even_from_zero_depth_on(lens: Lens) -> None:
    frame = RgbdFrame(np.zeros((480, 640), np.float32), lens(""))
    assert len(backproject(frame, 0.0, 4.0)) == 0


def test_corners_of_a_fisheye_without_rays_give_no_points() -> None:
    camera = Camera(
        64, 64, np.array([[16.0, 0, 31.5], [0, 16.0, 31.5], [0, 0, 1]]), np.array([1e-9, 0, 0, 0]), "equidistant"
    )
    assert np.isnan(camera.rays()[0, 0]).any()
    cloud = backproject(RgbdFrame(np.ones((64, 64), np.float32), camera), 0.1, 4.0)
    assert 0 < len(cloud) < 64 * 64


def test_bad_ranges_strides_and_poses_are_refused(lens: Lens) -> None:
    frame = frame_of(lens(""))
    with pytest.raises(InputError, match="depth range 4 m to 1 m is empty"):
        backproject(frame, 4.0, 1.0)
    with pytest.raises(InputError, match="stride is 0 px"):
        backproject(frame, 0.1, 1.0, 0)
    with pytest.raises(InputError, match="not rigid"):
        backproject(frame_of(lens(""), T=np.diag([2.0, 2, 2, 1])), 0.1, 1.0)
