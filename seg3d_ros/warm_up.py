"""Practice input: small, made up, and of the same kind as the real one."""

from __future__ import annotations

import numpy as np

from seg3d_core.geometry.camera import Camera
from seg3d_ros.conversions.cameras import info_from_camera
from seg3d_ros.conversions.images import image_from_depth_m, image_from_rgb
from seg3d_ros.rgbd_input import RgbdMessages

WIDTH, HEIGHT = 160, 120


def practice_messages(min_depth_m: float, max_depth_m: float) -> RgbdMessages:
    """Two walls of different colour and distance inside the depth range, with noise; seeded."""
    rng = np.random.default_rng(0)
    camera = Camera(WIDTH, HEIGHT, np.array([[120.0, 0, 79.5], [0, 120.0, 59.5], [0, 0, 1]]))
    near_m = min_depth_m + 0.3 * (max_depth_m - min_depth_m)
    right = np.arange(WIDTH) >= WIDTH // 2
    step_m = 0.1 * (max_depth_m - min_depth_m)
    depth_m = near_m + step_m * (right + 0.02 * rng.random((HEIGHT, WIDTH)))
    rgb = np.where(right[None, :, None], 0.8, 0.2) * np.ones((HEIGHT, WIDTH, 3))
    return RgbdMessages(
        0,
        image_from_rgb(rgb.astype(np.float32), "camera", 0),
        image_from_depth_m(np.minimum(depth_m, 65.0).astype(np.float32), "camera", 0),
        info_from_camera(camera, "camera", 0),
    )
