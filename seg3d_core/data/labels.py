"""Carrying ground truth from one sampling of a surface to another."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int32
from scipy.spatial import cKDTree

from seg3d_core.errors import InputError
from seg3d_core.types import IGNORE, Cloud, LabelledCloud


def transfer_labels(truth: LabelledCloud, cloud: Cloud, max_distance_m: float) -> Int32[np.ndarray, " N"]:
    """Ground truth id of each point of ``cloud``: that of the nearest point of ``truth``.

    Args:
        truth: known points, denser than ``max_distance_m``, in the same frame as ``cloud``.
        cloud: for example a fused cloud.
        max_distance_m: points farther than this from all known ones get ``IGNORE``.

    Raises:
        InputError: ``max_distance_m`` is not positive.
    """
    if not max_distance_m > 0:
        raise InputError(f"max_distance_m is {max_distance_m} m, must be greater than 0 m")
    if len(truth.cloud) == 0:
        return np.full(len(cloud), IGNORE, np.int32)
    tree = cKDTree(truth.cloud.points)
    # Points out of reach come back with the row after the last one.
    _, rows = tree.query(cloud.points, distance_upper_bound=max_distance_m)
    return np.asarray(np.append(truth.instance_id, np.int32(IGNORE))[rows])
