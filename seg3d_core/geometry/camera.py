"""Pinhole camera (lens distortion included)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

import numpy as np
from jaxtyping import Float, Float32, Float64

from seg3d_core.errors import InputError
from seg3d_core.geometry.distortion import COEFFICIENTS, distort, undistort


@dataclass(frozen=True, eq=False)
class Camera:
    """Intrinsics of one image stream. Pixel (u, v) = (column, row); the centre of the top-left pixel is (0, 0).

    Attributes:
        width: image columns, px.
        height: image rows, px.
        K: (3, 3) px: [[fx, 0, cx], [0, fy, cy], [0, 0, 1]].
        distortion: coefficients of ``distortion_model`` in OpenCV's order; empty for a rectified image.
        distortion_model: "", "plumb_bob", "rational_polynomial" or "equidistant" (ROS CameraInfo names).

    Raises:
        InputError: an empty image, a K that is not a pinhole camera's, or coefficients that are not the model's.
    """

    width: int
    height: int
    K: Float64[np.ndarray, "3 3"]
    distortion: Float64[np.ndarray, " D"] = field(default_factory=lambda: np.zeros(0))
    distortion_model: str = ""

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise InputError(f"camera image is {self.width}x{self.height} px, at least 1x1 px is needed")
        _check_intrinsics(self.K)
        _check_distortion(self.distortion_model, self.distortion)

    @property
    def is_distorted(self) -> bool:
        """Whether the image needs rectification before it obeys the pinhole equation."""
        return bool(self.distortion.any())

    @cached_property
    def identity(self) -> tuple[int, int, bytes, str, bytes]:
        """Equal for cameras with equal numbers: the key under which maps are cached."""
        return self.width, self.height, self.K.tobytes(), self.distortion_model, self.distortion.tobytes()

    def rays(self) -> Float32[np.ndarray, "H W 3"]:
        """Direction of every pixel in the optical frame, scaled to z = 1, distortion undone.

        Read-only and shared between equal cameras. NaN where the distortion has no inverse (corners of a fisheye).
        """
        return _rays(*self.identity)

    def project(self, points_camera: Float[np.ndarray, "N 3"]) -> Float64[np.ndarray, "N 2"]:
        """Pixels (u, v) of points in the optical frame (m), distortion applied; NaN where z <= 0."""
        points = points_camera.astype(np.float64)
        z = np.where(points[:, 2] > 0, points[:, 2], np.nan)
        distorted = distort(self._model, self.distortion, points[:, :2] / z[:, None])
        pixels: Float64[np.ndarray, "N 2"] = distorted @ self.K[:2, :2].T + self.K[:2, 2]
        return pixels

    def undistorted(self, pixels: Float[np.ndarray, "N 2"]) -> Float64[np.ndarray, "N 2"]:
        """(x/z, y/z) in the optical frame of pixels (u, v): the inverse of ``project``; NaN where it has none."""
        return undistort(self._model, self.distortion, (pixels - self.K[:2, 2]) @ np.linalg.inv(self.K[:2, :2]).T)

    def rectified(self) -> Camera:
        """The pinhole camera with the same size and K and no distortion."""
        return Camera(self.width, self.height, self.K)

    def resized(self, width: int, height: int) -> Camera:
        """The camera of the image scaled to ``width`` x ``height`` px; the outer borders stay where they are."""
        scale = np.array([width / self.width, height / self.height])
        K = self.K.copy()
        K[:2] *= scale[:, None]
        K[:2, 2] += 0.5 * (scale - 1)
        return replace(self, width=width, height=height, K=K)

    def cropped(self, x: int, y: int, width: int, height: int) -> Camera:
        """The camera of the region of interest whose top-left pixel is (x, y).

        Raises:
            InputError: the region leaves the image.
        """
        if x < 0 or y < 0 or width < 1 or height < 1 or x + width > self.width or y + height > self.height:
            raise InputError(f"region {width}x{height} px at ({x}, {y}) is not inside {self.width}x{self.height} px")
        K = self.K.copy()
        K[:2, 2] -= (x, y)
        return replace(self, width=width, height=height, K=K)

    def binned(self, bx: int, by: int) -> Camera:
        """The camera of the image whose pixels are averages of ``bx`` x ``by`` px; a remainder at the border is lost.

        Raises:
            InputError: a factor below 1 or larger than the image.
        """
        if not (1 <= bx <= self.width and 1 <= by <= self.height):
            raise InputError(f"binning {bx}x{by} must be from 1x1 to {self.width}x{self.height} px")
        width, height = self.width // bx, self.height // by
        return self.cropped(0, 0, width * bx, height * by).resized(width, height)

    @property
    def _model(self) -> str:
        return self.distortion_model if self.is_distorted else ""


def _check_intrinsics(K: Float64[np.ndarray, "3 3"]) -> None:
    # Rays and maps are cached under the bytes of K, so that other types would be read as other numbers.
    if K.shape != (3, 3) or K.dtype != np.float64:
        raise InputError(f"camera matrix K is {K.dtype} {K.shape}, expected float64 (3, 3)")
    if not np.isfinite(K).all():
        raise InputError(f"camera matrix K has values that are not finite: {K.tolist()}")
    if K[0, 0] <= 0 or K[1, 1] <= 0:
        raise InputError(f"camera is not calibrated: fx = {K[0, 0]:g} px, fy = {K[1, 1]:g} px, both must be above 0")
    if K[1, 0] != 0 or (K[2] != (0, 0, 1)).any():
        raise InputError(f"camera matrix K is not [[fx, s, cx], [0, fy, cy], [0, 0, 1]]: {K.tolist()}")


def _check_distortion(model: str, coefficients: Float64[np.ndarray, " D"]) -> None:
    if coefficients.ndim != 1 or coefficients.dtype != np.float64:
        raise InputError(f"distortion is {coefficients.dtype} {coefficients.shape}, expected one row of float64")
    if not np.isfinite(coefficients).all():
        raise InputError(f"distortion has values that are not finite: {coefficients.tolist()}")
    if not coefficients.any() and (not model or len(coefficients) in (0, COEFFICIENTS.get(model))):
        return
    if model not in COEFFICIENTS:
        raise InputError(f"unknown distortion model {model!r}, known are {', '.join(COEFFICIENTS)}")
    if len(coefficients) != COEFFICIENTS[model]:
        raise InputError(f"{model} has {COEFFICIENTS[model]} distortion coefficients, got {len(coefficients)}")


@lru_cache(maxsize=8)
def _rays(width: int, height: int, K: bytes, model: str, distortion: bytes) -> Float32[np.ndarray, "H W 3"]:
    camera = Camera(width, height, np.frombuffer(K).reshape(3, 3), np.frombuffer(distortion), model)
    pixels = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).reshape(-1, 2).astype(np.float64)
    rays = np.ones((height, width, 3), np.float32)
    rays[..., :2] = camera.undistorted(pixels).reshape(height, width, 2)
    rays.setflags(write=False)
    return rays
