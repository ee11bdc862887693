"""Pinhole camera (lens distortion included)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64


@dataclass(frozen=True, eq=False)
class Camera:
    """Intrinsics of one image stream. Pixel (u, v) = (column, row); the centre of the top-left pixel is (0, 0).

    Attributes:
        width: image columns, px.
        height: image rows, px.
        K: (3, 3) px: [[fx, 0, cx], [0, fy, cy], [0, 0, 1]].
        distortion: coefficients of ``distortion_model`` in OpenCV's order; empty for a rectified image.
        distortion_model: "", "plumb_bob", "rational_polynomial" or "equidistant" (ROS CameraInfo names).
    """

    width: int
    height: int
    K: Float64[np.ndarray, "3 3"]
    distortion: Float64[np.ndarray, " D"] = field(default_factory=lambda: np.zeros(0))
    distortion_model: str = ""
