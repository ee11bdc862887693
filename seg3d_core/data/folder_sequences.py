"""Sequences that are folders of numbered images: the plain layout and ScanNet exports.

plain:    color/*.jpg|png  depth/*.png (mm)  pose/*.txt (T_world_camera)  intrinsics.txt
          [frames.txt: number, anything, seconds]  [gravity_direction.txt: down, in the world frame]
scannet:  color/*.jpg  depth/*.png (mm)  pose/*.txt  intrinsic/intrinsic_color.txt  intrinsic/intrinsic_depth.txt
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from seg3d_core.data.recorded_sequence import FrameFiles, RecordedSequence
from seg3d_core.data.rgbd_images import image_size
from seg3d_core.data.sequence_text import numbered_files, read_intrinsics, read_matrix, read_rows, stamp_ns
from seg3d_core.errors import InputError
from seg3d_core.geometry.camera import Camera
from seg3d_core.geometry.transforms import check_rigid

logger = logging.getLogger(__name__)

NOMINAL_RATE_HZ = 30.0
"""Stamps of sequences that have none: frame number over this rate."""

MAX_OFFSET_PX = 4.0
"""Colour and depth of one sequence may disagree by this much through their intrinsics, px of the depth image."""

_COLOUR_SUFFIXES = (".jpg", ".jpeg", ".png")


def open_plain(path: Path) -> RecordedSequence:
    """Open the plain layout.

    Raises:
        InputError: files are missing or unreadable, or depth is not registered to colour.
    """
    _refuse_raw_pair(path)
    depth = numbered_files(path / "depth", (".png",))
    colour = numbered_files(path / "color", _COLOUR_SUFFIXES)
    width, height = image_size(next(iter(depth.values())))
    colour_size = image_size(next(iter(colour.values())))
    if colour_size != (width, height):
        raise InputError(
            f"{path}: depth is {width}x{height} px and colour {colour_size[0]}x{colour_size[1]} px: the plain layout "
            "has one intrinsics.txt for both, register depth to colour first"
        )
    camera = Camera(width, height, read_intrinsics(path / "intrinsics.txt"))
    frames, left_out = _frames(path, colour, depth, _stamps(path, list(depth)))
    return RecordedSequence(path, "plain", camera, colour_size, frames, up=_up(path), left_out=left_out)


def open_scannet(path: Path) -> RecordedSequence:
    """Open a ScanNet export; colour is resized to the depth images, whose intrinsics are used.

    Raises:
        InputError: files are missing or unreadable, or the two intrinsics do not describe one viewpoint.
    """
    depth = numbered_files(path / "depth", (".png",))
    colour = numbered_files(path / "color", _COLOUR_SUFFIXES)
    width, height = image_size(next(iter(depth.values())))
    colour_size = image_size(next(iter(colour.values())))
    camera = Camera(width, height, read_intrinsics(path / "intrinsic" / "intrinsic_depth.txt"))
    colour_camera = Camera(*colour_size, read_intrinsics(path / "intrinsic" / "intrinsic_color.txt"))
    _check_same_view(path, camera, colour_camera.resized(width, height))
    frames, left_out = _frames(path, colour, depth, _stamps(path, list(depth)))
    return RecordedSequence(path, "scannet", camera, colour_size, frames, up=_up(path), left_out=left_out)


def _refuse_raw_pair(path: Path) -> None:
    """A depth camera's own images and poses, as published, are not what a colour image can be laid over."""
    raw_folders = [name for name in ("depth_raw", "pose_depth") if (path / name).is_dir()]
    for wanted, raw in (("depth", "depth_raw"), ("pose", "pose_depth")):
        if not (path / wanted).is_dir() and raw in raw_folders:
            raise InputError(
                f"{path} has {raw}/ but no {wanted}/: {raw} belongs to the depth camera and is not registered to "
                f"colour; warp depth into the colour camera and store it in {wanted}/"
            )
    depth_intrinsics = path / "intrinsics_depth.txt"
    # Beside depth_raw/ that file describes depth_raw/; otherwise it can only describe depth/.
    if depth_intrinsics.is_file() and "depth_raw" not in raw_folders:
        K_depth, K = read_intrinsics(depth_intrinsics), read_intrinsics(path / "intrinsics.txt")
        if not np.allclose(K_depth, K, atol=1e-3):
            raise InputError(
                f"{path}: depth is not registered to colour: intrinsics_depth.txt has fx = {K_depth[0, 0]:g} px, "
                f"intrinsics.txt has fx = {K[0, 0]:g} px"
            )


def _check_same_view(path: Path, depth: Camera, colour: Camera) -> None:
    """Compare where the corners of the depth image lie in the colour image resized to its size."""
    last = (depth.width - 1.0, depth.height - 1.0)
    corners = np.array([[0.0, 0.0], [last[0], 0.0], [0.0, last[1]], last])
    rays = np.append(depth.undistorted(corners), np.ones((4, 1)), axis=1)
    offset_px = float(np.abs(colour.project(rays) - corners).max())
    if offset_px > MAX_OFFSET_PX:
        raise InputError(
            f"{path}: depth is not registered to colour: their intrinsics move a corner by {offset_px:.1f} px, at most "
            f"{MAX_OFFSET_PX:g} px is allowed"
        )


def _frames(
    path: Path, colour: dict[str, Path], depth: dict[str, Path], stamps: dict[str, int]
) -> tuple[tuple[FrameFiles, ...], tuple[tuple[str, str], ...]]:
    """All frames with a pose, and which have none (inf or NaN: tracking was lost there)."""
    poses = numbered_files(path / "pose", (".txt",))
    for names, folder in ((colour, "color"), (poses, "pose")):
        missing = [stem for stem in depth if stem not in names]
        if missing:
            raise InputError(f"{path}: {len(missing)} of {len(depth)} depth images have no {folder} file: {missing[0]}")
    frames, left_out = [], []
    for stem, file in depth.items():
        T_world_camera = read_matrix(poses[stem], 4, 4)
        if not np.isfinite(T_world_camera).all():
            left_out.append((stem, "no pose: it holds inf or NaN, tracking was lost"))
            continue
        check_rigid(T_world_camera, str(poses[stem]))
        frames.append(FrameFiles(colour[stem], file, T_world_camera, stamps[stem]))
    if left_out:
        logger.warning("%s: %d of %d frames have no pose and are skipped", path, len(left_out), len(depth))
    return tuple(frames), tuple(left_out)


def _stamps(path: Path, stems: list[str]) -> dict[str, int]:
    """Time of each frame: from frames.txt, or the frame's number at the nominal rate."""
    listing = path / "frames.txt"
    if not listing.is_file():
        numbers = [int(stem) if stem.isdecimal() else place for place, stem in enumerate(stems)]
        return {stem: round(n * 1e9 / NOMINAL_RATE_HZ) for stem, n in zip(stems, numbers, strict=True)}
    stamps = {row[0]: stamp_ns(row[-1], listing) for row in read_rows(listing, 2)}
    missing = [stem for stem in stems if stem not in stamps]
    if missing:
        raise InputError(f"{listing} has no line for {len(missing)} of {len(stems)} frames: {missing[0]}")
    return stamps


def _up(path: Path) -> Float64[np.ndarray, " 3"]:
    """Against gravity_direction.txt where there is one, else z: the rule of ScanNet and of REP-103."""
    file = path / "gravity_direction.txt"
    if not file.is_file():
        return np.array([0.0, 0.0, 1.0])
    down = read_matrix(file, 3, 1)[:, 0]
    length = float(np.linalg.norm(down))
    if not (np.isfinite(length) and length > 0):
        raise InputError(f"{file}: {down.tolist()} is no direction")
    up: Float64[np.ndarray, " 3"] = -down / length
    return up
