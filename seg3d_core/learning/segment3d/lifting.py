"""From an RGB-D image and its 2-D masks to a cloud with 3-D ones; section 4.2 of the method."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64, Int32
from scipy.spatial.transform import Rotation

from seg3d_core.errors import InputError
from seg3d_core.geometry.backprojection import backproject
from seg3d_core.learning.segment3d.augmentation_kernels import turn_about
from seg3d_core.types import IGNORE, LabelledCloud, RgbdFrame

FEWEST_PIXELS = 100
"""With depth; smaller masks are no masks."""

MAX_DEPTH_M = 66.0
"""All that a depth image in mm can hold: the original leaves nothing out."""

_UPRIGHT = 1 - 1e-9
"""Cosine between up and z from which on nothing is turned."""


def lift_frame(
    frame: RgbdFrame,
    mask_ids: Int32[np.ndarray, "H W"],
    fewest_pixels: int = FEWEST_PIXELS,
    max_depth_m: float = MAX_DEPTH_M,
) -> LabelledCloud:
    """The points that ``frame`` sees, in the world, each with the mask of its pixel.

    Masks of fewer than ``fewest_pixels`` pixels with depth are dropped; the others are numbered from 1 in the order of
    their ids. Points without a mask are ``IGNORE``.

    Raises:
        InputError: the frame has no pose, or one that is not rigid; masks of another size than the depth image.
    """
    if frame.T_world_camera is None:
        raise InputError("the frame has no pose: its points cannot be brought to the world")
    if mask_ids.shape != frame.depth_m.shape:
        (rows, columns), (height, width) = mask_ids.shape, frame.depth_m.shape
        raise InputError(f"masks are {columns}x{rows} px but the depth image is {width}x{height} px")
    cloud = backproject(frame, 0.0, max_depth_m)
    assert cloud.source_index is not None
    return LabelledCloud(cloud, numbered(mask_ids.reshape(-1)[cloud.source_index], fewest_pixels), {})


def numbered(ids: Int32[np.ndarray, " N"], fewest: int) -> Int32[np.ndarray, " N"]:
    """Ids that occur at least ``fewest`` times become 1, 2 .. in their order; all others, and negative ones, IGNORE."""
    counts = np.bincount(ids[ids >= 0])
    large = counts >= max(1, fewest)
    numbers = np.where(large, np.cumsum(large), IGNORE).astype(np.int32)
    # The last entry is that of IGNORE.
    known: Int32[np.ndarray, " N"] = np.append(numbers, np.int32(IGNORE))[np.maximum(ids, IGNORE)]
    return known


def upright(points: Float32[np.ndarray, "N 3"], up: Float64[np.ndarray, " 3"]) -> Float32[np.ndarray, "N 3"]:
    """``points`` turned about the origin, by the least angle that brings ``up`` (any length but 0) to z."""
    R = upright_rotation(up)
    if np.array_equal(R, np.eye(3)):
        return points
    turned: Float32[np.ndarray, "N 3"] = turn_about(points, R, np.zeros(3))
    return turned


def upright_rotation(up: Float64[np.ndarray, " 3"]) -> Float64[np.ndarray, "3 3"]:
    """The least rotation that brings ``up`` to z.

    Raises:
        InputError: ``up`` is no direction.
    """
    length = float(np.linalg.norm(up))
    if not (np.isfinite(length) and length > 0):
        raise InputError(f"up is {up.tolist()}, it must be a direction")
    x, y, z = (up / length).tolist()
    if z > _UPRIGHT:
        return np.eye(3)
    across = float(np.hypot(x, y))
    axis = np.array([y, -x, 0.0]) / across if across > 0 else np.array([1.0, 0.0, 0.0])
    matrix: Float64[np.ndarray, "3 3"] = Rotation.from_rotvec(axis * np.arctan2(across, z)).as_matrix()
    return matrix
