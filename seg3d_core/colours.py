"""One colour per instance id, the same in every picture, marker and cloud."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Float32, Float64, Int32

PALETTE_SIZE = 256
"""Ids this far apart share a colour; nobody tells so many colours apart."""

COLOUR_BLIND_WEIGHT = 1.5
"""Distances as a red-green blind eye sees them count this much more, so that they decide only where they are small."""

GREY = 0.5
"""What has no instance."""


def instance_colours(instance_ids: Int32[np.ndarray, " Q"]) -> Float32[np.ndarray, "Q 3"]:
    """Colours (red, green, blue in 0..1) of instance ids: a fixed function of each id; grey for 0 and ``IGNORE``."""
    colours = _palette()[(instance_ids - 1) % PALETTE_SIZE]
    return np.where(instance_ids[:, None] > 0, colours, np.float32(GREY))


@lru_cache(maxsize=1)
def _palette() -> Float32[np.ndarray, "P 3"]:
    """Colours in the order of ids: each is the one farthest from grey and from all before it.

    Distances are Euclidean in OKLab (B. Ottosson 2020), the smaller of the normal one and, weighted, the one without
    the red-green axis, so that ids also differ in lightness or blueness. The first ids get the strongest contrast.
    """
    hue, lightness, chroma = np.meshgrid(
        np.arange(90) * 2 * np.pi / 90, np.linspace(0.45, 0.9, 10), np.linspace(0.08, 0.2, 6), indexing="ij"
    )
    lab = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=-1).reshape(-1, 3)
    linear = _linear_rgb(lab)
    is_shown = ((linear >= 0) & (linear <= 1)).all(axis=1)
    lab, linear = lab[is_shown], linear[is_shown]
    chosen: list[int] = []
    # Grey is taken; so are black and white, the backgrounds.
    distance = np.min([_distance(lab, np.array([level, 0.0, 0.0])) for level in (0.0, 0.6, 1.0)], axis=0)
    for _ in range(PALETTE_SIZE):
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, _distance(lab, lab[chosen[-1]]))
    rgb = linear[chosen]
    return np.where(rgb <= 0.0031308, 12.92 * rgb, 1.055 * rgb ** (1 / 2.4) - 0.055).astype(np.float32)


def _distance(lab: Float64[np.ndarray, "C 3"], one: Float64[np.ndarray, " 3"]) -> Float64[np.ndarray, " C"]:
    steps = lab - one
    colour_blind = COLOUR_BLIND_WEIGHT * np.linalg.norm(steps[:, [0, 2]], axis=1)
    return np.asarray(np.minimum(np.linalg.norm(steps, axis=1), colour_blind))


def _linear_rgb(lab: Float64[np.ndarray, "C 3"]) -> Float64[np.ndarray, "C 3"]:
    """Linear sRGB of OKLab colours; outside 0..1 where no screen shows them."""
    lightness, a, b = lab.T
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    red = 4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short
    green = -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short
    blue = -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short
    return np.stack([red, green, blue], axis=1)
