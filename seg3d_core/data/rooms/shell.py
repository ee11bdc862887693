"""What a room itself is made of: floor, walls with baseboards, ceiling, a window in its opening, a door."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seg3d_core.data.rooms.items import Item, Part, Placed, upright
from seg3d_core.data.rooms.materials import (
    METALS,
    WALL_PAINTS,
    WOODS,
    Material,
    fabric,
    muted,
    pick,
    picture,
    plain,
    planks,
    shaded,
    tiles,
    wood,
)
from seg3d_core.data.rooms.meshes import Mesh, box, joined, rounded_box

THICKNESS_M = 0.12
BASEBOARD_M = 0.014
FLOOR_ID = 1
WALL_IDS = (2, 3, 4, 5)
CEILING_ID = 6


@dataclass(frozen=True)
class Opening:
    """A rectangle on a wall: (left, bottom, right, top) metres in the wall's frame."""

    left: float
    bottom: float
    right: float
    top: float


@dataclass(frozen=True)
class Shell:
    """The empty room.

    Attributes:
        length_m: inner size along x; the room's centre is the origin, its floor z = 0.
        width_m: inner size along y.
        height_m: floor to ceiling.
        door_wall: number 0..3 of the wall with the door.
        door: where the door is on it.
        window_wall: number of the wall with the window.
        window: where the window is on it.
    """

    length_m: float
    width_m: float
    height_m: float
    door_wall: int
    door: Opening
    window_wall: int
    window: Opening

    def wall_length_m(self, wall: int) -> float:
        """Inner length of a wall. Wall 0 is at +y, 1 at -x, 2 at -y, 3 at +x."""
        return self.length_m if wall % 2 == 0 else self.width_m

    def wall_pose(self, wall: int, along: float = 0.0, up: float = 0.0) -> np.ndarray:
        """T_world_object of what hangs or stands at a wall: x along the wall, +y into the wall."""
        away = self.width_m / 2 if wall % 2 == 0 else self.length_m / 2
        angle = wall * np.pi / 2
        x = np.cos(angle) * along - np.sin(angle) * away
        y = np.sin(angle) * along + np.cos(angle) * away
        return upright(float(x), float(y), up, float(angle))


def make_shell(rng: np.random.Generator, length_m: float, width_m: float, height_m: float) -> Shell:
    """Sizes and openings of an empty room."""
    door_wall, window_wall = (int(wall) for wall in rng.choice(4, 2, replace=False))
    walls = [length_m, width_m, length_m, width_m]
    room = walls[door_wall] / 2 - 0.65
    centre = rng.uniform(-room, room)
    door = Opening(centre - 0.45, 0.0, centre + 0.45, 2.05)
    size = rng.uniform(1.1, min(1.8, walls[window_wall] - 1.0))
    spare = (walls[window_wall] - size) / 2 - 0.3
    shift = rng.uniform(-spare, spare)
    window = Opening(shift - size / 2, 0.95, shift + size / 2, min(2.15, height_m - 0.25))
    return Shell(length_m, width_m, height_m, door_wall, door, window_wall, window)


def build(rng: np.random.Generator, shell: Shell) -> list[Placed]:
    """Floor, walls and ceiling (ids 1 to 6), then window and door (7 and 8)."""
    length, width = shell.length_m + 2 * THICKNESS_M, shell.width_m + 2 * THICKNESS_M
    floor = Item("floor", (Part("floor", box(length, width, THICKNESS_M).at(z=-THICKNESS_M), _floor_finish(rng)),))
    ceiling = Item("ceiling", (Part("ceiling", box(length, width, THICKNESS_M), plain((0.93, 0.93, 0.92))),))
    paint, board = plain(pick(rng, WALL_PAINTS, 0.03)), plain(pick(rng, ((0.95, 0.95, 0.94), *WOODS[:2]), 0.02))
    accent = plain(shaded(muted(rng), 1.15))
    accent_wall = int(rng.integers(6))
    placed = [Placed(floor, upright(0.0, 0.0, 0.0, 0.0), FLOOR_ID, 0)]
    for wall in range(4):
        item = _wall(shell, wall, accent if wall == accent_wall else paint, board)
        placed.append(Placed(item, shell.wall_pose(wall), WALL_IDS[wall], 0))
    placed.append(Placed(ceiling, upright(0.0, 0.0, shell.height_m, 0.0), CEILING_ID, 0))
    window = _window(rng, shell.window)
    door = _door(rng, shell.door)
    placed.append(Placed(window, shell.wall_pose(shell.window_wall), 7, WALL_IDS[shell.window_wall]))
    placed.append(Placed(door, shell.wall_pose(shell.door_wall), 8, WALL_IDS[shell.door_wall]))
    return placed


def _floor_finish(rng: np.random.Generator) -> Material:
    kind = rng.choice(3, p=[0.5, 0.25, 0.25])
    if kind == 0:
        return planks(rng, pick(rng, WOODS))
    if kind == 1:
        return tiles(rng, pick(rng, ((0.7, 0.68, 0.64), (0.55, 0.53, 0.5), (0.72, 0.6, 0.48))), rng.uniform(0.3, 0.5))
    return fabric(rng, muted(rng))


def _panel(left: float, bottom: float, right: float, top: float, depth: float = THICKNESS_M, y: float = 0.0) -> Mesh:
    """Box over a rectangle of the wall, from ``y`` to ``y + depth``."""
    return box(right - left, depth, top - bottom).at((left + right) / 2, y + depth / 2, bottom)


def _wall(shell: Shell, wall: int, paint: Material, board: Material) -> Item:
    half, top = shell.wall_length_m(wall) / 2, shell.height_m
    panels = [_panel(-half, 0.0, half, top)]
    if wall == shell.window_wall:
        hole = shell.window
        panels = [
            _panel(-half, 0.0, half, hole.bottom),
            _panel(-half, hole.top, half, top),
            _panel(-half, hole.bottom, hole.left, hole.top),
            _panel(hole.right, hole.bottom, half, hole.top),
        ]
    gaps = [(-half, half)]
    if wall == shell.door_wall:
        gaps = [(-half, shell.door.left - 0.08), (shell.door.right + 0.08, half)]
    # Baseboards of neighbouring walls would overlap in the corners.
    ends = [(max(a, -half + BASEBOARD_M), min(b, half - BASEBOARD_M)) for a, b in gaps]
    boards = [_panel(a, 0.0, b, 0.08, BASEBOARD_M, -BASEBOARD_M) for a, b in ends if b - a > 0.02]
    return Item("wall", (Part("wall", joined(panels), paint), Part("baseboard", joined(boards), board)))


def _window(rng: np.random.Generator, hole: Opening) -> Item:
    """Sash with a mullion, recessed in the opening, in front of a bright sky; a sill."""
    white = plain((0.94, 0.94, 0.93))
    edge, y, depth = 0.05, 0.06, 0.04
    left, bottom, right, top = hole.left, hole.bottom, hole.right, hole.top
    middle = (left + right) / 2
    bars = [
        _panel(left, bottom, right, bottom + edge, depth, y),
        _panel(left, top - edge, right, top, depth, y),
        _panel(left, bottom + edge, left + edge, top - edge, depth, y),
        _panel(right - edge, bottom + edge, right, top - edge, depth, y),
        _panel(middle - edge / 2, bottom + edge, middle + edge / 2, top - edge, depth, y),
    ]
    pane = _panel(left, bottom, right, top, 0.015, y + depth)
    sky = picture(rng, (0.80, 0.90, 1.0), (0.95, 0.97, 1.0), 0.6)
    sill = rounded_box(right - left + 0.1, 0.06, 0.025, 0.006, 1).at(middle, -0.03, bottom - 0.026)
    return Item("window", (Part("frame", joined(bars), white), Part("pane", pane, sky), Part("sill", sill, white)))


def _door(rng: np.random.Generator, place: Opening) -> Item:
    """Leaf with two raised panels, frame and handle, in front of the wall."""
    finish = wood(rng, pick(rng, WOODS), 2) if rng.uniform() < 0.5 else plain((0.92, 0.92, 0.9))
    left, right, top = place.left, place.right, place.top
    frame = [
        _panel(left - 0.07, 0.0, left, top + 0.07, 0.035, -0.035),
        _panel(right, 0.0, right + 0.07, top + 0.07, 0.035, -0.035),
        _panel(left, top, right, top + 0.07, 0.035, -0.035),
    ]
    raised = [_panel(left + 0.14, z, right - 0.14, z + high, 0.008, -0.028) for z, high in ((0.2, 0.65), (1.1, 0.8))]
    grip = joined(
        [
            _panel(right - 0.085, 1.0, right - 0.065, 1.02, 0.05, -0.07),
            _panel(right - 0.19, 0.998, right - 0.065, 1.022, 0.018, -0.088),
        ]
    )
    parts = (
        Part("frame", joined(frame), finish),
        Part("leaf", _panel(left, 0.005, right, top, 0.02, -0.02), finish),
        Part("panels", joined(raised), finish),
        Part("handle", grip, plain(pick(rng, METALS))),
    )
    return Item("door", parts)
