"""A table full of things in a bare room: apart, touching, in clusters and in stacks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float64

from seg3d_core.data.rooms import shell as shells
from seg3d_core.data.rooms import tables
from seg3d_core.data.rooms.footprints import Footprint, clearance, contact, footprint, holds
from seg3d_core.data.rooms.items import Item, Part, Placed, upright
from seg3d_core.data.rooms.materials import Material
from seg3d_core.data.rooms.room import Room
from seg3d_core.data.rooms.tabletop_things import make_thing, repainted, top_finish

TRIES = 30
MOST_STACKED = 5
TALLEST_M = 0.5
"""No stack is higher."""

TABLE_COLOURED = 0.1
"""Share of the things that have the table's material all over."""

TWINS = 0.15
"""Share of the things that are copies of the one before."""

ROOM_M = (4.0, 5.5)


@dataclass(frozen=True, eq=False)
class Tabletop:
    """A table in a room.

    Attributes:
        room: with its table and what stands on it.
        table_id: instance of the table.
        focus: (3,) middle of the things, on the table, room's frame, m.
    """

    room: Room
    table_id: int
    focus: Float64[np.ndarray, "3"]


@dataclass(frozen=True, eq=False)
class _Standing:
    """A thing that has its place: ``at`` (x, y) and z of its ground are metres about the focus."""

    shape: Footprint
    at: Float64[np.ndarray, "2"]
    z: float
    is_firm: bool
    level: int
    instance_id: int

    @property
    def top_z(self) -> float:
        return self.z + self.shape.height_m


@dataclass
class _Crowd:
    """The things on a table while they are being put there."""

    rng: np.random.Generator
    radius_m: float
    touching: float
    stacked: float
    standing: list[_Standing] = field(default_factory=list)

    def find(self, shape: Footprint) -> tuple[Float64[np.ndarray, "2"], float, _Standing | None] | None:
        """Where a thing goes: (x, y), z, and what it stands on, None for the table; None if there is no place."""
        if self.standing and shape.has_base and self.rng.uniform() < self.stacked:
            found = self._on_another(shape)
            if found is not None:
                return found
        beside = bool(self.standing) and self.rng.uniform() < self.touching
        for _ in range(TRIES):
            at = self._beside(shape) if beside else self._anywhere()
            if np.linalg.norm(at) < self.radius_m and self._is_free(shape, at, 0.0, 0.0005 if beside else 0.006):
                return at, 0.0, None
        return None

    def _anywhere(self) -> Float64[np.ndarray, "2"]:
        turn, reach = self.rng.uniform(-np.pi, np.pi), self.radius_m * np.sqrt(self.rng.uniform())
        return np.asarray(np.array([np.cos(turn), np.sin(turn)]) * reach)

    def _beside(self, shape: Footprint) -> Float64[np.ndarray, "2"]:
        """Up to 4 mm from a thing on the table, mostly along one of its sides."""
        grounded = [one for one in self.standing if one.level == 0]
        other = grounded[int(self.rng.integers(len(grounded)))]
        angle = float(self.rng.uniform(-np.pi, np.pi))
        reach = contact(other.shape.outline, shape.outline, angle) + 0.001 + 0.003 * self.rng.uniform()
        return np.asarray(other.at + reach * np.array([np.cos(angle), np.sin(angle)]))

    def _on_another(self, shape: Footprint) -> tuple[Float64[np.ndarray, "2"], float, _Standing] | None:
        firm = [one for one in self.standing if one.is_firm and one.level + 1 < MOST_STACKED]
        firm = [one for one in firm if one.top_z + shape.height_m < TALLEST_M]
        for _ in range(TRIES if firm else 0):
            # The newest more often: stacks grow.
            below = firm[-1] if self.rng.uniform() < 0.4 else firm[int(self.rng.integers(len(firm)))]
            half = np.ptp(below.shape.top, axis=0) / 2
            move = self.rng.uniform(-0.6, 0.6, 2) * half
            if holds(below.shape.top, shape.base + move) and self._is_free(shape, below.at + move, below.top_z, 0.0005):
                return below.at + move, below.top_z, below
        return None

    def _is_free(self, shape: Footprint, at: Float64[np.ndarray, "2"], z: float, gap_m: float) -> bool:
        for other in self.standing:
            if z >= other.top_z - 1e-6 or z + shape.height_m <= other.z + 1e-6:
                continue
            normals, offsets = clearance(other.shape.outline, shape.outline)
            if float((normals @ (at - other.at) - offsets).max()) < gap_m:
                return False
        return True


def make_tabletop(seed: int, min_objects: int, max_objects: int) -> Tabletop:
    """A table with ``min_objects`` to ``max_objects`` things (fewer where no more find a place), by seed."""
    rng = np.random.default_rng((seed, 71))
    shell = shells.make_shell(rng, rng.uniform(*ROOM_M), rng.uniform(*ROOM_M), 2.6)
    placed = shells.build(rng, shell)
    finish = top_finish(rng)
    table = _table(rng, finish)
    table_id = len(placed) + 1
    T_world_table = _table_pose(rng, shell, table)
    placed.append(Placed(table, T_world_table, table_id, shells.FLOOR_ID))
    focus = _focus(rng, table, T_world_table)
    count = int(rng.integers(min_objects, max_objects + 1))
    _fill(rng, placed, focus, count, finish)
    return Tabletop(Room.assemble(shell, placed), table_id, focus)


def _table(rng: np.random.Generator, finish: Material) -> Item:
    """A usual table, or one so large that a picture shows nothing but its top."""
    height_m = rng.uniform(0.45, 0.85)
    kind = rng.uniform()
    if kind < 0.15:
        item = tables.round_table(rng, "table", rng.uniform(0.9, 1.3), height_m, "table")
    elif kind < 0.45:
        item = tables.table(rng, "table", 2.6, 2.6, height_m, "table")
    else:
        item = tables.table(rng, "table", rng.uniform(0.9, 1.8), rng.uniform(0.6, 1.0), height_m, "table")
    return replace(item, parts=tuple(_with_top(part, finish) for part in item.parts))


def _with_top(part: Part, finish: Material) -> Part:
    return replace(part, material=finish) if part.name == "top" else part


def _table_pose(rng: np.random.Generator, shell: shells.Shell, table: Item) -> Float64[np.ndarray, "4 4"]:
    """Anywhere in the room, sometimes with its back at a wall."""
    sizes = np.ptp(table.bounds(), axis=0)[:2]
    spare = np.maximum(np.array([shell.length_m, shell.width_m]) / 2 - sizes / 2 - 0.02, 0.0)
    at = rng.uniform(-0.6, 0.6, 2) * spare
    if rng.uniform() < 0.25:
        at[1] = spare[1]
    return upright(float(at[0]), float(at[1]), 0.0, 0.0)


def _focus(
    rng: np.random.Generator, table: Item, T_world_table: Float64[np.ndarray, "4 4"]
) -> Float64[np.ndarray, "3"]:
    support = table.supports[0]
    shift = rng.uniform(-0.15, 0.15, 2) * (support.size_x, support.size_y)
    local = np.array([support.centre[0] + shift[0], support.centre[1] + shift[1], support.centre[2], 1.0])
    return np.asarray((T_world_table @ local)[:3])


def _fill(
    rng: np.random.Generator, placed: list[Placed], focus: Float64[np.ndarray, "3"], count: int, finish: Material
) -> None:
    """Put ``count`` things about the focus; how crowded, how much stacked and of which kinds is drawn once."""
    radius_m = min(0.12 + 0.035 * count * rng.uniform(0.6, 1.2), 0.36)
    touching, stacked = float(rng.choice([0.1, 0.5, 0.9])), float(rng.choice([0.0, 0.35, 0.8]))
    crowd = _Crowd(rng, radius_m, touching, stacked)
    kinds = str(rng.choice(["boxes", "round", "mixed"], p=[0.25, 0.15, 0.6]))
    table_id = placed[-1].instance_id
    item, may_carry = make_thing(rng, kinds)
    for _ in range(count):
        if rng.uniform() > TWINS:
            item, may_carry = make_thing(rng, kinds)
        shown = repainted(item, finish) if rng.uniform() < TABLE_COLOURED else item
        angle = float(rng.uniform(-np.pi, np.pi) if rng.uniform() < 0.6 else rng.integers(4) * np.pi / 2)
        shape = footprint(shown, angle)
        found = crowd.find(shape)
        if found is None:
            continue
        at, z, below = found
        number = placed[-1].instance_id + 1
        owner, level = (table_id, 0) if below is None else (below.instance_id, below.level + 1)
        placed.append(Placed(shown, _pose(shown, focus, at, z, angle), number, owner))
        crowd.standing.append(_Standing(shape, at, z, may_carry and shape.has_top, level, number))


def _pose(
    item: Item, focus: Float64[np.ndarray, "3"], at: Float64[np.ndarray, "2"], z: float, angle: float
) -> Float64[np.ndarray, "4 4"]:
    """T_world_object that puts the middle of an item's bounds over ``at``."""
    middle = item.bounds().mean(axis=0)
    T_world_middle = upright(float(focus[0] + at[0]), float(focus[1] + at[1]), float(focus[2] + z), angle)
    return np.asarray(T_world_middle @ upright(-float(middle[0]), -float(middle[1]), 0.0, 0.0))
