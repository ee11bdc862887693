"""Cabinets, bookcases, wardrobes and wall shelves. Backs towards +y, fronts towards -y."""

from __future__ import annotations

import numpy as np

from seg3d_core.data.rooms.items import Item, Part, Support, legs, square
from seg3d_core.data.rooms.materials import METALS, Material, furniture_finish, pick, plain
from seg3d_core.data.rooms.meshes import box, cylinder, rounded_box


def cabinet(rng: np.random.Generator, name: str, width: float, depth: float, height_m: float, holds: str) -> Item:
    """Carcass with doors or drawers in columns, handles, and feet or a plinth."""
    carcass, front = furniture_finish(rng), furniture_finish(rng)
    metal = plain(pick(rng, METALS))
    foot = rng.uniform(0.06, 0.14)
    parts = [Part("carcass", rounded_box(width, depth, height_m - foot, 0.006, 1).at(z=foot), carcass)]
    if rng.uniform() < 0.5:
        parts += legs("foot", cylinder(0.018, foot + 0.005, 14), square(width, depth, 0.06), metal)
    else:
        parts.append(Part("plinth", box(width - 0.06, depth - 0.06, foot + 0.005), carcass))
    columns = max(1, round(width / rng.uniform(0.42, 0.55)))
    for column in range(columns):
        x = ((column + 0.5) / columns - 0.5) * (width - 0.02)
        rows = int(rng.choice([1, 1, 3])) if height_m < 1.2 else 1
        parts += _fronts(column, x, rows, (width - 0.02) / columns, depth, foot, height_m, front, metal)
    return Item(name, tuple(parts), (Support((0, 0, height_m), width, depth, 0.9, holds),))


def _fronts(
    column: int,
    x: float,
    rows: int,
    width: float,
    depth: float,
    foot: float,
    height_m: float,
    front: Material,
    metal: Material,
) -> list[Part]:
    """One door (1 row: upright handle at its side) or several drawers (handle across) in a column."""
    parts = []
    pitch = (height_m - foot - 0.02) / rows
    kind = "door" if rows == 1 else "drawer"
    for row in range(rows):
        z = foot + 0.01 + row * pitch
        panel = rounded_box(width - 0.008, 0.02, pitch - 0.008, 0.004, 1).at(x, -depth / 2 - 0.01, z + 0.004)
        parts.append(Part(f"{kind} {column + 1}.{row + 1}", panel, front))
        if rows == 1:
            side = 1 if column % 2 == 0 else -1
            handle = box(0.014, 0.024, 0.14).at(x + side * (width / 2 - 0.05), -depth / 2 - 0.032, z + pitch * 0.5)
        else:
            handle = box(0.14, 0.024, 0.014).at(x, -depth / 2 - 0.032, z + pitch * 0.6)
        parts.append(Part(f"handle {column + 1}.{row + 1}", handle, metal))
    return parts


def sideboard(rng: np.random.Generator) -> Item:
    """Low, wide cabinet."""
    return cabinet(rng, "sideboard", rng.uniform(1.0, 1.7), rng.uniform(0.38, 0.46), rng.uniform(0.65, 0.9), "table")


def dresser(rng: np.random.Generator) -> Item:
    """Chest about as wide as high."""
    return cabinet(rng, "dresser", rng.uniform(0.7, 1.0), rng.uniform(0.4, 0.48), rng.uniform(0.8, 1.05), "bedside")


def nightstand(rng: np.random.Generator) -> Item:
    """Small cabinet beside a bed."""
    return cabinet(
        rng, "nightstand", rng.uniform(0.4, 0.5), rng.uniform(0.36, 0.42), rng.uniform(0.45, 0.55), "bedside"
    )


def wardrobe(rng: np.random.Generator) -> Item:
    """Tall cabinet with doors; nothing stands on it."""
    item = cabinet(rng, "wardrobe", rng.uniform(0.9, 1.5), rng.uniform(0.52, 0.6), rng.uniform(1.85, 2.1), "none")
    return Item(item.name, item.parts)


def bookcase(rng: np.random.Generator) -> Item:
    """Open shelves between two sides, with a back panel."""
    width, depth = rng.uniform(0.7, 1.1), rng.uniform(0.28, 0.34)
    boards = int(rng.integers(3, 6))
    pitch, board = rng.uniform(0.34, 0.4), 0.025
    height_m = boards * pitch + board + 0.05
    finish = furniture_finish(rng, 2)
    parts = [Part("back panel", box(width - 0.02, 0.01, height_m - 0.05).at(y=depth / 2 - 0.005, z=0.05), finish)]
    for number, side in enumerate((-1, 1), 1):
        parts.append(Part(f"side {number}", box(board, depth, height_m).at(x=side * (width - board) / 2), finish))
    supports = []
    for number in range(boards + 1):
        z = 0.05 + number * pitch
        shelf = box(width - 2 * board, depth - 0.01, board).at(y=-0.005, z=z)
        parts.append(Part(f"board {number + 1}", shelf, finish))
        top = z + board
        clearance = pitch - board if number < boards else 0.4
        supports.append(Support((0, -0.008, top), width - 2 * board - 0.02, depth - 0.03, clearance, "shelf"))
    return Item("bookcase", tuple(parts), tuple(supports))


def wall_shelf(rng: np.random.Generator) -> Item:
    """One board on two brackets; hangs with its back on the plane y = 0."""
    width, depth = rng.uniform(0.6, 1.1), rng.uniform(0.2, 0.26)
    finish, metal = furniture_finish(rng), plain(pick(rng, METALS))
    parts = [Part("board", rounded_box(width, depth, 0.025, 0.004, 1).at(y=-depth / 2, z=0.12), finish)]
    for number, side in enumerate((-1, 1), 1):
        upright = box(0.02, 0.008, 0.12).at(side * width * 0.35, -0.004, 0.002)
        arm = box(0.02, depth * 0.8, 0.012).at(side * width * 0.35, -depth * 0.4, 0.108)
        parts += [Part(f"bracket {number}", upright, metal), Part(f"arm {number}", arm, metal)]
    place = Support((0, -depth / 2 - 0.005, 0.145), width - 0.04, depth - 0.03, 0.4, "shelf")
    return Item("wall shelf", tuple(parts), (place,))
