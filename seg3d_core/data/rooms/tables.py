"""Tables and desks: a top, legs or a column, sometimes an apron, a shelf or drawers."""

from __future__ import annotations

import numpy as np

from seg3d_core.data.rooms.items import Item, Part, Support, legs, square
from seg3d_core.data.rooms.materials import METALS, furniture_finish, pick, plain
from seg3d_core.data.rooms.meshes import Mesh, box, cylinder, revolution, rounded_box


def table(rng: np.random.Generator, name: str, length_m: float, depth_m: float, height_m: float, holds: str) -> Item:
    """Rectangular table with four legs, square, round or turned, and an apron."""
    thickness = rng.uniform(0.022, 0.04)
    finish = furniture_finish(rng)
    leg_finish = finish if rng.uniform() < 0.6 else plain(pick(rng, METALS))
    leg = _leg(rng, height_m - thickness)
    inset = rng.uniform(0.05, 0.08)
    top = rounded_box(length_m, depth_m, thickness, rng.uniform(0.003, 0.012), 1).at(z=height_m - thickness)
    parts = [Part("top", top, finish), *legs("leg", leg, square(length_m, depth_m, inset), leg_finish)]
    rail = rng.uniform(0.05, 0.09)
    below = height_m - thickness - rail
    for side in (-1, 1):
        long_rail = box(length_m - 2 * inset, 0.02, rail).at(y=side * (depth_m / 2 - inset), z=below)
        short_rail = box(0.02, depth_m - 2 * inset, rail).at(x=side * (length_m / 2 - inset), z=below)
        parts += [Part(f"long rail {side:+d}", long_rail, finish), Part(f"short rail {side:+d}", short_rail, finish)]
    return Item(name, tuple(parts), (Support((0, 0, height_m), length_m, depth_m, 1.0, holds),))


def _leg(rng: np.random.Generator, height_m: float) -> Mesh:
    width = rng.uniform(0.04, 0.065)
    kind = rng.integers(3)
    if kind == 0:
        return box(width, width, height_m)
    if kind == 1:
        return revolution([(0, 0), (width * 0.3, 0), (width * 0.55, height_m), (0, height_m)], 16)
    heights = np.linspace(0, height_m, 13)
    radii = width * (0.42 + 0.12 * np.sin(heights / height_m * 9 + rng.uniform(0, 3)))
    return revolution([(0, 0), *zip(radii.tolist(), heights.tolist(), strict=True), (0, height_m)], 16)


def round_table(rng: np.random.Generator, name: str, diameter_m: float, height_m: float, holds: str) -> Item:
    """Round top on one column with a foot."""
    finish = furniture_finish(rng)
    metal = plain(pick(rng, METALS))
    radius, thickness = diameter_m / 2, rng.uniform(0.02, 0.035)
    edge = thickness * 0.3
    top = revolution(
        [
            (0, 0),
            (radius - edge, 0),
            (radius, edge),
            (radius, thickness - edge),
            (radius - edge, thickness),
            (0, thickness),
        ],
        48,
    )
    foot = revolution([(0, 0), (radius * 0.55, 0), (radius * 0.55, 0.012), (0.05, 0.035), (0, 0.035)], 32)
    parts = (
        Part("top", top.at(z=height_m - thickness), finish),
        Part("column", cylinder(rng.uniform(0.025, 0.045), height_m - thickness - 0.03).at(z=0.03), metal),
        Part("foot", foot, metal),
    )
    side = diameter_m * 0.69
    return Item(name, parts, (Support((0, 0, height_m), side, side, 1.0, holds),))


def coffee_table(rng: np.random.Generator) -> Item:
    """Low table, round or rectangular."""
    height_m = rng.uniform(0.36, 0.46)
    if rng.uniform() < 0.35:
        return round_table(rng, "coffee table", rng.uniform(0.65, 0.9), height_m, "table")
    return table(rng, "coffee table", rng.uniform(0.85, 1.15), rng.uniform(0.5, 0.65), height_m, "table")


def side_table(rng: np.random.Generator) -> Item:
    """Small table for a lamp, a plant or a cup."""
    return round_table(rng, "side table", rng.uniform(0.4, 0.52), rng.uniform(0.48, 0.62), "bedside")


def desk(rng: np.random.Generator) -> Item:
    """Desk on two side panels with a block of drawers on one side; the sitter's side is -y."""
    length_m, depth_m, height_m = rng.uniform(1.2, 1.6), rng.uniform(0.6, 0.75), rng.uniform(0.72, 0.76)
    thickness = 0.028
    finish, front_finish = furniture_finish(rng), furniture_finish(rng)
    metal = plain(pick(rng, METALS))
    below = height_m - thickness
    parts = [Part("top", rounded_box(length_m, depth_m, thickness, 0.004, 1).at(z=below), finish)]
    for number, side in enumerate((-1, 1), 1):
        panel = box(0.025, depth_m * 0.92, below).at(x=side * (length_m / 2 - 0.03))
        parts.append(Part(f"panel {number}", panel, finish))
    parts.append(Part("back", box(length_m - 0.06, 0.018, below * 0.5).at(y=depth_m * 0.4, z=below * 0.5), finish))
    side, width = int(rng.choice([-1, 1])), 0.38
    x = side * (length_m / 2 - 0.045 - width / 2)
    parts.append(Part("drawer block", box(width, depth_m * 0.8, below * 0.8).at(x=x, z=below * 0.2), finish))
    for number in range(3):
        z = below * (0.22 + 0.26 * number)
        front = rounded_box(width - 0.02, 0.018, below * 0.24, 0.004, 1).at(x=x, y=-depth_m * 0.4 - 0.009, z=z)
        handle = box(0.12, 0.02, 0.012).at(x=x, y=-depth_m * 0.4 - 0.028, z=z + below * 0.17)
        parts += [Part(f"drawer {number + 1}", front, front_finish), Part(f"handle {number + 1}", handle, metal)]
    return Item("desk", tuple(parts), (Support((0, 0, height_m), length_m, depth_m, 1.0, "desk"),))
