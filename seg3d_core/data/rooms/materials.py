"""What surfaces look like: procedural textures with seeded colours.

A texture is a function of the point in the object's own frame, evaluated where a ray hits, so its sharpness does not
depend on the mesh.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from seg3d_core.data.rooms import texture_kernels as kernels

Rgb = tuple[float, float, float]

WOODS: tuple[Rgb, ...] = (
    (0.72, 0.52, 0.33), (0.55, 0.36, 0.21), (0.42, 0.27, 0.17), (0.83, 0.68, 0.48), (0.62, 0.38, 0.24),
    (0.34, 0.24, 0.18),
)  # fmt: skip
WALL_PAINTS: tuple[Rgb, ...] = (
    (0.90, 0.88, 0.83), (0.82, 0.87, 0.88), (0.88, 0.84, 0.74), (0.80, 0.85, 0.78), (0.91, 0.90, 0.89),
    (0.84, 0.80, 0.82),
)  # fmt: skip
GLAZES: tuple[Rgb, ...] = (
    (0.72, 0.22, 0.18), (0.86, 0.52, 0.22), (0.88, 0.73, 0.30), (0.46, 0.56, 0.26), (0.22, 0.45, 0.34),
    (0.20, 0.50, 0.53), (0.22, 0.36, 0.60), (0.36, 0.29, 0.55), (0.62, 0.30, 0.48), (0.83, 0.55, 0.52),
    (0.86, 0.83, 0.76), (0.30, 0.32, 0.36), (0.52, 0.66, 0.76), (0.50, 0.30, 0.22),
)  # fmt: skip
METALS: tuple[Rgb, ...] = ((0.30, 0.31, 0.33), (0.62, 0.63, 0.65), (0.16, 0.16, 0.17), (0.68, 0.58, 0.38))


@dataclass(frozen=True)
class Material:
    """A procedural texture.

    Attributes:
        kind: one of the texture constants of ``texture_kernels``.
        first: main colour, 0..1.
        second: colour of the pattern, 0..1.
        scale_m: size of the pattern, metres.
        axis: coordinate axis of the object along which grain, stripes or planks run.
        phase: shifts the pattern, so that two objects of one material differ.
    """

    kind: int
    first: Rgb
    second: Rgb = (0.0, 0.0, 0.0)
    scale_m: float = 0.1
    axis: int = 0
    phase: float = 0.0

    def row(self) -> list[float]:
        """The numbers that ``texture_kernels.shade`` reads, in its order."""
        return [float(self.kind), *self.first, *self.second, self.scale_m, float(self.axis), self.phase]


def material_table(materials: Sequence[Material]) -> Float32[np.ndarray, "M 10"]:
    """All materials as rows for ``texture_kernels.shade``."""
    return np.array([material.row() for material in materials], np.float32).reshape(-1, 10)


def shaded(colour: Rgb, factor: float) -> Rgb:
    """``colour`` darker (factor < 1) or lighter (> 1), clipped to 0..1."""
    red, green, blue = (min(1.0, channel * factor) for channel in colour)
    return red, green, blue


def pick(rng: np.random.Generator, colours: Sequence[Rgb], spread: float = 0.12) -> Rgb:
    """One of the colours, up to the share ``spread`` brighter or darker, and a trace off in hue."""
    bright = rng.uniform(1 - spread, 1 + spread)
    red, green, blue = np.clip(
        np.asarray(colours[int(rng.integers(len(colours)))]) * bright + rng.uniform(-0.02, 0.02, 3), 0, 1
    )
    return float(red), float(green), float(blue)


def vivid(rng: np.random.Generator) -> Rgb:
    """A strong colour, as plastic, print and glaze have."""
    return pick(rng, GLAZES)


def muted(rng: np.random.Generator) -> Rgb:
    """A subdued colour of any hue, as upholstery and lacquer have."""
    return colorsys.hsv_to_rgb(rng.uniform(0, 1), rng.uniform(0.12, 0.45), rng.uniform(0.35, 0.85))


def plain(colour: Rgb) -> Material:
    """One colour."""
    return Material(kernels.PLAIN, colour)


def wood(rng: np.random.Generator, colour: Rgb, axis: int = 0) -> Material:
    """Wood with its grain along ``axis``."""
    scale_m = rng.uniform(0.025, 0.05)
    return Material(kernels.WOOD, colour, shaded(colour, 0.68), scale_m, axis, rng.uniform(0, 50))


def planks(rng: np.random.Generator, colour: Rgb) -> Material:
    """Floor boards along x."""
    return Material(kernels.PLANKS, colour, shaded(colour, 0.6), rng.uniform(0.12, 0.2), 0, rng.uniform(0, 50))


def tiles(rng: np.random.Generator, colour: Rgb, size_m: float) -> Material:
    """Square tiles with joints."""
    return Material(kernels.TILES, colour, shaded(colour, 0.7), size_m, 0, rng.uniform(0, 50))


def checker(first: Rgb, second: Rgb, size_m: float) -> Material:
    """Chequered in all three axes."""
    return Material(kernels.CHECKER, first, second, size_m)


def stripes(first: Rgb, second: Rgb, width_m: float, axis: int) -> Material:
    """Stripes that change along ``axis``."""
    return Material(kernels.STRIPES, first, second, width_m, axis)


def speckled(rng: np.random.Generator, first: Rgb, second: Rgb, size_m: float) -> Material:
    """Soft blotches: stone, fabric, fruit."""
    return Material(kernels.SPECKLES, first, second, size_m, 0, rng.uniform(0, 50))


def fabric(rng: np.random.Generator, colour: Rgb) -> Material:
    """Woven cloth or carpet: fine noise over broad blotches."""
    return Material(kernels.FABRIC, colour, shaded(colour, 0.72), rng.uniform(0.006, 0.012), 0, rng.uniform(0, 50))


def keys() -> Material:
    """Key caps seen from above."""
    return Material(kernels.KEYS, (0.17, 0.17, 0.18), (0.78, 0.78, 0.8), 0.019)


def picture(rng: np.random.Generator, first: Rgb, second: Rgb, size_m: float) -> Material:
    """Large flowing shapes of two colours: paintings and screens."""
    return Material(kernels.PICTURE, first, second, size_m, 0, rng.uniform(0, 50))


def cloth(rng: np.random.Generator) -> Material:
    """What a cushion, blanket or rug may be made of."""
    first, second = muted(rng), muted(rng)
    choices = (
        fabric(rng, first),
        fabric(rng, shaded(first, 0.7)),
        stripes(first, second, rng.uniform(0.03, 0.08), int(rng.integers(2))),
        checker(first, second, rng.uniform(0.05, 0.12)),
    )
    return choices[int(rng.choice(4, p=[0.4, 0.3, 0.15, 0.15]))]


def furniture_finish(rng: np.random.Generator, axis: int = 0) -> Material:
    """What a carcass or a table may be made of: mostly wood, sometimes lacquer."""
    if rng.uniform() < 0.7:
        return wood(rng, pick(rng, WOODS), axis)
    return plain(pick(rng, ((0.9, 0.9, 0.88), (0.25, 0.26, 0.28), muted(rng))))
