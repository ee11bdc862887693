"""What colour each point has on the screen."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32, Int32, UInt8

from seg3d_core.browser.colouring_kernels import mixed_colours
from seg3d_core.colours import GREY, PALETTE_SIZE, instance_colours
from seg3d_core.types import Cloud

Colours = Literal["true", "instances"]

SELECTED = np.array([1.0, 0.85, 0.0], np.float32)
"""The object in progress, whatever the other colours are."""

PICKED = np.array([1.0, 1.0, 1.0], np.float32)
"""Instances that the next action is about are so much lighter."""

TINT, LIGHT, MARK = np.float32(0.7), np.float32(0.6), np.float32(0.7)
"""Shares of an instance's colour, ``PICKED`` and ``SELECTED``; the rest is what was before: edges stay to be seen."""


def true_colours(cloud: Cloud) -> Float32[np.ndarray, "N 3"]:
    """Colours of a cloud; grey where it has none."""
    return np.full(cloud.points.shape, GREY + 0.2, np.float32) if cloud.rgb is None else cloud.rgb


def point_colours(
    true_rgb: Float32[np.ndarray, "N 3"],
    instance_ids: Int32[np.ndarray, " N"],
    selected: Bool[np.ndarray, " N"] | None,
    picked: Collection[int],
    colours: Colours,
) -> UInt8[np.ndarray, "N 3"]:
    """Colours of points, 0..255.

    Args:
        true_rgb: 0..1.
        instance_ids: 0 = none.
        selected: the object in progress; None where there is none.
        picked: ids of instances that the next action is about.
        colours: of everything else.
    """
    shown: UInt8[np.ndarray, "N 3"] = mixed_colours(
        true_rgb,
        instance_ids,
        np.zeros(len(true_rgb), np.bool_) if selected is None else selected,
        np.array(list(picked), np.int32),
        instance_colours(np.arange(1, PALETTE_SIZE + 1, dtype=np.int32)),
        TINT if colours == "instances" else np.float32(0),
        np.append(PICKED, LIGHT),
        np.append(SELECTED, MARK),
    )
    return shown
