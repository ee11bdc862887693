"""Bringing depth and colour of two cameras, or of changing intrinsics, into one pinhole camera."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float32, Float64

from seg3d_core.data.folder_sequences import MAX_OFFSET_PX
from seg3d_core.data.scenes.alignment_kernels import splat
from seg3d_core.errors import InputError
from seg3d_core.geometry.camera import Camera
from seg3d_core.geometry.rectification import rectify
from seg3d_core.types import RgbdFrame


def register_depth(
    depth_m: Float32[np.ndarray, "h w"],
    depth_camera: Camera,
    camera: Camera,
    T_camera_depth: Float64[np.ndarray, "4 4"],
) -> Float32[np.ndarray, "H W"]:
    """Depth as the colour camera would have measured it; of several returns on a pixel the nearest, 0 where none.

    Args:
        depth_m: of the depth camera, 0 = no return.
        depth_camera: its intrinsics.
        camera: of the colour image, without distortion; may be of another size.
        T_camera_depth: depth camera to colour camera, optical frames.

    Raises:
        InputError: the depth image is not of its camera's size, or the colour camera is distorted.
    """
    if depth_m.shape != (depth_camera.height, depth_camera.width):
        raise InputError(
            f"depth is {depth_m.shape[1]}x{depth_m.shape[0]} px but its camera is "
            f"{depth_camera.width}x{depth_camera.height} px"
        )
    if camera.is_distorted:
        raise InputError("depth is registered to rectified images only")
    registered_m = np.empty((camera.height, camera.width), np.float32)
    # A pixel of the depth camera covers this much of the other image; never less than one pixel, lest holes appear.
    spread = max(0.5, 0.55 * float(camera.K[0, 0] / depth_camera.K[0, 0]))
    splat(depth_m, depth_camera.rays(), T_camera_depth, camera.K, registered_m, spread)
    return registered_m


def offset_px(a: Camera, b: Camera) -> float:
    """How far the corners of ``a``'s image lie from where they are in ``b``'s resized to that size, px."""
    right, bottom = a.width - 1.0, a.height - 1.0
    corners = np.array([[0.0, 0.0], [right, 0.0], [0.0, bottom], [right, bottom]])
    rays = np.append(a.undistorted(corners), np.ones((4, 1)), axis=1)
    return float(np.abs(b.resized(a.width, a.height).project(rays) - corners).max())


def is_one_view(a: Camera, b: Camera) -> bool:
    """Whether images of both can be laid over each other by resizing alone (within 4 px)."""
    return offset_px(a, b) <= MAX_OFFSET_PX


def in_camera(frame: RgbdFrame, camera: Camera) -> RgbdFrame:
    """The frame as ``camera`` (same place, same size, other intrinsics, no distortion) would have taken it.

    Colour is interpolated, depth taken from the nearest pixel; 0 and black where the frame shows nothing.

    Raises:
        InputError: another size.
    """
    if (frame.camera.width, frame.camera.height) != (camera.width, camera.height):
        raise InputError(
            f"frame is {frame.camera.width}x{frame.camera.height} px, the camera {camera.width}x{camera.height} px"
        )
    if frame.camera.identity == camera.identity:
        return frame
    # Rectification maps a distorted image to a pinhole one; here the difference is another K.
    if frame.camera.is_distorted:
        frame = rectify(frame)
    scale = np.diag(frame.camera.K)[:2] / np.diag(camera.K)[:2]
    u = (np.arange(camera.width) - camera.K[0, 2]) * scale[0] + frame.camera.K[0, 2]
    v = (np.arange(camera.height) - camera.K[1, 2]) * scale[1] + frame.camera.K[1, 2]
    depth_m = _nearest(frame.depth_m, u, v)
    rgb = None if frame.rgb is None else _bilinear(frame.rgb, u, v)
    return replace(frame, depth_m=depth_m, rgb=rgb, camera=camera)


def _inside(values: Float64[np.ndarray, " n"], size: int) -> np.ndarray:
    return (values >= -0.5) & (values <= size - 0.5)


def _nearest(
    image: Float32[np.ndarray, "H W"], u: Float64[np.ndarray, " W"], v: Float64[np.ndarray, " H"]
) -> Float32[np.ndarray, "H W"]:
    height, width = image.shape
    rows, columns = (np.clip(np.rint(x).astype(np.int64), 0, n - 1) for x, n in ((v, height), (u, width)))
    is_seen = _inside(v, height)[:, None] & _inside(u, width)
    return np.where(is_seen, image[rows[:, None], columns], np.float32(0))


def _bilinear(
    image: Float32[np.ndarray, "H W 3"], u: Float64[np.ndarray, " W"], v: Float64[np.ndarray, " H"]
) -> Float32[np.ndarray, "H W 3"]:
    height, width, _ = image.shape
    is_seen = _inside(v, height)[:, None] & _inside(u, width)
    u, v = np.clip(u, 0, width - 1), np.clip(v, 0, height - 1)
    left, top = np.minimum(u.astype(np.int64), width - 2), np.minimum(v.astype(np.int64), height - 2)
    across, down = (u - left).astype(np.float32)[:, None], (v - top).astype(np.float32)[:, None, None]
    upper = image[top[:, None], left] * (1 - across) + image[top[:, None], left + 1] * across
    lower = image[top[:, None] + 1, left] * (1 - across) + image[top[:, None] + 1, left + 1] * across
    return np.where(is_seen[..., None], upper * (1 - down) + lower * down, np.float32(0))
