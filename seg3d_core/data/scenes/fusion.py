"""Scene clouds out of frames, for scenes that bring no scan of their own."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Int32

from seg3d_core.config import FusionConfig, GraphConfig
from seg3d_core.errors import InputError
from seg3d_core.geometry.superpoints import cloud_superpoints
from seg3d_core.geometry.tsdf import TsdfVolume
from seg3d_core.types import Cloud, RgbdFrame


def fuse(frames: Iterable[RgbdFrame], config: FusionConfig) -> Cloud:
    """One cloud of all frames; those without depth in the range of ``config`` add nothing.

    Raises:
        InputError: no surface was seen often enough, or the frames do not fit (see ``TsdfVolume.integrate``).
    """
    volume = TsdfVolume(config)
    count = 0
    for frame in frames:
        usable = (frame.depth_m >= config.min_depth_m) & (frame.depth_m <= config.max_depth_m)
        if usable.any():
            volume.integrate(frame)
            count += 1
    cloud = volume.extract()
    if len(cloud) == 0:
        raise InputError(
            f"nothing to fuse: {count} frames have depth between {config.min_depth_m:g} and {config.max_depth_m:g} m, "
            f"and no surface in them was seen {config.min_weight:g} times"
        )
    return cloud


def superpoints_of(cloud: Cloud, config: GraphConfig) -> Int32[np.ndarray, " N"]:
    """Surface patch of each point, dense from 0; all one patch where there are too few points for a graph."""
    if len(cloud) <= config.neighbours:
        return np.zeros(len(cloud), np.int32)
    return cloud_superpoints(cloud, config)
