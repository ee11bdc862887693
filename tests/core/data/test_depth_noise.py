"""The noise has the statistics that its settings promise."""

from __future__ import annotations

import numpy as np
import pytest

from seg3d_core.config import DepthNoiseConfig
from seg3d_core.data import depth_noise_kernels as kernels
from seg3d_core.data.depth_noise import DepthNoise
from seg3d_core.errors import ConfigError
from seg3d_core.geometry.camera import Camera
from seg3d_core.types import RgbdFrame

CAMERA = Camera(320, 240, np.array([[262.5, 0, 159.5], [0, 262.5, 119.5], [0, 0, 1]]))
CLEAN = {"edge_dropout": 0.0, "dropout": 0.0, "quantisation_px": 0.0, "lateral_px": 0.0}


def frame_of(depth_m: np.ndarray, stamp_ns: int = 0) -> RgbdFrame:
    return RgbdFrame(depth_m.astype(np.float32), CAMERA, stamp_ns=stamp_ns)


def wall(depth_m: float, stamp_ns: int = 0) -> RgbdFrame:
    return frame_of(np.full((240, 320), depth_m), stamp_ns)


def noisy(frame: RgbdFrame, **settings: float) -> np.ndarray:
    return DepthNoise(DepthNoiseConfig.build(CLEAN | settings)).apply(frame).depth_m


@pytest.mark.parametrize("depth_m", [0.5, 1.0, 2.0, 3.5])
def test_axial_noise_grows_with_the_square_of_the_depth(depth_m: float) -> None:
    measured = noisy(wall(depth_m))
    sigma = 0.0012 + 0.0019 * (depth_m - 0.4) ** 2
    assert measured.std() == pytest.approx(sigma, rel=0.02)
    assert measured.mean() == pytest.approx(depth_m, abs=4 * sigma / np.sqrt(measured.size))


def test_dropout_has_its_share() -> None:
    assert (noisy(wall(1.5), dropout=0.1) == 0).mean() == pytest.approx(0.1, abs=0.005)


def test_too_near_and_too_far_return_nothing() -> None:
    assert (noisy(wall(0.3)) == 0).all()
    assert (noisy(wall(5.5)) == 0).all()
    assert (noisy(wall(0.0)) == 0).all()


def test_depth_comes_in_steps_of_disparity() -> None:
    settings = DepthNoiseConfig.build(CLEAN | {"quantisation_px": 0.125})
    measured = DepthNoise(settings).apply(wall(3.0)).depth_m
    disparity = 262.5 * settings.baseline_m / measured.astype(np.float64) / 0.125
    np.testing.assert_allclose(disparity, np.round(disparity), atol=1e-3)
    assert len(np.unique(measured)) < 15


def test_edges_lose_returns_and_flat_surfaces_do_not() -> None:
    depth_m = np.full((240, 320), 2.0)
    depth_m[:, 160:] = 1.0
    measured = noisy(frame_of(depth_m), edge_dropout=0.5, baseline_m=0.0)
    lost = (measured == 0).mean(axis=0)
    assert lost[[159, 160]] == pytest.approx([0.5, 0.5], abs=0.12)
    assert lost[:158].max() == 0 and lost[162:].max() == 0


def test_edges_become_ragged() -> None:
    depth_m = np.full((240, 320), 2.0)
    depth_m[:, 160:] = 1.0
    measured = noisy(frame_of(depth_m), lateral_px=1.0, baseline_m=0.0)
    swapped = ((measured < 1.5) != (depth_m < 1.5)).mean(axis=0)
    assert swapped[158:162].min() > 0.05 and swapped[[150, 170]].max() == 0


def test_shadow_lies_left_of_near_things_as_wide_as_the_disparity_says() -> None:
    depth_m = np.full((4, 320), 2.0, np.float32)
    depth_m[:, 100:200] = 1.0
    is_dark = np.empty(depth_m.shape, bool)
    kernels.shadow(depth_m, 262.5 * 0.08, is_dark)
    width = 262.5 * 0.08 * (1 / 1.0 - 1 / 2.0)
    dark = np.flatnonzero(is_dark[0])
    assert dark.max() == 99
    assert len(dark) == pytest.approx(width, abs=1.6)


def test_shadow_equals_asking_every_pixel_to_the_right() -> None:
    rng = np.random.default_rng(0)
    depth_m = np.where(rng.random((20, 60)) < 0.1, 0, rng.uniform(0.5, 3, (20, 60))).astype(np.float32)
    is_dark = np.empty(depth_m.shape, bool)
    kernels.shadow(depth_m, 20.0, is_dark)
    for row in range(20):
        for column in range(60):
            z = depth_m[row, column]
            others = [c - 20.0 / depth_m[row, c] for c in range(column + 1, 60) if depth_m[row, c] > 0]
            expected = bool(z > 0 and others and column - 20.0 / z > min(others) + 0.5)
            assert is_dark[row, column] == expected


def test_grazing_surfaces_return_little() -> None:
    """A floor seen from 1 m above: the angle of incidence grows from row to row towards the horizon."""
    rows = np.arange(240)[:, None] - CAMERA.K[1, 2]
    depth_m = np.where(rows > 1, 262.5 / np.maximum(rows, 1), 0.0) * np.ones((1, 320))
    measured = noisy(frame_of(depth_m), max_depth_m=100.0, grazing_deg=80.0, axial_growth_per_m=0.0)
    angle = np.degrees(np.arctan(depth_m[:, 160]))
    lost = (measured[:, 1:-1] == 0).mean(axis=1)
    assert lost[:-1][(angle[:-1] > 60) & (angle[:-1] < 74)].max() < 0.06
    assert lost[(angle > 86) & (rows[:, 0] > 4)].min() > 0.95


def test_same_seed_and_stamp_same_noise() -> None:
    first, again = (DepthNoise(DepthNoiseConfig(seed=3)).apply(wall(2.0, 17)).depth_m for _ in range(2))
    assert first.tobytes() == again.tobytes()
    for other in (DepthNoise(DepthNoiseConfig(seed=4)).apply(wall(2.0, 17)), noisy_stamp(18)):
        assert other.depth_m.tobytes() != first.tobytes()


def noisy_stamp(stamp_ns: int) -> RgbdFrame:
    return DepthNoise(DepthNoiseConfig(seed=3)).apply(wall(2.0, stamp_ns))


def test_everything_but_the_depth_is_kept() -> None:
    frame = RgbdFrame(np.ones((240, 320), np.float32), CAMERA, np.ones((240, 320, 3), np.float32), np.eye(4), "map", 5)
    result = DepthNoise(DepthNoiseConfig()).apply(frame)
    assert result.rgb is frame.rgb and result.T_world_camera is frame.T_world_camera
    assert (result.frame_id, result.stamp_ns) == ("map", 5)


def test_settings_have_limits() -> None:
    with pytest.raises(ConfigError, match="edge_dropout"):
        DepthNoiseConfig.build({"edge_dropout": 1.5})
