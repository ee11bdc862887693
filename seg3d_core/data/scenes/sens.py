"""ScanNet's .sens: a whole recording in one file.

Little endian: version (uint32, 4), name (uint64 length, bytes), four 4x4 float32 matrices (intrinsics and extrinsics of
colour and depth), two int32 compressions, sizes (uint32: colour width, height, depth width, height), steps per metre
(float32), number of frames (uint64); then for each frame T_world_camera (16 float32), two uint64 times in microseconds
(colour, depth), two uint64 sizes, colour image, depth image.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Float32, Float64
from PIL import Image

from seg3d_core.errors import InputError
from seg3d_core.geometry.camera import Camera

VERSION = 4
_COLOURS = {0: "raw", 1: "png", 2: "jpeg"}
_DEPTHS = {0: "raw", 1: "zlib"}
_FRAME = struct.Struct("<16f4Q")
_LARGEST_IMAGE = 1 << 28
"""Bytes; a greater number is not a size but damage."""


@dataclass(frozen=True, eq=False)
class SensFrame:
    """Where a frame is in the file, and its pose.

    Attributes:
        T_world_camera: may hold inf or NaN: tracking was lost.
        stamp_ns: of the depth image.
        colour: offset and length, bytes.
        depth: likewise.
    """

    T_world_camera: Float64[np.ndarray, "4 4"]
    stamp_ns: int
    colour: tuple[int, int]
    depth: tuple[int, int]


@dataclass(frozen=True, eq=False)
class SensFile:
    """An indexed .sens file; images are read when they are asked for.

    Attributes:
        path: the file.
        colour_camera, depth_camera: intrinsics of the two images.
        units_per_m: depth steps in a metre.
        compressions: of colour (raw, png, jpeg) and of depth (raw, zlib).
        frames: those that are whole.
        promised: number of frames that the header says; more than ``frames`` if the file was cut off.
    """

    path: Path
    colour_camera: Camera
    depth_camera: Camera
    units_per_m: float
    compressions: tuple[str, str]
    frames: tuple[SensFrame, ...]
    promised: int

    @classmethod
    def open(cls, path: Path) -> SensFile:
        """Read header and index.

        Raises:
            InputError: missing, not a .sens file of version 4, an unknown compression, or without a whole frame.
        """
        try:
            with path.open("rb") as file:
                return _read(path, file)
        except OSError as error:
            raise InputError(f"{path}: {error.strerror or error}") from error
        except struct.error as error:
            raise InputError(f"{path}: truncated in its header ({path.stat().st_size} bytes)") from error

    def colour_bytes(self, index: int) -> bytes:
        """The colour image of a frame as it is in the file."""
        return self._bytes(self.frames[index].colour)

    def rgb(self, index: int, width: int, height: int) -> Float32[np.ndarray, "H W 3"]:
        """Colour in 0..1, resized (area average).

        Raises:
            InputError: the image is damaged.
        """
        data, camera = self.colour_bytes(index), self.colour_camera
        try:
            if self.compressions[0] == "raw":
                image = Image.frombytes("RGB", (camera.width, camera.height), data)
            else:
                image = Image.open(io.BytesIO(data)).convert("RGB")
        except (OSError, SyntaxError, ValueError) as error:
            raise InputError(f"{self.path}: colour image {index} is damaged: {error}") from error
        if image.size != (camera.width, camera.height):
            raise InputError(
                f"{self.path}: colour image {index} is {image.width}x{image.height} px, the header says "
                f"{camera.width}x{camera.height} px"
            )
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.BOX)
        return np.asarray(image, np.float32) / np.float32(255)

    def depth_m(self, index: int) -> Float32[np.ndarray, "H W"]:
        """Depth in metres, 0 = no return.

        Raises:
            InputError: the image is damaged.
        """
        data, camera = self._bytes(self.frames[index].depth), self.depth_camera
        try:
            raw = zlib.decompress(data) if self.compressions[1] == "zlib" else data
        except zlib.error as error:
            raise InputError(f"{self.path}: depth image {index} is damaged: {error}") from error
        if len(raw) != 2 * camera.width * camera.height:
            raise InputError(
                f"{self.path}: depth image {index} has {len(raw)} bytes, {2 * camera.width * camera.height} are "
                f"{camera.width}x{camera.height} px"
            )
        steps = np.frombuffer(raw, "<u2").reshape(camera.height, camera.width)
        return np.where(steps == 65535, np.float32(0), steps.astype(np.float32) / np.float32(self.units_per_m))

    def _bytes(self, where: tuple[int, int]) -> bytes:
        try:
            with self.path.open("rb") as file:
                file.seek(where[0])
                return file.read(where[1])
        except OSError as error:
            raise InputError(f"{self.path}: {error.strerror or error}") from error


def _read(path: Path, file: BinaryIO) -> SensFile:
    (version,) = _unpack(file, "<I")
    if version != VERSION:
        raise InputError(f"{path}: not a .sens file of version {VERSION}: it begins with version {version}")
    (length,) = _unpack(file, "<Q")
    if length > 4096:
        raise InputError(f"{path}: the sensor's name has {length} bytes, the header is damaged")
    file.read(length)
    K_colour, T_colour, K_depth, T_depth = (np.array(_unpack(file, "<16f"), np.float64).reshape(4, 4) for _ in range(4))
    if not np.allclose(T_colour, T_depth, atol=1e-4):
        raise InputError(f"{path}: colour and depth were taken from two places: depth is not registered to colour")
    colour_code, depth_code = _unpack(file, "<ii")
    if colour_code not in _COLOURS or depth_code not in _DEPTHS:
        raise InputError(f"{path}: compressions {colour_code} (colour) and {depth_code} (depth) are not known")
    sizes = _unpack(file, "<4I")
    (units_per_m,) = _unpack(file, "<f")
    if not (np.isfinite(units_per_m) and units_per_m > 0):
        raise InputError(f"{path}: {units_per_m:g} depth steps in a metre, expected a positive number")
    (promised,) = _unpack(file, "<Q")
    frames = _index(file, promised, path.stat().st_size)
    if not frames:
        raise InputError(f"{path}: truncated: none of {promised} frames is whole")
    return SensFile(
        path,
        Camera(sizes[0], sizes[1], K_colour[:3, :3].copy()),
        Camera(sizes[2], sizes[3], K_depth[:3, :3].copy()),
        float(units_per_m),
        (_COLOURS[colour_code], _DEPTHS[depth_code]),
        tuple(frames),
        int(promised),
    )


def _unpack(file: BinaryIO, layout: str) -> tuple[Any, ...]:
    return struct.unpack(layout, file.read(struct.calcsize(layout)))


def _index(file: BinaryIO, promised: int, file_size: int) -> list[SensFrame]:
    """The frames that are whole, up to the first that is not."""
    frames: list[SensFrame] = []
    while len(frames) < promised:
        header = file.read(_FRAME.size)
        if len(header) < _FRAME.size:
            break
        *pose, _, depth_us, colour_size, depth_size = _FRAME.unpack(header)
        start = file.tell()
        if max(colour_size, depth_size) > _LARGEST_IMAGE or start + colour_size + depth_size > file_size:
            break
        T_world_camera = np.array(pose, np.float64).reshape(4, 4)
        colour, depth = (start, colour_size), (start + colour_size, depth_size)
        frames.append(SensFrame(T_world_camera, depth_us * 1000, colour, depth))
        file.seek(start + colour_size + depth_size)
    return frames
