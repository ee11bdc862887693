"""Seeded, furnished rooms with exact instance and part ground truth, for tests, demos and training."""

from seg3d_core.data.rooms.generator import make_room
from seg3d_core.data.rooms.room import STRUCTURE_IDS, Room
from seg3d_core.data.rooms.walk import camera_path

__all__ = ["STRUCTURE_IDS", "Room", "camera_path", "make_room"]
