"""Do these messages belong to one exposure of one camera? Mis-registered colour is worse than no result."""

from __future__ import annotations

from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from seg3d_core.errors import InputError
from seg3d_ros.conversions.stamps import NS_PER_S, stamp_ns


def check_registered(
    rgb: Image | CompressedImage, depth: Image | CompressedImage, info: CameraInfo, max_offset_s: float
) -> None:
    """Refuse colour, depth and calibration that do not describe the same pixels at the same time.

    The calibration's stamp is not looked at, because some drivers latch it; its size is compared when the camera is
    made (``camera_from_info``). The size of compressed images is known only once they are decoded.

    Raises:
        InputError: another frame, another size, or stamps farther apart than ``max_offset_s`` seconds.
    """
    _check_frames(rgb.header.frame_id, depth.header.frame_id, info.header.frame_id)
    sizes = [f"{image.width}x{image.height}" for image in (rgb, depth) if isinstance(image, Image)]
    if len(set(sizes)) > 1:
        raise InputError(f"depth is not registered to colour: colour is {sizes[0]} px, depth is {sizes[1]} px")
    offset_s = (stamp_ns(depth.header.stamp) - stamp_ns(rgb.header.stamp)) / NS_PER_S
    if abs(offset_s) > max_offset_s:
        when = "after" if offset_s > 0 else "before"
        raise InputError(
            f"depth was taken {abs(offset_s) * 1e3:.1f} ms {when} colour, at most {max_offset_s * 1e3:.1f} ms allowed"
        )


def _check_frames(rgb: str, depth: str, info: str) -> None:
    if rgb != depth:
        raise InputError(
            f"depth is not registered to colour: colour is in frame {rgb!r}, depth in frame {depth!r}; "
            "subscribe to the driver's depth that is aligned to colour"
        )
    if info != rgb:
        raise InputError(f"camera_info is of frame {info!r} but the images are in frame {rgb!r}")
