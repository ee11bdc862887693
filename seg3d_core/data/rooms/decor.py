"""Lamps, plants, rugs, pictures on the wall, bins and cushions."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from seg3d_core.data.rooms.items import Item, Part
from seg3d_core.data.rooms.materials import METALS, WOODS, cloth, muted, pick, picture, plain, speckled, vivid, wood
from seg3d_core.data.rooms.meshes import (
    Mesh,
    box,
    cleaned,
    cylinder,
    extrusion,
    grid_mesh,
    joined,
    revolution,
    rounded_box,
    superellipsoid,
    tube,
)


def _shade(bottom: float, top: float, height_m: float) -> Mesh:
    """Open lamp shade, a hollow truncated cone."""
    wall = 0.004
    outside = [(bottom - wall, 0), (bottom, 0), (top, height_m), (top - wall, height_m)]
    return revolution([*outside, (bottom - wall, 0)], 36)


def floor_lamp(rng: np.random.Generator) -> Item:
    """Round foot, pole and a cone-shaped shade."""
    height_m, radius = rng.uniform(1.4, 1.7), rng.uniform(0.16, 0.22)
    metal = plain(pick(rng, METALS))
    foot = revolution([(0, 0), (0.15, 0), (0.15, 0.015), (0.02, 0.03), (0, 0.03)], 32)
    shade = _shade(radius, radius * rng.uniform(0.6, 0.95), 0.26).at(z=height_m - 0.26)
    bulb = superellipsoid(0.07, 0.07, 0.1, 1.0, 1.0, 16).at(z=height_m - 0.18)
    parts = [
        Part("foot", foot, metal),
        Part("pole", cylinder(0.012, height_m - 0.19, 12).at(z=0.02), metal),
        Part("shade", shade, plain(pick(rng, ((0.95, 0.9, 0.78), (0.9, 0.88, 0.85), muted(rng))))),
        Part("bulb", bulb, plain((1.0, 0.97, 0.85))),
    ]
    for number in range(3):
        x, y = radius * 0.8 * np.cos(number * 2.094), radius * 0.8 * np.sin(number * 2.094)
        spoke = tube([(0, 0, height_m - 0.2), (float(x), float(y), height_m - 0.2)], 0.003, 6)
        parts.append(Part(f"spoke {number + 1}", spoke, metal))
    return Item("floor lamp", tuple(parts))


def table_lamp(rng: np.random.Generator) -> Item:
    """Turned body with a shade."""
    height_m, radius = rng.uniform(0.34, 0.5), rng.uniform(0.09, 0.14)
    body_m = height_m * 0.58
    heights = np.linspace(0.012, body_m, 16)
    bulge = 0.035 + 0.025 * np.sin(heights / body_m * rng.uniform(3, 7) + rng.uniform(0, 3))
    bulge[-1] = 0.012
    profile = [(0, 0), (0.065, 0), (0.065, 0.012), *zip(bulge.tolist(), heights.tolist(), strict=True), (0, body_m)]
    shade = _shade(radius, radius * rng.uniform(0.55, 0.95), height_m * 0.48).at(z=height_m * 0.52)
    holder = cylinder(0.01, height_m * 0.8 - body_m).at(z=body_m)
    spoke = box(radius * 1.6, 0.006, 0.006).at(z=height_m * 0.75)
    parts = (
        Part("body", revolution(profile, 28), speckled(rng, vivid(rng), muted(rng), 0.03)),
        Part("holder", holder, plain(pick(rng, METALS))),
        Part("spoke", spoke, plain(pick(rng, METALS))),
        Part("shade", shade, plain(pick(rng, ((0.95, 0.9, 0.78), (0.93, 0.93, 0.9))))),
    )
    return Item("table lamp", parts)


def plant(rng: np.random.Generator, height_m: float) -> Item:
    """Pot with earth, stems and leaves."""
    pot_m = height_m * rng.uniform(0.28, 0.36)
    radius = pot_m * rng.uniform(0.45, 0.6)
    rim, inner = radius * 1.15, radius * 1.02
    profile = [(0, 0), (radius * 0.8, 0), (rim, pot_m), (inner, pot_m), (inner * 0.97, pot_m * 0.86), (0, pot_m * 0.86)]
    pot = plain(vivid(rng)) if rng.uniform() < 0.4 else speckled(rng, (0.68, 0.4, 0.28), (0.6, 0.34, 0.24), 0.05)
    parts = [Part("pot", revolution(profile, 28), pot)]
    green = (float(rng.uniform(0.15, 0.35)), float(rng.uniform(0.4, 0.6)), float(rng.uniform(0.12, 0.28)))
    foliage = speckled(rng, green, (green[0] * 0.6, green[1] * 0.7, green[2] * 0.6), height_m * 0.05)
    count = int(rng.integers(9, 16))
    stems = []
    for number in range(count):
        angle = 2.4 * number + rng.uniform(-0.2, 0.2)
        rise = (height_m - pot_m) * rng.uniform(0.55, 1.0)
        lean = rng.uniform(0.12, 0.5) * (height_m - pot_m)
        stem, leaf = _leaf(angle, pot_m * 0.82, rise, lean, height_m * rng.uniform(0.05, 0.085))
        stems.append(stem)
        parts.append(Part(f"leaf {number + 1}", leaf, foliage))
    parts.insert(1, Part("stems", joined(stems), plain((green[0] * 0.9, green[1] * 0.75, green[2] * 0.7))))
    return Item("plant", tuple(parts))


def _leaf(angle: float, base_m: float, rise: float, lean: float, width: float) -> tuple[Mesh, Mesh]:
    """A stem that bends outwards in the direction ``angle``, and the blade on its upper half."""
    t = np.linspace(0, 1, 9)
    out, up = lean * t**1.7 + 0.01, base_m + rise * np.sin(t * 1.75) / np.sin(1.57)
    direction, side = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    path = [(float(direction[0] * o), float(direction[1] * o), float(u)) for o, u in zip(out, up, strict=True)]
    rows = slice(3, 9)
    half = width * np.sin(np.linspace(0.25, np.pi, 6))
    spine = np.stack([direction[0] * out[rows], direction[1] * out[rows], up[rows]], axis=1)
    offsets = np.array([-1.0, 0.0, 1.0])
    blade = spine[:, None] + offsets[None, :, None] * half[:, None, None] * np.array([*side, 0.0])
    blade[:, 1, 2] -= 0.15 * half
    return tube(path[:6], max(0.003, width * 0.06), 6), _thickened(blade, 0.002)


def _thickened(grid: Float64[np.ndarray, "A B 3"], thickness: float) -> Mesh:
    """Closed sheet around a grid of points."""
    half = np.array([0, 0, thickness / 2])
    upper, lower = grid + half, grid - half
    ring = np.concatenate([upper, lower[:, ::-1], upper[:, :1]], axis=1)
    ends = [np.repeat(end.mean(axis=0)[None, None], ring.shape[1], axis=1) for end in (ring[0], ring[-1])]
    return cleaned(grid_mesh(np.concatenate([ends[0], ring, ends[1]])))


def rug(rng: np.random.Generator, length_m: float, width_m: float) -> Item:
    """Flat rug with a border."""
    border = rounded_box(length_m, width_m, 0.008, 0.003, 1)
    centre = rounded_box(length_m - 0.2, width_m - 0.2, 0.012, 0.003, 1)
    return Item("rug", (Part("border", border, cloth(rng)), Part("centre", centre, cloth(rng))))


def wall_picture(rng: np.random.Generator) -> Item:
    """Framed picture; hangs with its back on the plane y = 0."""
    width, height_m = rng.uniform(0.35, 0.9), rng.uniform(0.3, 0.65)
    finish = wood(rng, pick(rng, WOODS), 2) if rng.uniform() < 0.5 else plain((0.12, 0.12, 0.12))
    frame = box(width, 0.024, height_m).at(y=-0.012)
    mount = box(width - 0.05, 0.004, height_m - 0.05).at(y=-0.026, z=0.025)
    canvas = box(width - 0.14, 0.004, height_m - 0.14).at(y=-0.03, z=0.07)
    parts = (
        Part("frame", frame, finish),
        Part("mount", mount, plain((0.93, 0.92, 0.89))),
        Part("picture", canvas, picture(rng, vivid(rng), vivid(rng), rng.uniform(0.12, 0.3))),
    )
    return Item("picture", parts)


def bin_(rng: np.random.Generator) -> Item:
    """Open waste-paper bin."""
    radius, height_m = rng.uniform(0.12, 0.16), rng.uniform(0.26, 0.36)
    low = radius * rng.uniform(0.75, 0.95)
    profile = [(0, 0), (low, 0), (radius, height_m), (radius - 0.006, height_m), (low - 0.006, 0.008), (0, 0.008)]
    return Item("bin", (Part("body", revolution(profile, 32), plain(muted(rng))),))


def carton(rng: np.random.Generator) -> Item:
    """Cardboard box with a strip of tape."""
    x, y, z = rng.uniform(0.28, 0.5), rng.uniform(0.25, 0.4), rng.uniform(0.2, 0.4)
    board = speckled(rng, (0.72, 0.56, 0.38), (0.66, 0.5, 0.33), 0.2)
    tape = box(x + 0.002, 0.05, 0.002).at(z=z - 0.001)
    return Item("carton", (Part("body", box(x, y, z), board), Part("tape", tape, plain((0.82, 0.72, 0.5)))))


def basket(rng: np.random.Generator) -> Item:
    """Six-sided storage basket with a lid and a knob."""
    radius, height_m = rng.uniform(0.17, 0.23), rng.uniform(0.3, 0.45)
    outline = [(radius * float(np.cos(a)), radius * float(np.sin(a))) for a in np.arange(6) * np.pi / 3]
    body = extrusion(outline, height_m)
    lid = extrusion([(1.06 * x, 1.06 * y) for x, y in outline], 0.03).at(z=height_m)
    knob = superellipsoid(0.05, 0.05, 0.04, 1.0, 1.0, 16).at(z=height_m + 0.025)
    finish = cloth(rng)
    return Item("basket", (Part("body", body, finish), Part("lid", lid, plain(muted(rng))), Part("knob", knob, finish)))


def cushion(rng: np.random.Generator) -> Item:
    """Scatter cushion, lying."""
    side = rng.uniform(0.3, 0.4)
    return Item("cushion", (Part("body", superellipsoid(side, side, 0.12, 0.9, 0.3, 32), cloth(rng)),))
