"""Things that stand about on tables, 3 to 35 cm large: packs, cans, cups, bowls, balls, in any orientation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from seg3d_core.data.rooms import desk_things, tableware
from seg3d_core.data.rooms.items import Item, Part
from seg3d_core.data.rooms.materials import (
    METALS,
    Material,
    checker,
    cloth,
    furniture_finish,
    muted,
    pick,
    picture,
    plain,
    speckled,
    stripes,
    tiles,
    vivid,
)
from seg3d_core.data.rooms.meshes import Mesh, box, cylinder, revolution, rounded_box, superellipsoid

Maker = Callable[[np.random.Generator], Item]

SMALLEST_M, LARGEST_M = 0.03, 0.35
"""Limits of a thing's longest side."""

OPEN = frozenset({"mug", "bowl", "vase", "cup", "plate", "pencil cup"})
"""Hollow from above while they stand: nothing is put on them."""

_PACK_SIZES_M = (
    ((0.16, 0.24), (0.04, 0.09), (0.20, 0.34)),
    ((0.15, 0.30), (0.10, 0.22), (0.015, 0.06)),
    ((0.05, 0.20), (0.05, 0.20), (0.05, 0.20)),
    ((0.03, 0.10), (0.02, 0.08), (0.02, 0.10)),
    ((0.12, 0.28), (0.03, 0.06), (0.03, 0.06)),
)
"""Ranges of the three sides: cereal, flat pack or book, cube, small pack, long pack."""


def print_(rng: np.random.Generator, size_m: float) -> Material:
    """What a pack of about ``size_m`` metres may be covered with."""
    first = vivid(rng) if rng.uniform() < 0.6 else muted(rng)
    second = vivid(rng)
    choices = (
        plain(first),
        picture(rng, first, second, size_m * rng.uniform(0.2, 0.8)),
        stripes(first, second, size_m * rng.uniform(0.1, 0.5), int(rng.integers(3))),
        checker(first, second, size_m * rng.uniform(0.1, 0.4)),
        speckled(rng, first, second, size_m * rng.uniform(0.05, 0.2)),
    )
    return choices[int(rng.choice(5, p=[0.35, 0.3, 0.15, 0.05, 0.15]))]


def top_finish(rng: np.random.Generator) -> Material:
    """What a table top may look like: mostly wood and plain, also tiles, stone and cloth."""
    first, second = muted(rng), muted(rng)
    grey = float(rng.uniform(0.08, 0.95))
    choices = (
        furniture_finish(rng),
        plain(first),
        plain((grey, grey, grey)),
        speckled(rng, first, second, rng.uniform(0.01, 0.1)),
        tiles(rng, first, rng.uniform(0.05, 0.25)),
        cloth(rng),
    )
    return choices[int(rng.choice(6, p=[0.4, 0.15, 0.2, 0.08, 0.05, 0.12]))]


def pack(rng: np.random.Generator) -> Item:
    """Box of any proportions on any of its sides, plain or printed, often with labels on its faces."""
    ranges = _PACK_SIZES_M[int(rng.choice(len(_PACK_SIZES_M), p=[0.3, 0.25, 0.2, 0.15, 0.1]))]
    size = np.array([rng.uniform(low, high) for low, high in ranges])
    size = size if rng.uniform() < 0.5 else size[rng.permutation(3)]
    x, y, z = (float(side) for side in size)
    is_sharp = rng.uniform() < 0.7
    body = box(x, y, z) if is_sharp else rounded_box(x, y, z, min(x, y, z) * rng.uniform(0.05, 0.3))
    parts = [Part("box", body, print_(rng, max(x, y, z)))]
    if is_sharp:
        parts += _labels(rng, x, y, z)
    return Item("box", tuple(parts))


def _labels(rng: np.random.Generator, x: float, y: float, z: float) -> list[Part]:
    """Up to two plates through the box, so that each shows on two opposite faces, half a millimetre proud."""
    parts: list[Part] = []
    for axis in rng.permutation(3)[: int(rng.integers(0, 3))]:
        shares = rng.uniform(0.3, 0.95, 3)
        shares[axis] = 1.0
        sides = shares * (x, y, z)
        sides[axis] += 0.0 if axis == 2 else 0.001
        rise = 0.0005 if axis == 2 else rng.uniform(0, 1) * (z - sides[2])
        label = box(*(float(side) for side in sides)).at(z=float(rise))
        parts.append(Part(f"label {len(parts) + 1}", label, print_(rng, float(sides.max()))))
    return parts


def cup(rng: np.random.Generator) -> Item:
    """Glass or beaker without a handle, straight or conical."""
    radius, height_m = rng.uniform(0.025, 0.05), rng.uniform(0.06, 0.16)
    low, wall = radius * rng.uniform(0.6, 1.05), 0.003
    profile = [
        (0, 0), (low, 0), (radius, height_m), (radius - wall, height_m), (low - wall, 0.006), (0, 0.006)
    ]  # fmt: skip
    return Item("cup", (Part("body", revolution(profile), print_(rng, height_m)),))


def drum(rng: np.random.Generator) -> Item:
    """Cylinder of any proportions: tins, tubes of crisps, rolls, jars with a lid."""
    radius = float(np.exp(rng.uniform(np.log(0.015), np.log(0.08))))
    height_m = float(np.clip(radius * np.exp(rng.uniform(np.log(0.6), np.log(7.0))), SMALLEST_M, 0.32))
    parts = [Part("body", cylinder(radius, height_m, 32), print_(rng, height_m))]
    if rng.uniform() < 0.6:
        lid = cylinder(radius * rng.uniform(0.9, 1.05), height_m * rng.uniform(0.04, 0.2), 32)
        finish = plain(pick(rng, METALS) if rng.uniform() < 0.4 else vivid(rng))
        parts.append(Part("lid", lid.at(z=height_m), finish))
    return Item("cylinder", tuple(parts))


def ball(rng: np.random.Generator) -> Item:
    """Sphere, ellipsoid or a soft-edged lump."""
    sizes = rng.uniform(0.035, 0.16) * (np.ones(3) if rng.uniform() < 0.5 else rng.uniform(0.5, 1.0, 3))
    bend = 1.0 if rng.uniform() < 0.7 else float(rng.uniform(0.4, 1.0))
    x, y, z = (float(size) for size in sizes)
    mesh = superellipsoid(x, y, z, bend, bend, 28)
    return Item("ball", (Part("body", mesh, print_(rng, float(sizes.max()))),))


MAKERS: dict[str, tuple[Maker, ...]] = {
    "boxes": (pack, pack, pack, desk_things.packet),
    "round": (
        drum, drum, cup, ball, tableware.mug, tableware.bowl, tableware.can, tableware.bottle,
    ),
    "mixed": (
        pack, pack, pack, pack, pack, drum, drum, drum, cup, cup, ball, desk_things.packet, desk_things.random_book,
        desk_things.pencil_cup, desk_things.clock, desk_things.mouse, tableware.mug, tableware.mug, tableware.bowl,
        tableware.bowl, tableware.can, tableware.bottle, tableware.vase, tableware.plate, tableware.fruit,
        tableware.teapot,
    ),
}  # fmt: skip
"""What a table may hold."""

_LYING = {"can": 0.2, "bottle": 0.3, "cylinder": 0.3, "book": 0.85, "mug": 0.1, "cup": 0.15, "vase": 0.1}
_OVER = {"mug": 0.1, "cup": 0.2, "bowl": 0.15}


def make_thing(rng: np.random.Generator, kinds: str) -> tuple[Item, bool]:
    """A thing as it stands, lies or is turned over on z = 0, and whether another may be put on it.

    Args:
        rng: the source of all choices.
        kinds: key of ``MAKERS``.
    """
    makers = MAKERS[kinds]
    item = _sized(rng, makers[int(rng.integers(len(makers)))](rng))
    if rng.uniform() < _LYING.get(item.name, 0.0):
        return item.turned(1, np.pi / 2), item.name == "book"
    if rng.uniform() < _OVER.get(item.name, 0.0) and len(item.parts) < 3:
        return item.turned(0, np.pi), True
    return item, item.name not in OPEN


def _sized(rng: np.random.Generator, item: Item) -> Item:
    """Scaled as a whole, within the limits of things."""
    longest = float(np.ptp(item.bounds(), axis=0).max())
    wanted = np.clip(longest * np.exp(rng.normal(0, 0.15)), SMALLEST_M, LARGEST_M)
    parts = [
        replace(part, mesh=Mesh(part.mesh.vertices * (wanted / longest), part.mesh.triangles)) for part in item.parts
    ]
    return Item(item.name, tuple(parts))


def repainted(item: Item, material: Material) -> Item:
    """The item with one material all over."""
    return Item(item.name, tuple(replace(part, material=material) for part in item.parts), item.supports)
