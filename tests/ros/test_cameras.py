from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sensor_msgs")

from sensor_msgs.msg import CameraInfo, RegionOfInterest

from seg3d_core.errors import InputError
from seg3d_core.geometry.camera import Camera
from seg3d_ros.conversions.cameras import camera_from_info, info_from_camera

pytestmark = pytest.mark.ros


def info(**changes: object) -> CameraInfo:
    values = {
        "width": 640,
        "height": 480,
        "distortion_model": "plumb_bob",
        "d": [0.1, -0.2, 0.001, 0.002, 0.0],
        "k": [500.0, 0, 320, 0, 510, 240, 0, 0, 1],
        "p": [450.0, 0, 310, -45, 0, 460, 230, 0, 0, 0, 1, 0],
    }
    return CameraInfo(**(values | changes))


def intrinsics(camera: Camera) -> tuple[float, ...]:
    K = camera.K
    return K[0, 0], K[1, 1], K[0, 2], K[1, 2]


def test_rectified_images_are_projected_with_p() -> None:
    camera = camera_from_info(info(), rectified=True)
    assert intrinsics(camera) == (450, 460, 310, 230)
    assert (camera.width, camera.height, camera.is_distorted) == (640, 480, False)


def test_raw_images_are_projected_with_k_and_d() -> None:
    camera = camera_from_info(info(), rectified=False)
    assert intrinsics(camera) == (500, 510, 320, 240)
    assert camera.distortion_model == "plumb_bob"
    np.testing.assert_array_equal(camera.distortion, [0.1, -0.2, 0.001, 0.002, 0])


@pytest.mark.parametrize("model", ["plumb_bob", "whatever the driver calls it", ""])
def test_coefficients_of_zero_are_no_distortion(model: str) -> None:
    camera = camera_from_info(info(d=[0.0] * 5, distortion_model=model), rectified=False)
    assert camera.distortion_model == "" and not camera.is_distorted


def test_region_is_cut_out_before_binning() -> None:
    roi = RegionOfInterest(x_offset=100, y_offset=40, width=400, height=200)
    camera = camera_from_info(info(roi=roi, binning_x=2, binning_y=4), rectified=False)
    assert (camera.width, camera.height) == (200, 50)
    expected = Camera(640, 480, np.array(info().k).reshape(3, 3)).cropped(100, 40, 400, 200).binned(2, 4)
    np.testing.assert_allclose(camera.K, expected.K)
    # A ray through a pixel of the full image goes through the same place of the small one.
    u_full, v_full = 301.5, 121.5
    point = np.array([[(u_full - 320) / 500, (v_full - 240) / 510, 1]])
    pixel = expected.project(point)[0]
    np.testing.assert_allclose(pixel, [(u_full - 100 + 0.5) / 2 - 0.5, (v_full - 40 + 0.5) / 4 - 0.5])


def test_images_resized_by_one_ratio() -> None:
    camera = camera_from_info(info(), rectified=True, image_size=(320, 240))
    np.testing.assert_allclose(camera.K, camera_from_info(info(), rectified=True).resized(320, 240).K)
    with pytest.raises(InputError, match="image is 640x360 px but camera_info is for 640x480 px"):
        camera_from_info(info(), rectified=True, image_size=(640, 360))
    with pytest.raises(InputError, match="image is 0x0 px"):
        camera_from_info(info(), rectified=True, image_size=(0, 0))


@pytest.mark.parametrize(
    ("changes", "rectified", "message"),
    [
        ({"k": [0.0] * 9}, False, "not calibrated: camera_info has K with fx = 0, fy = 0 px"),
        ({"p": [0.0] * 12}, True, "not calibrated: camera_info has P with fx = 0"),
        ({"width": 0}, True, "camera_info says 0x480 px"),
        ({"k": [np.nan, 0, 1, 0, 1, 1, 0, 0, 1]}, False, "not finite"),
        ({"distortion_model": "brown"}, False, "unknown distortion model 'brown'"),
        ({"d": [0.1]}, False, "plumb_bob has 5 distortion coefficients, got 1"),
        ({"roi": RegionOfInterest(x_offset=600, width=100, height=10)}, True, r"region 100x10 px at \(600, 0\)"),
        ({"roi": RegionOfInterest(width=100)}, True, "region 100x0 px"),
        ({"binning_x": 641}, True, "binning 641x1"),
    ],
)
def test_what_is_not_a_camera_is_refused(changes: dict[str, object], rectified: bool, message: str) -> None:
    with pytest.raises(InputError, match=message):
        camera_from_info(info(**changes), rectified=rectified)


@pytest.mark.parametrize("rectified", [False, True])
def test_round_trip(rectified: bool) -> None:
    camera = Camera(64, 48, np.array([[50.0, 0, 30], [0, 51, 20], [0, 0, 1]]))
    back = camera_from_info(info_from_camera(camera, "camera", 3), rectified)
    assert back.identity == camera.identity
