"""Errors of a structured-light depth camera, added to exact depth.

Axial and lateral noise after Nguyen, Izadi and Lovell, "Modeling Kinect Sensor Noise for Improved 3D Reconstruction and
Tracking" (3DIMPVT 2012); quantisation in disparity; no return from grazing, too near and too far surfaces, beside depth
edges, and in the shadow of the projector.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from seg3d_core.config import DepthNoiseConfig
from seg3d_core.data import depth_noise_kernels as kernels
from seg3d_core.types import RgbdFrame


class DepthNoise:
    """Turns exact frames into what a sensor would deliver. The same seed and stamp give the same noise."""

    def __init__(self, config: DepthNoiseConfig) -> None:
        self._config = config

    def apply(self, frame: RgbdFrame) -> RgbdFrame:
        """The frame with noisy depth; colour, camera and pose are untouched. Depth 0 (no return) stays 0."""
        config, camera = self._config, frame.camera
        rng = np.random.default_rng((config.seed, abs(frame.stamp_ns)))
        shape = frame.depth_m.shape
        focal = float(camera.K[0, 0])
        is_dark = np.empty(shape, bool)
        kernels.shadow(frame.depth_m, focal * config.baseline_m, is_dark)
        raw = rng.integers(0, 2**64, shape, np.uint64).view(np.int64)
        axial = rng.standard_normal(shape, np.float32)
        noisy_m = np.empty_like(frame.depth_m)
        kernels.degrade(frame.depth_m, camera.rays(), is_dark, raw, axial, self._settings(focal), noisy_m)
        return replace(frame, depth_m=noisy_m)

    def _settings(self, focal: float) -> tuple[float, ...]:
        """The numbers of ``kernels.degrade``, in its order."""
        config = self._config
        focal_baseline = focal * config.baseline_m
        step = config.quantisation_px / focal_baseline if focal_baseline > 0 else 0.0
        return (
            config.axial_base_m,
            config.axial_growth_per_m,
            config.best_distance_m,
            config.lateral_px,
            step,
            config.min_depth_m,
            config.max_depth_m,
            float(np.cos(np.radians(config.grazing_deg))) + 1e-6,
            config.edge_dropout,
            config.dropout,
        )
