"""An object that something else has found, on whichever cloud of the same frame."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from seg3d_core.errors import InputError, PromptError
from seg3d_core.interaction.snapping import describe, snap
from seg3d_core.interaction.transfer import transfer_mask
from seg3d_core.types import IGNORE, Cloud, Instances


def instance_mask(instances: Instances, row: int, cloud: Cloud, tolerance_m: float) -> Bool[np.ndarray, " N"]:
    """One of the instances on ``cloud``: see ``transfer_mask``; as it is where it was found on that very cloud.

    Raises:
        InputError: the instances are in another frame, or have no such row.
    """
    check_frame(instances, cloud)
    if not 0 <= row < len(instances):
        raise InputError(f"there is no instance in row {row}, there are {len(instances)}")
    mask: Bool[np.ndarray, " N"] = instances.masks[row]
    if instances.cloud is cloud:
        return mask
    return transfer_mask(instances.cloud.points, mask, cloud.points, tolerance_m)


def instance_under(instances: Instances, click: Float[np.ndarray, "3"], max_snap_m: float) -> int:
    """Row of the instance that a click is on: that of the nearest point of the instances' cloud; of several the best.

    Raises:
        PromptError: the click is not finite, too far from that cloud, or on no instance.
    """
    place, _ = snap(instances.cloud.points, click, max_snap_m)
    row = int(instances.labels[place])
    if row == IGNORE:
        raise PromptError(f"the click at {describe(click)} m is on none of the {len(instances)} instances")
    return row


def check_frame(instances: Instances, cloud: Cloud) -> None:
    """Whether instances and cloud can be compared.

    Raises:
        InputError: they are in different frames.
    """
    if instances.cloud.frame_id != cloud.frame_id:
        raise InputError(f"the instances are in frame {instances.cloud.frame_id!r}, the cloud in {cloud.frame_id!r}")
