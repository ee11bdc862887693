"""The camera of a synthetic scene: exact frames in, what a cheap sensor with imperfect tracking delivers out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float32, Float64
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from seg3d_core.config import DepthNoiseConfig
from seg3d_core.data.depth_noise import DepthNoise
from seg3d_core.data.scenes.synth_settings import CameraVarietyConfig, SynthConfig
from seg3d_core.geometry.camera import Camera
from seg3d_core.types import RgbdFrame

_SMOOTH_FRAMES = 4.0
"""Tracking errors of frames so far apart in the walk have little to do with each other."""


class SynthCamera:
    """Drawn once for each scene; the same seed gives the same camera and the same errors."""

    def __init__(self, config: SynthConfig, seed: int) -> None:
        rng = np.random.default_rng((seed, 47))
        variety = config.variety
        fov = np.radians(rng.uniform(variety.min_fov_deg, variety.max_fov_deg))
        self._focal_share = 0.5 / np.tan(fov / 2)
        self._aspect = config.height / config.width
        self._gain = _channel_gains(rng, variety)
        self._colour_noise = variety.colour_noise * rng.uniform(0.3, 1.0)
        self._noise = DepthNoise(_varied_noise(config.noise, rng, variety.depth_noise, seed))
        self._variety, self._seed = variety, seed

    def camera(self, width: int) -> Camera:
        """Its intrinsics at an image width, px; the middle of the image is the optical axis."""
        height = max(round(width * self._aspect), 1)
        focal = self._focal_share * width
        return Camera(
            width, height, np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0.0, 0.0, 1.0]])
        )

    def drift(self, poses: Float64[np.ndarray, "F 4 4"]) -> Float64[np.ndarray, "F 4 4"]:
        """What tracking says that the poses are: errors that change slowly from one to the next."""
        rng = np.random.default_rng((self._seed, 53))
        raw = gaussian_filter1d(rng.standard_normal((len(poses) + 32, 6)), _SMOOTH_FRAMES, axis=0)[16:-16]
        # Deviation of white noise after the filter, so that the settings are deviations of the result.
        raw *= np.sqrt(2 * np.sqrt(np.pi) * _SMOOTH_FRAMES)
        recorded = poses.copy()
        turns = Rotation.from_rotvec(np.radians(self._variety.drift_deg) * raw[:, 3:]).as_matrix()
        recorded[:, :3, :3] = turns @ poses[:, :3, :3]
        recorded[:, :3, 3] += self._variety.drift_m * raw[:, :3]
        return recorded

    def degrade(self, frame: RgbdFrame) -> RgbdFrame:
        """Noisy depth; colours in this camera's exposure and white balance, noisy."""
        assert frame.rgb is not None
        rng = np.random.default_rng((self._seed, 59, abs(frame.stamp_ns)))
        shown = frame.rgb * self._gain
        shown += rng.standard_normal(shown.shape, np.float32) * np.float32(self._colour_noise)
        return replace(self._noise.apply(frame), rgb=np.clip(shown, 0, 1, dtype=np.float32))


def _channel_gains(rng: np.random.Generator, variety: CameraVarietyConfig) -> Float32[np.ndarray, "3"]:
    exposure = 1 + variety.exposure * rng.uniform(-1, 1)
    balance = 1 + variety.white_balance * rng.uniform(-1, 1, 3)
    return (exposure * balance).astype(np.float32)


def _varied_noise(config: DepthNoiseConfig, rng: np.random.Generator, factor: float, seed: int) -> DepthNoiseConfig:
    """A sensor better or worse than ``config`` by up to ``factor``, in each of its errors."""
    axial, lateral, quantisation, edges, anywhere = factor ** rng.uniform(-1, 1, 5)
    return DepthNoiseConfig.build(
        config.model_dump()
        | {
            "seed": seed,
            "axial_base_m": min(config.axial_base_m * axial, 0.1),
            "axial_growth_per_m": min(config.axial_growth_per_m * axial, 0.1),
            "lateral_px": min(config.lateral_px * lateral, 5.0),
            "quantisation_px": min(config.quantisation_px * quantisation, 2.0),
            "edge_dropout": min(config.edge_dropout * edges, 1.0),
            "dropout": min(config.dropout * anywhere * anywhere, 1.0),
        }
    )
