"""Sequences in the layout of the TUM RGB-D benchmark: rgb.txt, depth.txt, groundtruth.txt and the files they list.

Depth images hold 5000 steps per metre and are registered to colour. Colour and depth are paired by time, the pose at a
depth image is interpolated.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from seg3d_core.data.recorded_sequence import FrameFiles, RecordedSequence
from seg3d_core.data.rgbd_images import image_size
from seg3d_core.data.sequence_text import read_intrinsics, read_rows, stamp_ns
from seg3d_core.errors import InputError
from seg3d_core.geometry.camera import Camera
from seg3d_core.geometry.transforms import from_quaternion, interpolate

logger = logging.getLogger(__name__)

UNITS_PER_M = 5000.0
MAX_PAIR_GAP_NS = 20_000_000
"""Colour and depth farther apart in time are not a pair (the benchmark's own rule)."""
MAX_POSE_GAP_NS = 200_000_000
"""No pose is interpolated across a longer gap of the motion capture."""
DEFAULT_SIZE = (640, 480)
DEFAULT_K = ((525.0, 0.0, 319.5), (0.0, 525.0, 239.5), (0.0, 0.0, 1.0))
"""Intrinsics that the benchmark recommends for its registered depth images."""


def open_tum(path: Path) -> RecordedSequence:
    """Open a TUM RGB-D sequence; intrinsics from intrinsics.txt (3x3), else the benchmark's for 640x480 px.

    Raises:
        InputError: a list is missing or damaged, nothing can be paired, or the intrinsics are unknown.
    """
    colour, colour_ns = _listed(path / "rgb.txt")
    depth, depth_ns = _listed(path / "depth.txt")
    stamps, poses = _read_poses(path / "groundtruth.txt")
    frames, left_out = [], []
    partners = dict(pair(depth_ns, colour_ns, MAX_PAIR_GAP_NS))
    for i, stamp in enumerate(depth_ns.tolist()):
        T_world_camera = _pose_at(stamp, stamps, poses)
        if i not in partners:
            left_out.append((depth[i], f"no colour image within {MAX_PAIR_GAP_NS / 1e6:g} ms"))
        elif T_world_camera is None:
            left_out.append((depth[i], f"no pose: tracking has a gap of more than {MAX_POSE_GAP_NS / 1e6:g} ms there"))
        else:
            frames.append(FrameFiles(path / colour[partners[i]], path / depth[i], T_world_camera, stamp))
    if left_out:
        logger.warning("%s: %d of %d depth images have no colour image or pose", path, len(left_out), len(depth))
    if not frames:
        raise InputError(f"{path}: none of {len(depth)} depth images has a colour image within 20 ms and a pose")
    size = image_size(frames[0].depth)
    camera = _camera(path, size)
    return RecordedSequence(
        path, "tum", camera, image_size(frames[0].colour), tuple(frames), UNITS_PER_M, left_out=tuple(left_out)
    )


def pair(a_ns: Int64[np.ndarray, " A"], b_ns: Int64[np.ndarray, " B"], max_gap_ns: int) -> list[tuple[int, int]]:
    """One-to-one pairs (index in a, index in b) at most ``max_gap_ns`` apart, closest first served; ordered by a.

    Both inputs increase.
    """
    first = np.searchsorted(b_ns, a_ns - max_gap_ns)
    last = np.searchsorted(b_ns, a_ns + max_gap_ns, side="right")
    candidates = [
        (abs(int(a_ns[i]) - int(b_ns[k])), i, k) for i in range(len(a_ns)) for k in range(int(first[i]), int(last[i]))
    ]
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for _, i, k in sorted(candidates):
        if i not in pairs and k not in taken:
            pairs[i] = k
            taken.add(k)
    return sorted(pairs.items())


def _listed(path: Path) -> tuple[list[str], Int64[np.ndarray, " F"]]:
    """File names of a list and their stamps, in the order of time."""
    rows = [(stamp_ns(row[0], path), row[1]) for row in read_rows(path, 2)]
    if not rows:
        raise InputError(f"{path} lists no image")
    rows.sort()
    return [name for _, name in rows], np.array([stamp for stamp, _ in rows], np.int64)


def _read_poses(path: Path) -> tuple[Int64[np.ndarray, " G"], list[Float64[np.ndarray, "4 4"]]]:
    """Stamps and T_world_camera from lines of: seconds tx ty tz qx qy qz qw."""
    poses = []
    for row in read_rows(path, 8):
        try:
            numbers = np.array(row[1:8], np.float64)
        except ValueError as error:
            raise InputError(f"{path}: {error}") from error
        poses.append((stamp_ns(row[0], path), from_quaternion(numbers[:3], numbers[3:])))
    if not poses:
        raise InputError(f"{path} lists no pose")
    poses.sort(key=lambda pose: pose[0])
    return np.array([stamp for stamp, _ in poses], np.int64), [T for _, T in poses]


def _pose_at(
    stamp: int, stamps: Int64[np.ndarray, " G"], poses: list[Float64[np.ndarray, "4 4"]]
) -> Float64[np.ndarray, "4 4"] | None:
    after = int(np.searchsorted(stamps, stamp))
    if after < len(stamps) and stamps[after] == stamp:
        return poses[after]
    if after in (0, len(stamps)):
        return None
    gap = int(stamps[after] - stamps[after - 1])
    if gap > MAX_POSE_GAP_NS:
        return None
    return interpolate(poses[after - 1], poses[after], (stamp - int(stamps[after - 1])) / gap)


def _camera(path: Path, size: tuple[int, int]) -> Camera:
    file = path / "intrinsics.txt"
    if file.is_file():
        return Camera(*size, read_intrinsics(file))
    if size != DEFAULT_SIZE:
        raise InputError(f"{path}: images are {size[0]}x{size[1]} px: put the 3x3 camera matrix into intrinsics.txt")
    logger.warning("%s has no intrinsics.txt: using the TUM benchmark's fx = fy = 525 px, cx = 319.5, cy = 239.5", path)
    return Camera(*size, np.array(DEFAULT_K))
