"""ScanNet++'s iPhone recordings, as its toolkit unpacks them.

iphone/rgb/frame_NNNNNN.jpg, iphone/depth/frame_NNNNNN.png (mm) and iphone/pose_intrinsic_imu.json with an intrinsic
matrix (of the colour image) and an ``aligned_pose`` (T_world_camera in the scan's frame, z up) for every frame. The
focal length changes a little while the camera focuses: every frame is brought to the median one's intrinsics. Frames
have the size of the depth images.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from seg3d_core.data.rgbd_images import image_size, read_depth_m, read_rgb
from seg3d_core.data.scenes.alignment import in_camera
from seg3d_core.data.scenes.cloud import SceneCloud
from seg3d_core.data.scenes.recordings import Z_UP, RecordedFrame, UpFrom
from seg3d_core.data.scenes.scans import scannetpp_scan
from seg3d_core.errors import InputError
from seg3d_core.geometry.camera import Camera
from seg3d_core.geometry.transforms import check_rigid
from seg3d_core.types import RgbdFrame

POSES = "pose_intrinsic_imu.json"
RATE_HZ = 60.0


class ScanNetPPRecording:
    """One scene folder (the one with iphone/ in it).

    Raises:
        InputError: files are missing or damaged, or no frame has everything.
    """

    layout = "scannet++"
    up = Z_UP
    up_from: UpFrom = "convention"

    def __init__(self, path: Path) -> None:
        self._path, self._iphone = path, path / "iphone"
        self.name = path.resolve().name
        records = _records(self._iphone / POSES)
        frames, left_out = [], []
        self._records: list[tuple[Float64[np.ndarray, "4 4"], Float64[np.ndarray, "3 3"]]] = []
        for name, record in sorted(records.items()):
            try:
                self._records.append(_calibrated(name, record, self._iphone))
                frames.append(name)
            except InputError as error:
                left_out.append((name, str(error)))
        if not frames:
            words = f", the first because: {left_out[0][1]}" if left_out else ""
            raise InputError(f"{path}: none of {len(records)} frames can be used{words}")
        self.frames, self.left_out = tuple(frames), tuple(left_out)
        self._size = image_size(self._depth_path(0))
        self._colour_size = image_size(self._colour_path(0))
        self._camera = self._resized(np.median([K for _, K in self._records], axis=0))

    def depth_frame(self, index: int) -> RgbdFrame:
        """Depth and pose of a frame, in the median camera."""
        return in_camera(self._raw_depth(index), self._camera)

    def read(self, index: int) -> RecordedFrame:
        """The whole frame."""
        raw = self._raw_depth(index)
        path = self._colour_path(index)
        if image_size(path) != self._colour_size:
            raise InputError(f"{path}: {image_size(path)} px, the recording has {self._colour_size} px")
        return RecordedFrame(in_camera(replace(raw, rgb=read_rgb(path, *self._size)), self._camera))

    def scan(self) -> SceneCloud | None:
        """The laser scan, where it is."""
        return scannetpp_scan(self._path)

    def _raw_depth(self, index: int) -> RgbdFrame:
        T_world_camera, K = self._records[index]
        depth_m = read_depth_m(self._depth_path(index), 1000.0)
        number = int(self.frames[index].rpartition("_")[2])
        return RgbdFrame(depth_m, self._resized(K), None, T_world_camera, "map", round(number * 1e9 / RATE_HZ))

    def _resized(self, K: Float64[np.ndarray, "3 3"]) -> Camera:
        return Camera(*self._colour_size, K).resized(*self._size)

    def _colour_path(self, index: int) -> Path:
        return self._iphone / "rgb" / f"{self.frames[index]}.jpg"

    def _depth_path(self, index: int) -> Path:
        return self._iphone / "depth" / f"{self.frames[index]}.png"


def _records(path: Path) -> dict[str, Any]:
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    if not isinstance(records, dict) or not records:
        raise InputError(f"{path}: expected an object with one entry for each frame")
    return records


def _calibrated(name: str, record: Any, folder: Path) -> tuple[Float64[np.ndarray, "4 4"], Float64[np.ndarray, "3 3"]]:
    """T_world_camera and K of a frame whose images are there."""
    if not name.rpartition("_")[2].isdecimal():
        raise InputError("its name does not end with a number")
    for file in (folder / "rgb" / f"{name}.jpg", folder / "depth" / f"{name}.png"):
        if not file.is_file():
            raise InputError(f"there is no {file.parent.name}/{file.name}")
    try:
        T_world_camera = np.array(record["aligned_pose"], np.float64)
        K = np.array(record["intrinsic"], np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"no aligned_pose and intrinsic: {error}") from error
    check_rigid(T_world_camera, "aligned_pose")
    if K.shape != (3, 3):
        raise InputError(f"intrinsic has shape {K.shape}, expected (3, 3)")
    return T_world_camera, K
