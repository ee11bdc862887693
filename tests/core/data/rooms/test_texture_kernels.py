from __future__ import annotations

import numpy as np

from seg3d_core.data.rooms import texture_kernels as kernels
from seg3d_core.data.rooms.materials import Material, checker, material_table, plain, stripes


def shade(points: np.ndarray, material: Material, T: np.ndarray | None = None, light: float = 1.0) -> np.ndarray:
    count = len(points)
    rgb = np.empty((count, 3), np.float32)
    T_object_world = np.eye(4)[None, :3] if T is None else np.linalg.inv(T)[None, :3]
    kernels.shade(
        np.zeros(count, np.int32), np.zeros(1, np.int32), np.zeros(1, np.int32), points.astype(np.float32),
        np.zeros((count, 2), np.float32), material_table([material]), np.ascontiguousarray(T_object_world),
        np.full((1, 3, 3), light, np.float32), rgb,
    )  # fmt: skip
    return rgb


def test_stripes_by_hand() -> None:
    points = np.array([[0.0, 0, 0], [0.1, 0, 0], [0.2, 0, 0], [0.0, 5, 5]])
    rgb = shade(points, stripes((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), 0.1, 0))
    np.testing.assert_allclose(rgb, [[1, 0, 0], [0, 0, 1], [1, 0, 0], [1, 0, 0]])


def test_textures_move_with_their_object() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 1, (200, 3))
    T = np.eye(4)
    T[:3, 3] = 3.0, -2.0, 0.5
    for kind in range(10):
        material = Material(kind, (0.9, 0.5, 0.1), (0.1, 0.2, 0.3), 0.13, kind % 3, 7.5)
        # Pattern borders are exact; shifted float32 coordinates may fall on their other side.
        same = np.isclose(shade(points, material), shade(points + T[:3, 3], material, T), atol=1e-3).all(axis=1)
        assert same.mean() > 0.98


def test_light_scales_and_clips() -> None:
    points = np.zeros((1, 3))
    np.testing.assert_allclose(shade(points, plain((0.4, 0.2, 0.8)), light=0.5), [[0.2, 0.1, 0.4]], rtol=1e-6)
    np.testing.assert_allclose(shade(points, plain((0.4, 0.2, 0.8)), light=2.0), [[0.8, 0.4, 1.0]], rtol=1e-6)


def test_light_is_interpolated_over_the_triangle() -> None:
    rgb = np.empty((3, 3), np.float32)
    light = np.zeros((1, 3, 3), np.float32)
    light[0, :, 0] = 0.1, 0.5, 0.9
    kernels.shade(
        np.array([0, 0, -1], np.int32), np.zeros(1, np.int32), np.zeros(1, np.int32), np.zeros((3, 3), np.float32),
        np.array([[1, 0], [0.25, 0.5], [0, 0]], np.float32), material_table([plain((1.0, 1.0, 1.0))]),
        np.eye(4)[None, :3].copy(), light, rgb,
    )  # fmt: skip
    np.testing.assert_allclose(rgb[:, 0], [0.5, 0.25 * 0.1 + 0.25 * 0.5 + 0.5 * 0.9, 0.0], rtol=1e-6)


def test_noise_is_smooth_and_fills_its_range() -> None:
    x = np.linspace(0, 40, 4001)
    values = np.array([kernels.noise(float(place), 0.3, 7.7) for place in x])
    assert values.min() >= 0 and values.max() <= 1 and np.ptp(values) > 0.6
    assert np.abs(np.diff(values)).max() < 0.02


def test_checker_has_both_colours_in_equal_shares() -> None:
    points = np.random.default_rng(1).uniform(-1, 1, (5000, 3))
    rgb = shade(points, checker((1.0, 1.0, 1.0), (0.0, 0.0, 0.0), 0.1))
    assert 0.45 < rgb[:, 0].mean() < 0.55
