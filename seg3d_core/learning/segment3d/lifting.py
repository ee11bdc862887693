"""From an RGB-D image and its 2-D masks to a cloud with 3-D ones; section 4.2 of the method."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int32

from seg3d_core.errors import InputError
from seg3d_core.geometry.backprojection import backproject
from seg3d_core.types import IGNORE, LabelledCloud, RgbdFrame

FEWEST_PIXELS = 100
"""With depth; smaller masks are no masks."""

MAX_DEPTH_M = 66.0
"""All that a depth image in mm can hold: the original leaves nothing out."""


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
