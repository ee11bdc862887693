"""What colour each point has on the screen."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32, Int32, UInt8

from seg3d_core.colours import GREY, instance_colours
from seg3d_core.types import Cloud

Colours = Literal["true", "instances"]

SELECTED = np.array([1.0, 0.85, 0.0], np.float32)
"""The object in progress, whatever the other colours are."""

PICKED = np.array([1.0, 1.0, 1.0], np.float32)
"""Instances that the next action is about are so much lighter."""

_TINT = 0.7
"""Share of an instance's colour, the rest is the true one: edges stay to be seen."""


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
    rgb = true_rgb.copy()
    if colours == "instances":
        has = instance_ids > 0
        rgb[has] = (1 - _TINT) * rgb[has] + _TINT * instance_colours(instance_ids[has])
    if picked:
        lit = np.isin(instance_ids, list(picked))
        rgb[lit] = 0.4 * rgb[lit] + 0.6 * PICKED
    if selected is not None:
        rgb[selected] = 0.3 * rgb[selected] + 0.7 * SELECTED
    shown: UInt8[np.ndarray, "N 3"] = np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8)
    return shown
