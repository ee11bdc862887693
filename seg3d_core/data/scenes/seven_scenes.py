"""7-Scenes as published: frame-NNNNNN.color.png, .depth.png and .pose.txt in one folder.

Its depth is not registered to colour, and no calibration of the two was published: depth is warped into the colour
camera with the Kinect's nominal numbers, or with those of files that lie beside the frames (``intrinsics_color.txt``,
``intrinsics_depth.txt`` and ``T_color_depth.txt``, the depth camera's pose in the colour camera's frame). Poses are the
depth camera's; the world is the first camera's frame, so that up has to be estimated.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float64

from seg3d_core.data.rgbd_images import image_size, read_depth_m, read_rgb
from seg3d_core.data.scenes.alignment import register_depth
from seg3d_core.data.scenes.cloud import SceneCloud
from seg3d_core.data.scenes.recordings import RecordedFrame, UpFrom, encoded
from seg3d_core.data.sequence_text import read_intrinsics, read_matrix
from seg3d_core.errors import InputError
from seg3d_core.geometry.camera import Camera
from seg3d_core.geometry.transforms import check_rigid, invert
from seg3d_core.types import RgbdFrame

RATE_HZ = 30.0
NOMINAL_DEPTH_K = np.array([[585.0, 0, 320], [0, 585.0, 240], [0, 0, 1]])
NOMINAL_COLOUR_K = np.array([[525.0, 0, 320], [0, 525.0, 240], [0, 0, 1]])
NOMINAL_BASELINE_M = 0.025
"""The Kinect's colour camera stands so far to the right of its infrared camera."""

ORTHONORMAL = 5e-3
"""Published rotations are orthonormal to about 5e-4; they are made exact, unless they are farther off than this."""


class SevenScenesRecording:
    """One seq-NN folder.

    Raises:
        InputError: no frames, or calibration files that cannot be read.
    """

    layout = "7-scenes"
    up: Float64[np.ndarray, "3"] | None = None
    up_from: UpFrom = "estimated"

    def __init__(self, path: Path) -> None:
        self._path = path
        stems = sorted(file.name.removesuffix(".color.png") for file in path.glob("frame-*.color.png"))
        if not stems:
            raise InputError(f"{path}: no frame-*.color.png")
        self.name = f"{path.resolve().parent.name}-{path.resolve().name}"
        size = image_size(path / f"{stems[0]}.color.png")
        self._colour = Camera(*size, _intrinsics(path / "intrinsics_color.txt", NOMINAL_COLOUR_K))
        depth_size = image_size(path / f"{stems[0]}.depth.png")
        self._depth = Camera(*depth_size, _intrinsics(path / "intrinsics_depth.txt", NOMINAL_DEPTH_K))
        self._T_colour_depth = _calibration(path / "T_color_depth.txt")
        self._poses: list[Float64[np.ndarray, "4 4"]] = []
        frames, left_out = [], []
        for stem in stems:
            try:
                self._poses.append(_pose(path / f"{stem}.pose.txt") @ invert(self._T_colour_depth))
                frames.append(stem)
            except InputError as error:
                left_out.append((stem, str(error)))
        self.frames, self.left_out = tuple(frames), tuple(left_out)

    def depth_frame(self, index: int) -> RgbdFrame:
        """Depth, warped into the colour camera, and the colour camera's pose."""
        raw_m = read_depth_m(self._path / f"{self.frames[index]}.depth.png", 1000.0)
        depth_m = register_depth(raw_m, self._depth, self._colour, self._T_colour_depth)
        number = int(self.frames[index].removeprefix("frame-"))
        return RgbdFrame(depth_m, self._colour, None, self._poses[index], "map", round(number * 1e9 / RATE_HZ))

    def read(self, index: int) -> RecordedFrame:
        """The whole frame."""
        seen, path = self.depth_frame(index), self._path / f"{self.frames[index]}.color.png"
        rgb = read_rgb(path, self._colour.width, self._colour.height)
        frame = RgbdFrame(seen.depth_m, self._colour, rgb, seen.T_world_camera, "map", seen.stamp_ns)
        return RecordedFrame(frame, encoded(path))

    def scan(self) -> SceneCloud | None:
        """There is none."""
        return None


def _intrinsics(path: Path, nominal: Float64[np.ndarray, "3 3"]) -> Float64[np.ndarray, "3 3"]:
    return read_intrinsics(path) if path.is_file() else nominal


def _calibration(path: Path) -> Float64[np.ndarray, "4 4"]:
    if not path.is_file():
        T_colour_depth = np.eye(4)
        T_colour_depth[0, 3] = -NOMINAL_BASELINE_M
        return T_colour_depth
    T_colour_depth = read_matrix(path, 4, 4)
    check_rigid(T_colour_depth, str(path))
    return T_colour_depth


def _pose(path: Path) -> Float64[np.ndarray, "4 4"]:
    """The published pose with the nearest rotation."""
    T = read_matrix(path, 4, 4)
    if not np.isfinite(T).all():
        raise InputError("no pose: it holds inf or NaN, tracking was lost")
    u, sizes, v = np.linalg.svd(T[:3, :3])
    if np.abs(sizes - 1).max() > ORTHONORMAL:
        raise InputError(f"pose is not rigid: its axes have lengths {sizes.min():.4g} to {sizes.max():.4g}")
    T[:3, :3] = u @ v
    check_rigid(T, path.name)
    return T
