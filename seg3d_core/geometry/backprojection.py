"""From a depth image to the points it saw."""

from __future__ import annotations

import numpy as np

from seg3d_core.errors import InputError
from seg3d_core.geometry.backprojection_kernels import lift_pixels
from seg3d_core.geometry.transforms import check_rigid
from seg3d_core.types import Cloud, RgbdFrame


def backproject(frame: RgbdFrame, min_depth_m: float, max_depth_m: float, stride: int = 1) -> Cloud:
    """One point for every ``stride``-th pixel and row whose depth lies in [min, max] (m), in row-major order.

    Points are in ``frame.frame_id``: the world when the frame has a pose, else the camera's optical frame. Pixels
    without return (0, NaN) or without a ray (see ``Camera.rays``) give no point. ``source_index`` is the row-major
    index of the pixel. An image without returns gives an empty cloud.

    Raises:
        InputError: ``stride`` below 1, an empty depth range, or a pose that is not rigid.
    """
    if stride < 1:
        raise InputError(f"stride is {stride} px, it must be at least 1 px")
    if not 0 <= min_depth_m < max_depth_m:
        raise InputError(f"depth range {min_depth_m:g} m to {max_depth_m:g} m is empty")
    T = np.eye(4) if frame.T_world_camera is None else frame.T_world_camera
    check_rigid(T, "T_world_camera")
    rgb = np.zeros((0, 0, 3), np.float32) if frame.rgb is None else frame.rgb
    rows, columns = (-(-size // stride) for size in frame.depth_m.shape)
    # One allocation for both: from 4 MB on numpy asks for huge pages, and those are mapped in far faster.
    values = np.empty((2 if rgb.size else 1, rows * columns, 3), np.float32)
    points, colours = values[0], values[-1]
    source_index = np.empty(rows * columns, np.int64)
    count = lift_pixels(
        frame.depth_m, rgb, frame.camera.rays(), T, min_depth_m, max_depth_m, stride, points, colours, source_index
    )
    return Cloud(
        points[:count],
        rgb=colours[:count] if rgb.size else None,
        frame_id=frame.frame_id,
        stamp_ns=frame.stamp_ns,
        source_index=source_index[:count],
        viewpoint=T[:3, 3].copy(),
    )
