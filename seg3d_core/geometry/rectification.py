"""Resampling an image pair taken through a distorting lens into the image of a pinhole camera."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from jaxtyping import Float32, Int64

from seg3d_core.geometry.camera import Camera
from seg3d_core.geometry.rectification_kernels import sample_bilinear
from seg3d_core.types import RgbdFrame


@dataclass(frozen=True, eq=False)
class Rectification:
    """Where each pixel of the rectified image comes from; read-only, shared between equal cameras.

    Attributes:
        camera: the pinhole camera of the rectified image.
        pixels: (H, W, 2) (u, v) in the distorted image, px; NaN or outside it where nothing was seen.
        nearest: (H, W) row-major index of the nearest distorted pixel; one past the last where nothing was seen.
    """

    camera: Camera
    pixels: Float32[np.ndarray, "H W 2"]
    nearest: Int64[np.ndarray, "H W"]


def rectify(frame: RgbdFrame) -> RgbdFrame:
    """The frame as a pinhole camera with the same K and size would have taken it; itself when nothing is distorted.

    Depth is taken from the nearest pixel, since averages across an edge are in the air; colour is interpolated between
    four. Pixels that the lens did not see have depth 0 and black.
    """
    if not frame.camera.is_distorted:
        return frame
    maps = rectification(frame.camera)
    depth_m = np.append(frame.depth_m.reshape(-1), np.float32(0))[maps.nearest]
    rgb = None if frame.rgb is None else sample_bilinear(frame.rgb, maps.pixels)
    return replace(frame, camera=maps.camera, depth_m=depth_m, rgb=rgb)


def rectification(camera: Camera) -> Rectification:
    """The maps from the rectified image into ``camera``'s; the last few cameras' are kept."""
    return _rectification(*camera.identity)


@lru_cache(maxsize=4)
def _rectification(width: int, height: int, K: bytes, model: str, distortion: bytes) -> Rectification:
    camera = Camera(width, height, np.frombuffer(K).reshape(3, 3), np.frombuffer(distortion), model)
    pinhole = camera.rectified()
    seen = camera.project(pinhole.rays().reshape(-1, 3))
    # Where the polynomial folds back, a second pixel of the rectified image claims the same distorted pixel.
    back = camera.undistorted(seen) @ pinhole.K[:2, :2].T + pinhole.K[:2, 2]
    own = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).reshape(-1, 2)
    seen[~(np.abs(back - own).max(axis=1) < 0.5)] = np.nan
    column, row = np.rint(seen).T
    inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
    nearest = np.full(width * height, width * height, np.int64)
    nearest[inside] = (row[inside] * width + column[inside]).astype(np.int64)
    pixels = seen.astype(np.float32).reshape(height, width, 2)
    for array in (pixels, nearest):
        array.setflags(write=False)
    return Rectification(pinhole, pixels, nearest.reshape(height, width))
