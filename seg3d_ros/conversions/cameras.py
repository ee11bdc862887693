"""sensor_msgs/CameraInfo to the core's pinhole camera."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import CameraInfo

from seg3d_core.errors import InputError
from seg3d_core.geometry.camera import Camera
from seg3d_ros.conversions.stamps import header


def camera_from_info(msg: CameraInfo, rectified: bool, image_size: tuple[int, int] | None = None) -> Camera:
    """The camera of the images that go with this calibration.

    Args:
        msg: the calibration, at full resolution; its binning and region of interest are applied.
        rectified: the images are ``image_rect*``: projected with P. Otherwise with K and the lens distortion D.
        image_size: (width, height) px of the images when they were resized afterwards; both must have been scaled by
            the same ratio. None = as the calibration says.

    P's fourth column places a stereo partner; it does not bend the rays of this camera and is not used.

    Raises:
        InputError: not calibrated (focal length 0), no size, a region or binning that leaves the image, an
            ``image_size`` of another shape, or anything else that ``Camera`` refuses.
    """
    if msg.width == 0 or msg.height == 0:
        raise InputError(f"camera_info says {msg.width}x{msg.height} px: the driver has not filled it in")
    camera = _binned(msg, _region(msg, _full_camera(msg, rectified)))
    return camera if image_size is None else _resized(camera, *image_size)


def _full_camera(msg: CameraInfo, rectified: bool) -> Camera:
    if rectified:
        K = np.array(msg.p, np.float64).reshape(3, 4)[:, :3].copy()
    else:
        K = np.array(msg.k, np.float64).reshape(3, 3)
    name = "P" if rectified else "K"
    if K[0, 0] == 0 or K[1, 1] == 0:
        raise InputError(
            f"camera is not calibrated: camera_info has {name} with fx = {K[0, 0]:g}, fy = {K[1, 1]:g} px"
            + (" (rectified images are projected with P)" if rectified else "")
        )
    D = np.array(msg.d, np.float64)
    if rectified or not D.any():
        return Camera(msg.width, msg.height, K)
    return Camera(msg.width, msg.height, K, D, msg.distortion_model)


def _region(msg: CameraInfo, camera: Camera) -> Camera:
    # All zero means the whole image.
    roi = msg.roi
    if not any((roi.x_offset, roi.y_offset, roi.width, roi.height)):
        return camera
    return camera.cropped(roi.x_offset, roi.y_offset, roi.width, roi.height)


def _binned(msg: CameraInfo, camera: Camera) -> Camera:
    # 0 means the same as 1.
    return camera.binned(max(msg.binning_x, 1), max(msg.binning_y, 1))


def _resized(camera: Camera, width: int, height: int) -> Camera:
    if (width, height) == (camera.width, camera.height):
        return camera
    if width <= 0 or width * camera.height != height * camera.width:
        raise InputError(
            f"image is {width}x{height} px but camera_info is for {camera.width}x{camera.height} px: "
            "not the same shape, so not a resized image of this camera"
        )
    return camera.resized(width, height)


def info_from_camera(camera: Camera, frame_id: str, stamp_ns: int) -> CameraInfo:
    """The calibration message of a camera; P repeats K, so it holds for raw and for rectified images alike."""
    P = np.zeros((3, 4))
    P[:, :3] = camera.K
    return CameraInfo(
        header=header(frame_id, stamp_ns),
        width=camera.width,
        height=camera.height,
        distortion_model=camera.distortion_model or "plumb_bob",
        d=camera.distortion.tolist() or [0.0] * 5,
        k=camera.K.reshape(-1).tolist(),
        r=np.eye(3).reshape(-1).tolist(),
        p=P.reshape(-1).tolist(),
    )
