"""Rooms that are evaluated without ROS get the frames that nodes get."""

from __future__ import annotations

import numpy as np

from seg3d_core.evaluation.rooms import as_sent
from seg3d_core.geometry.camera import Camera
from seg3d_core.types import RgbdFrame
from seg3d_ros.conversions.images import depth_m_from_image, image_from_depth_m, image_from_rgb, rgb_from_image


def test_frames_are_what_comes_out_of_their_messages() -> None:
    rng = np.random.default_rng(0)
    camera = Camera(64, 48, np.array([[60.0, 0, 31.5], [0, 60.0, 23.5], [0, 0, 1]]))
    depth_m = rng.uniform(0, 8, (48, 64)).astype(np.float32)
    # Halves of a step are where two ways of rounding would part.
    rgb = (rng.integers(-4, 516, (48, 64, 3)) / 2 / 255).astype(np.float32)
    sent = as_sent(RgbdFrame(depth_m, camera, rgb))
    np.testing.assert_array_equal(sent.depth_m, depth_m_from_image(image_from_depth_m(depth_m, "camera", 0)))
    np.testing.assert_array_equal(sent.rgb, rgb_from_image(image_from_rgb(rgb, "camera", 0)))
