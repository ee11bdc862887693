"""Small things of desks and shelves: screens, keyboards, books, boxes."""

from __future__ import annotations

import numpy as np

from seg3d_core.data.rooms.items import Item, Part
from seg3d_core.data.rooms.materials import Material, keys, muted, picture, plain, stripes, vivid
from seg3d_core.data.rooms.meshes import box, cylinder, extrusion, revolution, rounded_box, superellipsoid, tube

BLACK = (0.1, 0.1, 0.11)
PAPER = (0.92, 0.9, 0.84)


def _screen(rng: np.random.Generator) -> Material:
    return picture(rng, (0.12, 0.2, 0.35), vivid(rng), rng.uniform(0.08, 0.2))


def monitor(rng: np.random.Generator) -> Item:
    """Flat screen on a stand; the picture looks towards -y."""
    width = rng.uniform(0.48, 0.66)
    height_m, raise_m = width * 0.58, rng.uniform(0.09, 0.13)
    shell = plain(BLACK)
    foot = rounded_box(width * 0.42, 0.18, 0.014, 0.006, 1)
    parts = (
        Part("housing", rounded_box(width, 0.035, height_m, 0.008, 1).at(z=raise_m), shell),
        Part("screen", box(width - 0.03, 0.002, height_m - 0.03).at(y=-0.018, z=raise_m + 0.015), _screen(rng)),
        Part("neck", box(0.06, 0.03, raise_m + height_m * 0.3).at(y=0.03, z=0.01), shell),
        Part("foot", foot.at(y=0.01), plain((0.2, 0.2, 0.21))),
    )
    return Item("monitor", parts)


def television(rng: np.random.Generator) -> Item:
    """Wide flat screen on two feet."""
    width = rng.uniform(0.85, 1.1)
    height_m = width * 0.57
    foot = box(0.03, 0.2, 0.012)
    parts = (
        Part("housing", rounded_box(width, 0.05, height_m, 0.01, 1).at(z=0.05), plain(BLACK)),
        Part("screen", box(width - 0.03, 0.002, height_m - 0.03).at(y=-0.026, z=0.065), _screen(rng)),
        Part("foot 1", foot.at(x=-width * 0.3), plain(BLACK)),
        Part("foot 2", foot.at(x=width * 0.3), plain(BLACK)),
        Part("leg 1", box(0.02, 0.02, 0.05).at(x=-width * 0.3, z=0.005), plain(BLACK)),
        Part("leg 2", box(0.02, 0.02, 0.05).at(x=width * 0.3, z=0.005), plain(BLACK)),
    )
    return Item("television", parts)


def keyboard(rng: np.random.Generator) -> Item:
    """Keyboard: a wedge with a field of keys."""
    width, depth = rng.uniform(0.36, 0.46), rng.uniform(0.13, 0.16)
    body = plain(BLACK if rng.uniform() < 0.6 else (0.85, 0.85, 0.84))
    field = box(width - 0.02, depth - 0.02, 0.006).at(z=0.017)
    parts = (Part("body", rounded_box(width, depth, 0.02, 0.005, 1), body), Part("keys", field, keys()))
    return Item("keyboard", parts)


def mouse(rng: np.random.Generator) -> Item:
    """Computer mouse with a wheel."""
    body = superellipsoid(0.062, 0.11, 0.038, 0.8, 0.75, 24)
    wheel = superellipsoid(0.008, 0.022, 0.012, 1.0, 1.0, 12).at(y=-0.03, z=0.026)
    return Item("mouse", (Part("body", body, plain(muted(rng))), Part("wheel", wheel, plain(BLACK))))


def laptop(rng: np.random.Generator) -> Item:
    """Open laptop; the screen looks towards -y."""
    width, depth = rng.uniform(0.31, 0.37), rng.uniform(0.22, 0.25)
    shell = plain((0.62, 0.63, 0.65) if rng.uniform() < 0.6 else (0.2, 0.2, 0.22))
    angle = -rng.uniform(0.15, 0.45)
    lid = rounded_box(width, 0.008, depth, 0.003, 1).turned(0, angle).at(y=depth / 2, z=0.014)
    screen = box(width - 0.02, 0.001, depth - 0.02).at(y=-0.0045, z=0.01).turned(0, angle).at(y=depth / 2, z=0.014)
    parts = (
        Part("base", rounded_box(width, depth, 0.018, 0.004, 1), shell),
        Part("keys", box(width - 0.04, depth * 0.48, 0.002).at(y=depth * 0.18, z=0.0175), keys()),
        Part("lid", lid, shell),
        Part("screen", screen, _screen(rng)),
    )
    return Item("laptop", parts)


def book(rng: np.random.Generator, thickness: float, height_m: float, depth: float) -> Item:
    """Upright book with its spine towards -y."""
    cover = plain(vivid(rng)) if rng.uniform() < 0.6 else stripes(vivid(rng), vivid(rng), height_m * 0.22, 2)
    pages = box(thickness - 0.004, depth - 0.008, height_m - 0.008).at(y=0.004, z=0.004)
    spine = box(thickness, 0.003, height_m).at(y=-depth / 2 + 0.0015)
    board = box(0.002, depth, height_m)
    boards = [board.at(x=side * (thickness / 2 - 0.001)) for side in (-1, 1)]
    parts = (
        Part("pages", pages, plain(PAPER)),
        Part("spine", spine, cover),
        Part("front cover", boards[0], cover),
        Part("back cover", boards[1], cover),
    )
    return Item("book", parts)


def random_book(rng: np.random.Generator) -> Item:
    """Upright book of a random size."""
    return book(rng, rng.uniform(0.018, 0.05), rng.uniform(0.19, 0.27), rng.uniform(0.13, 0.19))


def packet(rng: np.random.Generator) -> Item:
    """Printed box: cereal, a game, tools."""
    x, y, z = rng.uniform(0.06, 0.22), rng.uniform(0.05, 0.16), rng.uniform(0.06, 0.26)
    first, second = vivid(rng), vivid(rng)
    paint = (
        picture(rng, first, second, rng.uniform(0.05, 0.1)) if rng.uniform() < 0.6 else stripes(first, second, z / 3, 2)
    )
    band = box(x + 0.001, y + 0.001, z * 0.18).at(z=z * rng.uniform(0.2, 0.6))
    return Item("packet", (Part("box", box(x, y, z), paint), Part("label", band, plain(PAPER))))


def pencil_cup(rng: np.random.Generator) -> Item:
    """Cup with pencils that lean on its rim."""
    radius, height_m = rng.uniform(0.035, 0.045), rng.uniform(0.09, 0.11)
    profile = [
        (0, 0), (radius, 0), (radius, height_m), (radius - 0.004, height_m), (radius - 0.004, 0.006), (0, 0.006)
    ]  # fmt: skip
    parts = [Part("cup", revolution(profile), plain(vivid(rng)))]
    for number in range(int(rng.integers(3, 6))):
        angle = number * 1.3 + rng.uniform(0, 0.4)
        top = (radius - 0.007) * rng.uniform(1.05, 1.2)
        length = height_m * rng.uniform(1.35, 1.6)
        foot = (-0.3 * top * float(np.cos(angle)), -0.3 * top * float(np.sin(angle)), 0.006)
        end = (top * float(np.cos(angle)), top * float(np.sin(angle)), length)
        parts.append(Part(f"pencil {number + 1}", tube([foot, end], 0.0035, 6), plain(vivid(rng))))
    return Item("pencil cup", tuple(parts))


def clock(rng: np.random.Generator) -> Item:
    """Round clock on a foot; the dial looks towards -y."""
    radius = rng.uniform(0.05, 0.08)
    drum = cylinder(radius, 0.035, 32).turned(0, np.pi / 2).at(z=radius + 0.01)
    dial = cylinder(radius * 0.86, 0.002, 32).turned(0, np.pi / 2).at(y=-0.034, z=radius + 0.01)
    foot = extrusion([(-radius * 0.6, -0.03), (radius * 0.6, -0.03), (radius * 0.4, 0.0), (-radius * 0.4, 0.0)], 0.02)
    case = plain(vivid(rng))
    return Item("clock", (Part("case", drum, case), Part("dial", dial, plain(PAPER)), Part("foot", foot, case)))
