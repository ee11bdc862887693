from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from seg3d_core.geometry.camera import Camera

LENSES: dict[str, list[float]] = {
    "": [],
    "plumb_bob": [0.26, -0.95, -0.005, 0.003, 1.16],
    "rational_polynomial": [0.43, -2.64, 0.0007, -0.0004, 1.49, 0.31, -2.47, 1.43],
    "equidistant": [-0.0095, 0.0026, -0.0020, 0.0002],
}


@pytest.fixture(scope="session")
def lens() -> Callable[[str], Camera]:
    """A 640x480 camera with the distortion of a real lens of the given model."""

    def make(model: str) -> Camera:
        K = np.array([[525.0, 0, 319.5], [0, 525.0, 239.5], [0, 0, 1]])
        return Camera(640, 480, K, np.array(LENSES[model], np.float64), model)

    return make
