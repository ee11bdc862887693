"""Masks from graph segmentation of colour and depth images: real regions without any weights."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Int32
from scipy.ndimage import distance_transform_edt

from seg3d_core.labelling.graph_settings import GraphMasksConfig
from seg3d_core.labelling.regions import renumbered
from seg3d_core.labelling.source import FrameToLabel
from seg3d_core.optional import import_optional
from seg3d_core.types import IGNORE, RgbdFrame

_LEAST_MEASURED = 0.5
"""Share of a region's pixels that have depth, for it to be a mask."""


class GraphMasks:
    """Felzenszwalb & Huttenlocher's segmentation (scikit-image's) of colour, distance and surface direction.

    Pixels without depth take the distance of the nearest pixel that has one; regions of little else have no mask.

    Raises:
        ConfigError: scikit-image is not installed.
    """

    needs_truth = False
    batch_size = 1

    def __init__(self, config: GraphMasksConfig) -> None:
        self._config = config
        self._segmentation = import_optional("skimage.segmentation", "the mask source graph", "scikit-image")

    def label(self, frames: Sequence[FrameToLabel]) -> list[Int32[np.ndarray, "_ _"]]:
        """Masks of each frame."""
        return [self._label(frame.rgbd) for frame in frames]

    def _label(self, rgbd: RgbdFrame) -> Int32[np.ndarray, "H W"]:
        config = self._config
        features = _features(rgbd, config)
        if not features.shape[2]:
            return np.zeros(rgbd.depth_m.shape, np.int32)
        with warnings.catch_warnings():
            # More than three channels are meant.
            warnings.filterwarnings("ignore", "Got image with third dimension", RuntimeWarning)
            regions = self._segmentation.felzenszwalb(
                features, scale=config.scale, sigma=config.sigma_px, min_size=config.min_px, channel_axis=-1
            )
        return _measured(np.asarray(regions, np.int32), rgbd.depth_m)


def _measured(regions: Int32[np.ndarray, "H W"], depth_m: Float32[np.ndarray, "H W"]) -> Int32[np.ndarray, "H W"]:
    """The regions without those that hardly have depth, unless none has: their shapes are those of the filling."""
    seen = np.bincount(regions.ravel(), (depth_m > 0).ravel())
    if not seen.any():
        return regions
    keep = seen >= _LEAST_MEASURED * np.bincount(regions.ravel())
    return renumbered(np.where(keep[regions], regions, np.int32(IGNORE)))[0]


def _features(rgbd: RgbdFrame, config: GraphMasksConfig) -> Float32[np.ndarray, "H W C"]:
    """What the differences between pixels are taken of: weighted colour, logarithm of the distance, direction."""
    channels = []
    if rgbd.rgb is not None and config.colour_weight:
        channels.append(rgbd.rgb * np.float32(config.colour_weight / np.sqrt(3)))
    if (rgbd.depth_m > 0).any():
        depth_m = _filled(rgbd.depth_m)
        channels.append(np.log(depth_m)[:, :, None] * np.float32(config.depth_weight))
        # Unit vectors at a right angle are the root of 2 apart.
        channels.append(_directions(depth_m, rgbd, config.normal_px) * np.float32(config.normal_weight / np.sqrt(2)))
    height, width = rgbd.depth_m.shape
    return np.concatenate([np.zeros((height, width, 0), np.float32), *channels], axis=2)


def _filled(depth_m: Float32[np.ndarray, "H W"]) -> Float32[np.ndarray, "H W"]:
    """Pixels without depth take the nearest one's: a hole is no border."""
    rows, columns = distance_transform_edt(depth_m <= 0, return_distances=False, return_indices=True)
    filled: Float32[np.ndarray, "H W"] = depth_m[rows, columns]
    return filled


def _directions(depth_m: Float32[np.ndarray, "H W"], rgbd: RgbdFrame, reach_px: int) -> Float32[np.ndarray, "H W 3"]:
    """Unit normals in the camera frame, from the flatter side of each pixel: the other may lie behind an edge."""
    points = np.nan_to_num(rgbd.camera.rays()) * depth_m[:, :, None]
    normals = np.cross(_along(points, reach_px, 1), _along(points, reach_px, 0))
    lengths = np.linalg.norm(normals, axis=2, keepdims=True)
    unit: Float32[np.ndarray, "H W 3"] = (normals / np.maximum(lengths, 1e-12)).astype(np.float32)
    return unit


def _along(points: Float32[np.ndarray, "H W 3"], reach: int, axis: int) -> Float32[np.ndarray, "H W 3"]:
    """Way to the point ``reach`` pixels after each, or from the one before it, whichever steps less in distance."""
    last = points.shape[axis] - 1
    places = np.arange(last + 1)
    after = np.take(points, np.minimum(places + reach, last), axis) - points
    before = points - np.take(points, np.maximum(places - reach, 0), axis)
    # At the edge of the image one of the two is no way at all.
    is_cut_after, is_cut_before = places + reach > last, places - reach < 0
    shape = (-1, 1) if axis == 0 else (1, -1)
    steps_after = np.where(is_cut_after.reshape(shape), np.inf, np.abs(after[:, :, 2]))
    steps_before = np.where(is_cut_before.reshape(shape), np.inf, np.abs(before[:, :, 2]))
    way: Float32[np.ndarray, "H W 3"] = np.where((steps_after <= steps_before)[:, :, None], after, before)
    return way
