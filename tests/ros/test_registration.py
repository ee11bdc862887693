from __future__ import annotations

import pytest

pytest.importorskip("sensor_msgs")

from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from seg3d_core.errors import InputError
from seg3d_ros.conversions.registration import check_registered
from seg3d_ros.conversions.stamps import header

pytestmark = pytest.mark.ros


def head(frame: str = "optical", stamp_ms: int = 0) -> Header:
    return header(frame, stamp_ms * 1_000_000)


def image(frame: str = "optical", stamp_ms: int = 0, width: int = 64, height: int = 48) -> Image:
    return Image(header=head(frame, stamp_ms), width=width, height=height)


INFO = CameraInfo(header=head(stamp_ms=-5000))


def test_what_belongs_together_passes() -> None:
    check_registered(image(stamp_ms=100), image(stamp_ms=116), INFO, 0.0166)
    check_registered(image(stamp_ms=116), image(stamp_ms=100), INFO, 0.0166)
    check_registered(CompressedImage(header=head()), image(), INFO, 0.0)


@pytest.mark.parametrize(
    ("rgb", "depth", "info", "message"),
    [
        (image(), image("depth_optical"), INFO, "colour is in frame 'optical', depth in frame 'depth_optical'"),
        (image(), image(), CameraInfo(), "camera_info is of frame '' but the images are in frame 'optical'"),
        (image(), image(width=32, height=24), INFO, "colour is 64x48 px, depth is 32x24 px"),
        (image(stamp_ms=100), image(stamp_ms=120), INFO, "20.0 ms after colour, at most 10.0 ms allowed"),
        (image(stamp_ms=100), image(stamp_ms=80), INFO, "20.0 ms before colour, at most 10.0 ms allowed"),
    ],
)
def test_what_does_not_is_refused_with_both_values(rgb: Image, depth: Image, info: CameraInfo, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_registered(rgb, depth, info, 0.01)
