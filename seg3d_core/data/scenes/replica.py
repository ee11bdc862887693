"""Replica, as rendered for SLAM: results/frameNNNNNN.jpg and depthNNNNNN.png, traj.txt, and cam_params.json.

cam_params.json (w, h, fx, fy, cx, cy, scale: depth steps in a metre) lies beside or in the scene's folder; every line
of traj.txt is one T_world_camera. The world has z up.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from seg3d_core.data.recorded_sequence import FrameFiles, RecordedSequence
from seg3d_core.data.rgbd_images import image_size
from seg3d_core.data.sequence_text import read_rows
from seg3d_core.errors import InputError
from seg3d_core.geometry.camera import Camera
from seg3d_core.geometry.transforms import check_rigid

TRAJECTORY = "traj.txt"
RATE_HZ = 30.0


def open_replica(path: Path) -> RecordedSequence:
    """Open a scene.

    Raises:
        InputError: files are missing or damaged, or trajectory and images differ in number.
    """
    camera, units_per_m = _parameters(path)
    poses = _poses(path / TRAJECTORY)
    colour = sorted((path / "results").glob("frame*.jpg"))
    depth = sorted((path / "results").glob("depth*.png"))
    if not len(colour) == len(depth) == len(poses) > 0:
        raise InputError(f"{path}: {len(colour)} colour images, {len(depth)} depth images and {len(poses)} poses")
    frames, left_out = [], []
    for number, (rgb, steps, T_world_camera) in enumerate(zip(colour, depth, poses, strict=True)):
        try:
            check_rigid(T_world_camera, f"line {number + 1} of {TRAJECTORY}")
            frames.append(FrameFiles(rgb, steps, T_world_camera, round(number * 1e9 / RATE_HZ)))
        except InputError as error:
            left_out.append((steps.stem, str(error)))
    if image_size(depth[0]) != (camera.width, camera.height):
        width, height = image_size(depth[0])
        raise InputError(
            f"{path}: depth is {width}x{height} px, cam_params.json says {camera.width}x{camera.height} px"
        )
    size = image_size(colour[0])
    return RecordedSequence(path, "replica", camera, size, tuple(frames), units_per_m, left_out=tuple(left_out))


def _parameters(path: Path) -> tuple[Camera, float]:
    """Camera and depth steps in a metre."""
    file = next((f / "cam_params.json" for f in (path, path.parent) if (f / "cam_params.json").is_file()), None)
    if file is None:
        raise InputError(f"{path}: no cam_params.json in it or beside it: the intrinsics are not known")
    try:
        values = json.loads(file.read_text(encoding="utf-8"))["camera"]
        w, h, fx, fy, cx, cy, scale = (float(values[key]) for key in ("w", "h", "fx", "fy", "cx", "cy", "scale"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file}: no camera with w h fx fy cx cy scale: {error}") from error
    if not scale > 0:
        raise InputError(f"{file}: scale = {scale:g} depth steps in a metre, expected a positive number")
    return Camera(int(w), int(h), np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])), scale


def _poses(path: Path) -> list[Float64[np.ndarray, "4 4"]]:
    try:
        return [np.array(row[:16], np.float64).reshape(4, 4) for row in read_rows(path, 16)]
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
