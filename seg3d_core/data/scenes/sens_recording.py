"""ScanNet's .sens as a recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from seg3d_core.data.scenes.alignment import in_camera
from seg3d_core.data.scenes.cloud import SceneCloud
from seg3d_core.data.scenes.recordings import Z_UP, RecordedFrame, UpFrom
from seg3d_core.data.scenes.scans import scannet_scan
from seg3d_core.data.scenes.sens import SensFile, SensFrame
from seg3d_core.errors import InputError
from seg3d_core.geometry.transforms import check_rigid
from seg3d_core.types import RgbdFrame

SUFFIX = ".sens"


class SensRecording:
    """Frames have the size of the depth images and the (resized) colour camera's intrinsics.

    Raises:
        InputError: see ``SensFile.open``, or no frame has a pose.
    """

    layout = "sens"
    up_from: UpFrom = "convention"

    def __init__(self, path: Path) -> None:
        self._file = SensFile.open(path)
        self._folder = path.parent
        self.name = path.stem
        self.up = Z_UP
        depth = self._file.depth_camera
        self._camera = self._file.colour_camera.resized(depth.width, depth.height)
        faults = {number: _fault(frame) for number, frame in enumerate(self._file.frames)}
        self._numbers = [number for number, fault in faults.items() if not fault]
        self.frames = tuple(f"{number:06}" for number in self._numbers)
        self.left_out = tuple((f"{number:06}", fault) for number, fault in faults.items() if fault)
        whole, promised = len(faults), self._file.promised
        if whole < promised:
            reason = f"the file is truncated: {whole} of {promised} frames are whole"
            self.left_out += ((f"{whole:06} to {promised - 1:06}", reason),)
        if not self.frames:
            raise InputError(f"{path}: none of {promised} frames has a pose")

    def depth_frame(self, index: int) -> RgbdFrame:
        """Depth and pose of a frame, in the colour camera."""
        number = self._numbers[index]
        frame = self._file.frames[number]
        seen = RgbdFrame(
            self._file.depth_m(number),
            self._file.depth_camera,
            None,
            frame.T_world_camera,
            "map",
            frame.stamp_ns or round(number * 1e9 / 30),
        )
        return in_camera(seen, self._camera)

    def read(self, index: int) -> RecordedFrame:
        """The whole frame."""
        number, seen = self._numbers[index], self.depth_frame(index)
        rgb = self._file.rgb(number, self._camera.width, self._camera.height)
        frame = RgbdFrame(seen.depth_m, self._camera, rgb, seen.T_world_camera, "map", seen.stamp_ns)
        is_same_size = self._camera.width == self._file.colour_camera.width
        keeps = is_same_size and self._file.compressions[0] != "raw"
        return RecordedFrame(frame, self._file.colour_bytes(number) if keeps else None)

    def scan(self) -> SceneCloud | None:
        """The mesh beside the file, where there is one."""
        return scannet_scan(self._folder, self.name)


def _fault(frame: SensFrame) -> str:
    """Why a frame cannot be used; empty if it can."""
    if not np.isfinite(frame.T_world_camera).all():
        return "no pose: it holds inf or NaN, tracking was lost"
    try:
        check_rigid(frame.T_world_camera, "pose")
    except InputError as error:
        return str(error)
    return ""
