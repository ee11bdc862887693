"""Small things on tables, shelves, sofas and cabinets: side by side, stacked, leaning."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64

from seg3d_core.data.rooms import decor, desk_things, tableware
from seg3d_core.data.rooms.items import Item, Placed, Support, upright
from seg3d_core.data.rooms.layout import Layout, Rectangle, overlap

Maker = Callable[[np.random.Generator], Item]

MARGIN_M = 0.015
"""Free border of a support."""

FILLED_SHELVES = 0.7
"""Share of the boards of a bookcase that are not left empty."""


def _small_plant(rng: np.random.Generator) -> Item:
    return decor.plant(rng, rng.uniform(0.2, 0.36))


DINING: tuple[Maker, ...] = (
    tableware.plate, tableware.mug, tableware.bowl, tableware.bottle, tableware.teapot, tableware.fruit, tableware.vase,
    tableware.plate, tableware.mug,
)  # fmt: skip
MIXED: tuple[Maker, ...] = (
    tableware.mug, tableware.bowl, tableware.vase, _small_plant, desk_things.packet, tableware.can, tableware.fruit,
    desk_things.clock, tableware.bottle, decor.table_lamp, desk_things.laptop,
)  # fmt: skip
OFFICE: tuple[Maker, ...] = (
    tableware.mug, desk_things.pencil_cup, tableware.bottle, decor.table_lamp, desk_things.packet, tableware.can,
    desk_things.clock, _small_plant,
)  # fmt: skip
SHELVED: tuple[Maker, ...] = (
    tableware.vase, desk_things.packet, desk_things.clock, tableware.bowl, _small_plant, tableware.teapot,
    tableware.can,
)  # fmt: skip
KINDS: dict[str, tuple[Maker, ...]] = {
    "table": MIXED, "dining": DINING, "desk": OFFICE, "bedside": MIXED, "media": MIXED, "sofa": (decor.cushion,),
}  # fmt: skip


def fill_supports(layout: Layout, things_per_m2: float, most: int) -> None:
    """Put small things on everything that can hold them, at most until the room has ``most`` placed objects."""
    rng = layout.rng
    owners = [(one, support) for one in layout.placed for support in one.item.supports]
    for index in rng.permutation(len(owners)):
        owner, support = owners[int(index)]
        area = Area(layout, owner, support, most)
        if support.holds == "shelf":
            if rng.uniform() < FILLED_SHELVES:
                _fill_shelf(area)
        else:
            _fill_table(area, things_per_m2)


class Area:
    """One support while it is being filled. Rectangles are in its owner's frame, about the support's centre."""

    def __init__(self, layout: Layout, owner: Placed, support: Support, most: int) -> None:
        self.layout = layout
        self.owner = owner
        self.support = support
        self.most = most
        self.taken: list[Rectangle] = []

    @property
    def is_full(self) -> bool:
        """Whether the room has as many objects as it may have."""
        return len(self.layout.placed) >= self.most

    def put(self, item: Item, x: float, y: float, angle: float) -> int:
        """Put an object's middle at (x, y) if it fits there; its id, or 0."""
        lowest, highest = item.bounds()
        middle = (lowest + highest) / 2
        T_middle_object = upright(-float(middle[0]), -float(middle[1]), 0.0, 0.0)
        T_support_object = upright(x, y, 0.0, angle) @ T_middle_object
        half_x, half_y = (highest - lowest)[:2] / 2
        cosine, sine = abs(np.cos(angle)), abs(np.sin(angle))
        reach_x, reach_y = float(half_x * cosine + half_y * sine), float(half_x * sine + half_y * cosine)
        area = (x - reach_x, y - reach_y, x + reach_x, y + reach_y)
        if self.is_full or float(highest[2]) > self.support.clearance - 0.01 or not self._holds(area):
            return 0
        self.taken.append(area)
        return self.layout.add(item, self._pose(T_support_object), self.owner.instance_id)

    def _holds(self, area: Rectangle) -> bool:
        x, y = self.support.size_x / 2 - MARGIN_M, self.support.size_y / 2 - MARGIN_M
        inside = area[0] >= -x and area[1] >= -y and area[2] <= x and area[3] <= y
        return inside and not any(overlap(area, other, 0.008) for other in self.taken)

    def _pose(self, T_support_object: Float64[np.ndarray, "4 4"]) -> Float64[np.ndarray, "4 4"]:
        T_owner_support = upright(*self.support.centre, 0.0)
        return np.asarray(self.owner.T_world_object @ T_owner_support @ T_support_object)

    def put_somewhere(self, item: Item, angle: float) -> int:
        """Try random places; the id, or 0."""
        rng = self.layout.rng
        for _ in range(25):
            x = float(rng.uniform(-0.5, 0.5)) * self.support.size_x
            y = float(rng.uniform(-0.5, 0.5)) * self.support.size_y
            instance_id = self.put(item, x, y, angle)
            if instance_id:
                return instance_id
        return 0


def _fill_table(area: Area, things_per_m2: float) -> None:
    rng = area.layout.rng
    holds = area.support.holds
    if holds == "desk":
        _put_computer(area)
    if holds == "media":
        area.put(desk_things.television(rng), 0.0, 0.0, 0.0)
    size = area.support.size_x * area.support.size_y
    makers = KINDS[holds]
    count = int(rng.integers(0, 3)) if holds == "sofa" else 1 + int(rng.poisson(things_per_m2 * size))
    for _ in range(count):
        if holds != "sofa" and rng.uniform() < 0.2:
            _stack_books(area)
            continue
        item = makers[int(rng.integers(len(makers)))](rng)
        turn = rng.uniform(-0.5, 0.5) if item.name in {"laptop", "clock"} else rng.uniform(-np.pi, np.pi)
        area.put_somewhere(item, float(turn))


def _put_computer(area: Area) -> None:
    rng = area.layout.rng
    x = float(rng.uniform(-0.2, 0.2))
    if rng.uniform() < 0.25:
        area.put(desk_things.laptop(rng), x, -0.05, float(rng.uniform(-0.3, 0.3)))
        return
    area.put(desk_things.monitor(rng), x, area.support.size_y / 2 - 0.14, float(rng.uniform(-0.1, 0.1)))
    y = -area.support.size_y / 2 + 0.17
    area.put(desk_things.keyboard(rng), x, y, float(rng.uniform(-0.12, 0.12)))
    area.put(desk_things.mouse(rng), x + 0.32, y, float(rng.uniform(-0.3, 0.3)))


def _stack_books(area: Area) -> None:
    """One to four books on each other, each a little smaller than the one below and turned a little."""
    rng = area.layout.rng
    length, width = rng.uniform(0.21, 0.27), rng.uniform(0.15, 0.19)
    angle = float(rng.uniform(-np.pi, np.pi))
    bottom = desk_things.book(rng, rng.uniform(0.02, 0.04), length, width).turned(1, np.pi / 2)
    below_id = area.put_somewhere(bottom, angle)
    if not below_id:
        return
    pose = area.layout.placed[-1].T_world_object @ _middle(bottom)
    height_m = float(bottom.bounds()[1][2])
    for _ in range(int(rng.integers(0, 4))):
        length, width = length - rng.uniform(0.01, 0.03), width - rng.uniform(0.005, 0.02)
        above = desk_things.book(rng, rng.uniform(0.015, 0.035), length, width).turned(1, np.pi / 2)
        rise = height_m + float(above.bounds()[1][2])
        if area.is_full or rise > area.support.clearance:
            return
        pose = pose @ upright(0.0, 0.0, height_m, float(rng.uniform(-0.12, 0.12)))
        below_id = area.layout.add(above, pose @ np.linalg.inv(_middle(above)), below_id)
        height_m = float(above.bounds()[1][2])


def _middle(item: Item) -> Float64[np.ndarray, "4 4"]:
    """T_object_middle: the middle of an object's footprint."""
    x, y, _ = item.bounds().mean(axis=0)
    return upright(float(x), float(y), 0.0, 0.0)


def _fill_shelf(area: Area) -> None:
    """From left to right: rows of books, the last one leaning now and then, and other things between."""
    rng = area.layout.rng
    right = area.support.size_x / 2 - MARGIN_M
    cursor = -right + float(rng.uniform(0, 0.1))
    while cursor < right - 0.06 and not area.is_full:
        if rng.uniform() < 0.5:
            cursor = _row_of_books(area, cursor, right)
        else:
            item = SHELVED[int(rng.integers(len(SHELVED)))](rng)
            size_x = float(np.ptp(item.bounds()[:, 0]))
            area.put(item, cursor + size_x / 2, float(rng.uniform(-0.02, 0.01)), 0.0)
            cursor += size_x
        cursor += float(rng.uniform(0.03, 0.25))


def _row_of_books(area: Area, cursor: float, right: float) -> float:
    """Upright books side by side, their backs in one line; where the row ends."""
    rng = area.layout.rng
    front = -area.support.size_y / 2 + MARGIN_M + float(rng.uniform(0.0, 0.03))
    for _ in range(int(rng.integers(2, 5))):
        item = desk_things.random_book(rng)
        size_x, size_y, _ = np.ptp(item.bounds(), axis=0)
        if cursor + size_x > right or not area.put(item, cursor + float(size_x) / 2, front + float(size_y) / 2, 0.0):
            return cursor
        # Books touch but for a hair; Area keeps its usual distance only to what is not in the row.
        area.taken[-1] = (area.taken[-1][0], area.taken[-1][1], area.taken[-1][2] - 0.0075, area.taken[-1][3])
        cursor += float(size_x) + 0.001
    return _leaning_book(area, cursor, front, right) if rng.uniform() < 0.5 else cursor


def _leaning_book(area: Area, cursor: float, front: float, right: float) -> float:
    """A book that leans to the left against the row; where it ends."""
    rng = area.layout.rng
    height_of_last = float(area.layout.placed[-1].item.bounds()[1][2])
    tilt = float(rng.uniform(0.15, 0.35))
    upright_book = desk_things.book(rng, rng.uniform(0.018, 0.035), min(0.24, height_of_last), rng.uniform(0.13, 0.17))
    item = upright_book.turned(1, -tilt)
    size_x, size_y, _ = np.ptp(item.bounds(), axis=0)
    if cursor + size_x > right or not area.put(item, cursor + float(size_x) / 2, front + float(size_y) / 2, 0.0):
        return cursor
    return cursor + float(size_x)
