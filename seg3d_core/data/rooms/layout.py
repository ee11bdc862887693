"""Where furniture goes: at the walls, in groups, never through each other or in front of the door."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64

from seg3d_core.data.rooms import decor, seating, storage, tables
from seg3d_core.data.rooms.items import Item, Placed, Support, upright
from seg3d_core.data.rooms.shell import BASEBOARD_M, FLOOR_ID, WALL_IDS, Shell

Rectangle = tuple[float, float, float, float]
"""(least x, least y, greatest x, greatest y), metres."""

GAP_M = 0.03
"""Least distance between neighbours on the floor, and between furniture and baseboard."""

TRIES = 40


@dataclass
class Layout:
    """The furniture of one room while it is being arranged.

    Attributes:
        shell: the empty room.
        rng: the source of all choices.
        placed: what has its place; ids count on from there.
        taken: floor rectangles in use, with the space needed in front of doors and drawers.
        hung: per wall, rectangles (along, up) in use.
    """

    shell: Shell
    rng: np.random.Generator
    placed: list[Placed]
    taken: list[Rectangle] = field(default_factory=list)
    hung: dict[int, list[Rectangle]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        door, window = self.shell.door, self.shell.window
        self.taken.append(_footprint(self._door_zone(), self.shell.wall_pose(self.shell.door_wall)))
        self.hung = {wall: [] for wall in range(4)}
        self.hung[self.shell.door_wall].append((door.left - 0.1, 0.0, door.right + 0.1, door.top + 0.1))
        self.hung[self.shell.window_wall].append((window.left - 0.1, window.bottom, window.right + 0.1, window.top))

    def _door_zone(self) -> Float64[np.ndarray, "2 3"]:
        door = self.shell.door
        return np.array([[door.left - 0.1, -0.7, 0.0], [door.right + 0.1, 0.0, 2.0]])

    def add(self, item: Item, T_world_object: Float64[np.ndarray, "4 4"], support_id: int) -> int:
        """Give an object its place and its id."""
        instance_id = self.placed[-1].instance_id + 1
        self.placed.append(Placed(item, T_world_object, instance_id, support_id))
        return instance_id

    def try_floor(self, item: Item, T_world_object: Float64[np.ndarray, "4 4"], front_m: float = 0.0) -> int:
        """Put an object on the floor if it is free there, with ``front_m`` before it; its id, or 0."""
        lowest, highest = item.bounds()
        reach = np.stack([lowest - (0, front_m, 0), highest])
        area, body = _footprint(reach, T_world_object), _footprint(item.bounds(), T_world_object)
        if not self._inside(body) or any(overlap(area, other, GAP_M) for other in self.taken):
            return 0
        self.taken.append(area)
        return self.add(item, T_world_object, FLOOR_ID)

    def _inside(self, area: Rectangle) -> bool:
        margin = BASEBOARD_M + 0.004
        x, y = self.shell.length_m / 2 - margin, self.shell.width_m / 2 - margin
        return area[0] >= -x and area[1] >= -y and area[2] <= x and area[3] <= y

    def at_wall(self, item: Item, front_m: float) -> int:
        """Put an object with its back to some wall; the id, or 0 where there is no place."""
        lowest, highest = item.bounds()
        for _ in range(TRIES):
            wall = int(self.rng.integers(4))
            reach = self.shell.wall_length_m(wall) / 2 - BASEBOARD_M - 0.01
            low, high = -reach - float(lowest[0]), reach - float(highest[0])
            if low >= high:
                continue
            along = float(self.rng.uniform(low, high))
            if self._blocks_window(wall, along, item):
                continue
            instance_id = self.beside_wall(item, wall, along, front_m)
            if instance_id:
                return instance_id
        return 0

    def beside_wall(self, item: Item, wall: int, along: float, front_m: float) -> int:
        """Put an object at a given place of a wall; the id, or 0 where it is taken."""
        lowest, highest = item.bounds()
        T_world_wall = self.shell.wall_pose(wall, along)
        T_wall_object = upright(0.0, -float(highest[1]) - BASEBOARD_M - 0.01, 0.0, 0.0)
        instance_id = self.try_floor(item, T_world_wall @ T_wall_object, front_m)
        if instance_id:
            top = float(highest[2]) + 0.05
            self.hung[wall].append((along + float(lowest[0]), 0.0, along + float(highest[0]), top))
        return instance_id

    def _blocks_window(self, wall: int, along: float, item: Item) -> bool:
        lowest, highest = item.bounds()
        window = self.shell.window
        is_high = float(highest[2]) > window.bottom - 0.03
        beside = along + float(highest[0]) < window.left - 0.1 or along + float(lowest[0]) > window.right + 0.1
        return wall == self.shell.window_wall and is_high and not beside

    def hang(self, item: Item, up: float) -> int:
        """Hang an object on some wall, its lowest point at height ``up``; the id, or 0."""
        lowest, highest = item.bounds()
        for _ in range(TRIES):
            wall = int(self.rng.integers(4))
            reach = self.shell.wall_length_m(wall) / 2 - float(highest[0]) - 0.3
            if reach <= 0:
                continue
            along = float(self.rng.uniform(-reach, reach))
            area = (along + float(lowest[0]), up, along + float(highest[0]), up + float(highest[2]))
            # Room for what stands on furniture below and on the shelf itself.
            if any(overlap((area[0], up - 0.62, area[2], area[3] + 0.1), other, 0.06) for other in self.hung[wall]):
                continue
            self.hung[wall].append((area[0], area[1], area[2], area[3] + (0.45 if item.supports else 0.0)))
            return self.add(item, self.shell.wall_pose(wall, along, up), WALL_IDS[wall])
        return 0


def overlap(a: Rectangle, b: Rectangle, gap: float) -> bool:
    """Whether two rectangles are closer than ``gap`` along both axes."""
    return a[0] < b[2] + gap and b[0] < a[2] + gap and a[1] < b[3] + gap and b[1] < a[3] + gap


def _footprint(bounds: Float64[np.ndarray, "2 3"], T_world_object: Float64[np.ndarray, "4 4"]) -> Rectangle:
    (x0, y0, _), (x1, y1, _) = bounds
    corners = np.array([[x0, y0, 0, 1], [x1, y0, 0, 1], [x0, y1, 0, 1], [x1, y1, 0, 1]]) @ T_world_object.T
    lowest, highest = corners.min(axis=0), corners.max(axis=0)
    return float(lowest[0]), float(lowest[1]), float(highest[0]), float(highest[1])


def furnish(layout: Layout) -> None:
    """Fill the room according to one of four uses, then add what stands about in any room."""
    kinds = (living_room, bedroom, study, dining_room)
    kinds[int(layout.rng.integers(len(kinds)))](layout)
    _extras(layout)
    _hangings(layout)


def living_room(layout: Layout) -> None:
    """Sofa with a coffee table on a rug, television, armchair, bookcase."""
    rng = layout.rng
    _sofa_group(layout)
    television_stand = storage.sideboard(rng)
    stand = Item("sideboard", television_stand.parts, (_held(television_stand.supports[0], "media"),))
    layout.at_wall(stand, 0.5)
    layout.at_wall(storage.bookcase(rng), 0.4)
    layout.at_wall(seating.sofa(rng, 1), 0.3)
    layout.at_wall(tables.side_table(rng), 0.0)


def bedroom(layout: Layout) -> None:
    """Bed between nightstands, wardrobe, dresser, perhaps a desk."""
    rng = layout.rng
    _bed_group(layout)
    layout.at_wall(storage.wardrobe(rng), 0.5)
    layout.at_wall(storage.dresser(rng), 0.45)
    if rng.uniform() < 0.6:
        _desk_group(layout)
    layout.at_wall(storage.bookcase(rng), 0.3)


def study(layout: Layout) -> None:
    """One or two desks with chairs, bookcases, an armchair."""
    rng = layout.rng
    for _ in range(int(rng.integers(1, 3))):
        _desk_group(layout)
    for _ in range(int(rng.integers(1, 3))):
        layout.at_wall(storage.bookcase(rng), 0.4)
    layout.at_wall(storage.sideboard(rng), 0.4)
    layout.at_wall(seating.sofa(rng, int(rng.integers(1, 3))), 0.4)


def dining_room(layout: Layout) -> None:
    """Table with chairs in the middle, sideboard, cabinet."""
    rng = layout.rng
    _dining_group(layout)
    layout.at_wall(storage.sideboard(rng), 0.4)
    layout.at_wall(storage.bookcase(rng), 0.35)
    layout.at_wall(storage.dresser(rng), 0.4)
    layout.at_wall(seating.sofa(rng, int(rng.integers(1, 3))), 0.3)


def _held(support: Support, holds: str) -> Support:
    return Support(support.centre, support.size_x, support.size_y, support.clearance, holds)


def _pose_of(layout: Layout, instance_id: int) -> Float64[np.ndarray, "4 4"]:
    return next(one.T_world_object for one in layout.placed if one.instance_id == instance_id)


def _sofa_group(layout: Layout) -> None:
    rng = layout.rng
    sofa = seating.sofa(rng, int(rng.integers(2, 4)))
    sofa_id = layout.at_wall(sofa, 0.05)
    if not sofa_id:
        return
    table = tables.coffee_table(rng)
    low, high = table.bounds()
    size = (high - low)[:2] + rng.uniform(0.5, 0.8)
    rug = decor.rug(rng, float(size[0]), float(size[1]))
    ahead = -float(sofa.bounds()[1][1]) - float(size[1]) / 2 - 0.12
    T_world_rug = _pose_of(layout, sofa_id) @ upright(0.0, ahead, 0.0, 0.0)
    rug_id = layout.try_floor(rug, T_world_rug)
    if rug_id:
        thickness = float(rug.bounds()[1][2])
        layout.add(table, T_world_rug @ upright(0.0, 0.0, thickness, 0.0), rug_id)


def _desk_group(layout: Layout) -> None:
    rng = layout.rng
    desk = tables.desk(rng)
    desk_id = layout.at_wall(desk, 0.0)
    if not desk_id:
        return
    chair = seating.office_chair(rng) if rng.uniform() < 0.75 else seating.chair(rng)
    turn = np.pi + rng.uniform(-0.6, 0.6)
    ahead = float(desk.bounds()[0][1]) - rng.uniform(0.42, 0.5)
    T_desk_chair = upright(float(rng.uniform(-0.25, 0.15)), ahead, 0.0, float(turn))
    layout.try_floor(chair, _pose_of(layout, desk_id) @ T_desk_chair)


def _bed_group(layout: Layout) -> None:
    rng = layout.rng
    bed = seating.bed(rng)
    bed_id = layout.at_wall(bed, 0.3)
    if not bed_id:
        return
    half, back = float(bed.bounds()[1][0]), float(bed.bounds()[1][1])
    stand = storage.nightstand(rng)
    _, high = stand.bounds()
    for side in (-1, 1):
        x = side * (half + float(high[0]) + 0.05)
        layout.try_floor(stand, _pose_of(layout, bed_id) @ upright(x, back - float(high[1]), 0.0, 0.0))


def _dining_group(layout: Layout) -> None:
    rng = layout.rng
    pairs = 2 if layout.shell.length_m > 4.2 else 1
    length, depth = (rng.uniform(1.4, 1.8), 0.85) if pairs == 2 else (rng.uniform(0.85, 1.1), 0.8)
    table = tables.table(rng, "dining table", length, depth, rng.uniform(0.73, 0.77), "dining")
    centre = upright(float(rng.uniform(-0.25, 0.25)), float(rng.uniform(-0.2, 0.2)), 0.0, 0.0)
    table_id = layout.try_floor(table, centre)
    if not table_id:
        return
    chair = seating.chair(rng)
    for side in (-1, 1):
        for column in range(pairs):
            if rng.uniform() < 0.12:
                continue
            x = (column - (pairs - 1) / 2) * length / 2
            pushed = rng.uniform(-0.18, 0.1)
            y = side * (depth / 2 + 0.225 + pushed)
            wobble = float(rng.uniform(-0.4, 0.4)) if pushed > 0.06 else 0.0
            angle = wobble if side > 0 else np.pi + wobble
            T_world_chair = centre @ upright(float(x), float(y), 0.0, angle)
            # Under the table's edge, so its footprint is checked by construction and not by try_floor.
            layout.taken.append(_footprint(chair.bounds(), T_world_chair))
            layout.add(chair, T_world_chair, FLOOR_ID)


def _extras(layout: Layout) -> None:
    rng = layout.rng
    for _ in range(int(rng.integers(1, 3))):
        layout.at_wall(decor.plant(rng, rng.uniform(0.7, 1.5)), 0.0)
    if rng.uniform() < 0.7:
        layout.at_wall(decor.floor_lamp(rng), 0.0)
    makers = (decor.bin_, decor.carton, decor.basket, seating.pouf, seating.stool, tables.side_table, storage.dresser)
    for index in rng.choice(len(makers), int(rng.integers(2, 5)), replace=False):
        layout.at_wall(makers[int(index)](rng), 0.1)


def _hangings(layout: Layout) -> None:
    rng = layout.rng
    for _ in range(int(rng.integers(0, 3))):
        layout.hang(storage.wall_shelf(rng), rng.uniform(1.3, 1.5))
    for _ in range(int(rng.integers(1, 4))):
        layout.hang(decor.wall_picture(rng), rng.uniform(1.35, 1.55))
