"""Masks from known instances, degraded to look like segment-anything's."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int32
from scipy.ndimage import binary_dilation

from seg3d_core.errors import InputError
from seg3d_core.labelling import truth_grouping
from seg3d_core.labelling.regions import border_pixels, renumbered
from seg3d_core.labelling.smooth_noise import highest, smooth_noise
from seg3d_core.labelling.source import FrameToLabel
from seg3d_core.labelling.truth_settings import TruthMasksConfig
from seg3d_core.types import IGNORE

_JITTER_CELL_PX, _LEAK_CELL_PX, _HOLE_CELL_PX, _SEAM_CELL_PX = 10.0, 40.0, 40.0, 25.0
_LEAK_RISE = np.float32(3)
"""How steeply leaks begin: a third of the way to the top of their places they are at their full width."""

_HOLE_AREA_SHARE = 0.15
"""Of a region with holes that is missing."""


class TruthMasks:
    """What segment-anything might make of a synthetic room.

    It takes parts for objects and cuts objects along shades (over-segmentation), takes things that touch for one
    (under-segmentation), misses what is small and some of the rest, leaves holes and seams, and its borders are not
    quite where they should be, in places far from it. All by chance, drawn from the seed and the frame's name.
    """

    needs_truth = True
    batch_size = 1

    def __init__(self, config: TruthMasksConfig) -> None:
        self._config = config

    def label(self, frames: Sequence[FrameToLabel]) -> list[Int32[np.ndarray, "_ _"]]:
        """Masks of each frame.

        Raises:
            InputError: the true instances of a frame are not known.
        """
        return [self._label(frame) for frame in frames]

    def _label(self, frame: FrameToLabel) -> Int32[np.ndarray, "H W"]:
        if frame.true_instance is None:
            raise InputError(f"{frame.name}: its true instances are not known (instance/): choose another source")
        config, rng = self._config, _generator(self._config.seed, frame.name)
        rgb, depth_m = frame.rgbd.rgb, frame.rgbd.depth_m
        regions = truth_grouping.objects_and_parts(frame.true_instance, frame.true_part, config, rng)
        regions = truth_grouping.scattered(regions, config, rng)
        regions = truth_grouping.cut(regions, rgb, config, rng)
        regions = truth_grouping.merged(regions, rgb, depth_m, config, rng)
        regions = truth_grouping.kept(regions, _is_found(regions, config, rng))
        regions = _holed(regions, config, rng)
        return renumbered(_seamed(_displaced(regions, config, rng), config, rng))[0]


def _generator(seed: int, name: str) -> np.random.Generator:
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "little")])


def _is_found(
    regions: Int32[np.ndarray, "H W"], config: TruthMasksConfig, rng: np.random.Generator
) -> Bool[np.ndarray, " R"]:
    """Which regions a generator that asks at a grid of points comes across, and does not reject."""
    count = int(regions.max(initial=IGNORE)) + 1
    found = rng.random(count) >= config.miss_share
    if config.grid:
        height, width = regions.shape
        middles = (np.arange(config.grid) + 0.5) / config.grid
        asked = regions[(middles * height).astype(int)][:, (middles * width).astype(int)]
        found &= np.bincount(asked.ravel() + 1, minlength=count + 1)[1:] > 0
    return found


def _holed(
    regions: Int32[np.ndarray, "H W"], config: TruthMasksConfig, rng: np.random.Generator
) -> Int32[np.ndarray, "H W"]:
    count = int(regions.max(initial=IGNORE)) + 1
    chosen = np.append(rng.random(count) < config.hole_share, False)
    if not chosen.any():
        return regions
    height, width = regions.shape
    blobs = highest(smooth_noise(rng, height, width, _HOLE_CELL_PX), _HOLE_AREA_SHARE) > 0
    return np.where(blobs & chosen[regions], np.int32(IGNORE), regions)


def _displaced(
    regions: Int32[np.ndarray, "H W"], config: TruthMasksConfig, rng: np.random.Generator
) -> Int32[np.ndarray, "H W"]:
    """Every pixel takes its number from a place nearby: borders tremble, and in places one region flows over others."""
    height, width = regions.shape
    leaking = np.minimum(_LEAK_RISE * highest(smooth_noise(rng, height, width, _LEAK_CELL_PX), config.leak_share), 1)
    places = []
    for pixels in (np.arange(height)[:, None], np.arange(width)[None]):
        tremble = smooth_noise(rng, height, width, _JITTER_CELL_PX) * np.float32(config.jitter_px)
        flow = smooth_noise(rng, height, width, _LEAK_CELL_PX) * leaking * np.float32(config.leak_px)
        last = max(pixels.shape) - 1
        places.append(np.clip(np.rint(pixels.astype(np.float32) + tremble + flow), 0, last).astype(np.intp))
    displaced: Int32[np.ndarray, "H W"] = regions[places[0], places[1]]
    return displaced


def _seamed(
    regions: Int32[np.ndarray, "H W"], config: TruthMasksConfig, rng: np.random.Generator
) -> Int32[np.ndarray, "H W"]:
    if config.seam_share == 0:
        return regions
    height, width = regions.shape
    open_here = highest(smooth_noise(rng, height, width, _SEAM_CELL_PX), config.seam_share) > 0
    seams = border_pixels(regions) & open_here
    if config.seam_px > 1:
        seams = binary_dilation(seams, iterations=config.seam_px - 1)
    return np.where(seams, np.int32(IGNORE), regions)
