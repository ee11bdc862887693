"""From a seed to a furnished room."""

from __future__ import annotations

import numpy as np

from seg3d_core.config import RoomConfig
from seg3d_core.data.rooms import shell as shells
from seg3d_core.data.rooms.clutter import fill_supports
from seg3d_core.data.rooms.layout import Layout, furnish
from seg3d_core.data.rooms.room import STRUCTURE_IDS, Room
from seg3d_core.errors import ConfigError

ATTEMPTS = 10


def make_room(seed: int, config: RoomConfig) -> Room:
    """A furnished room; the same seed and settings give the same room, byte for byte.

    Ids 1 to 6 are the floor, the walls and the ceiling, 7 and 8 window and door, then furniture, then small things.

    Raises:
        ConfigError: a least value is greater than its greatest one, or no arrangement with ``min_objects`` to
            ``max_objects`` was found: the room is too small or too big.
    """
    _check_ranges(config)
    for attempt in range(ATTEMPTS):
        rng = np.random.default_rng((seed, attempt))
        length_m = rng.uniform(config.min_length_m, config.max_length_m)
        width_m = rng.uniform(config.min_width_m, config.max_width_m)
        shell = shells.make_shell(rng, length_m, width_m, config.height_m)
        layout = Layout(shell, rng, shells.build(rng, shell))
        furnish(layout)
        # Rooms are not equally full: each has a limit of its own.
        most = int(rng.integers((config.min_objects + config.max_objects) // 2, config.max_objects + 1))
        fill_supports(layout, config.things_per_m2, most + len(STRUCTURE_IDS))
        count = len(layout.placed) - len(STRUCTURE_IDS)
        if config.min_objects <= count <= config.max_objects:
            return Room.assemble(shell, layout.placed)
    limits = f"{config.min_objects} to {config.max_objects} objects"
    raise ConfigError(f"no room of seed {seed} holds {limits} in {ATTEMPTS} attempts: change its size or the limits")


def _check_ranges(config: RoomConfig) -> None:
    for what in ("length_m", "width_m", "objects"):
        least, greatest = getattr(config, f"min_{what}"), getattr(config, f"max_{what}")
        if least > greatest:
            raise ConfigError(f"min_{what} = {least} is greater than max_{what} = {greatest}")
