"""A posed RGB-D recording on disk: what its layout was is forgotten here."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from seg3d_core.data.rgbd_images import image_size, read_depth_m, read_rgb
from seg3d_core.errors import InputError
from seg3d_core.geometry.camera import Camera
from seg3d_core.types import RgbdFrame


@dataclass(frozen=True, eq=False)
class FrameFiles:
    """Where one frame comes from.

    Attributes:
        colour: image file.
        depth: 16-bit image file, registered to colour.
        T_world_camera: pose of the optical camera frame.
        stamp_ns: time of the depth exposure, ns.
    """

    colour: Path
    depth: Path
    T_world_camera: Float64[np.ndarray, "4 4"]
    stamp_ns: int


@dataclass(frozen=True, eq=False)
class RecordedSequence:
    """Frames of one recording in the order of time; images are read when a frame is asked for.

    Attributes:
        path: the folder.
        layout: how the folder is laid out: "plain", "scannet" or "tum".
        camera: of the depth images; colour images of another size are resized to it.
        colour_size: width and height of the colour files, px.
        units_per_m: depth image steps per metre (1000: millimetres).
        up: unit vector against gravity in the world frame.
        left_out: name and reason of each frame of the recording that is not among them: no pose, no partner image.
    """

    path: Path
    layout: str
    camera: Camera
    colour_size: tuple[int, int]
    frames: tuple[FrameFiles, ...]
    units_per_m: float = 1000.0
    up: Float64[np.ndarray, " 3"] = field(default_factory=lambda: np.array([0.0, 0.0, 1.0]))
    left_out: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not self.frames:
            raise InputError(f"{self.path}: no usable frame ({self.skipped} without a pose or a partner image)")
        backwards = np.flatnonzero(np.diff(self.stamps_ns) <= 0)
        if len(backwards):
            first = self.frames[int(backwards[0]) + 1]
            raise InputError(f"{self.path}: stamps do not increase at {first.depth.name} ({first.stamp_ns} ns)")

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def skipped(self) -> int:
        """How many frames of the recording were left out."""
        return len(self.left_out)

    @property
    def stamps_ns(self) -> Int64[np.ndarray, " F"]:
        """Time of each frame, increasing."""
        return np.array([frame.stamp_ns for frame in self.frames], np.int64)

    def __getitem__(self, index: int) -> RgbdFrame:
        """Read a frame; its world frame is called "map".

        Raises:
            InputError: an image is missing, damaged, or of another size than the sequence's.
            IndexError: there is no such frame.
        """
        files, seen = self.frames[index], self.depth_frame(index)
        size = image_size(files.colour)
        if size != self.colour_size:
            width, height = self.colour_size
            raise InputError(f"{files.colour}: {size[0]}x{size[1]} px, the sequence has {width}x{height} px")
        return replace(seen, rgb=read_rgb(files.colour, self.camera.width, self.camera.height))

    def depth_frame(self, index: int) -> RgbdFrame:
        """Frame ``index`` without colour: what is quick to read.

        Raises:
            InputError: the depth image is missing, damaged, or of another size than the sequence's.
            IndexError: there is no such frame.
        """
        files = self.frames[index]
        depth_m = read_depth_m(files.depth, self.units_per_m)
        return RgbdFrame(depth_m, self.camera, None, files.T_world_camera, "map", files.stamp_ns)
