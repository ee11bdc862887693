"""A walk through a synthetic room, as a camera would record it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64

from seg3d_core.config import DepthNoiseConfig, RoomConfig
from seg3d_core.data.depth_noise import DepthNoise
from seg3d_core.data.rooms import Room, camera_path, make_room
from seg3d_core.geometry.camera import Camera
from seg3d_core.types import RgbdFrame

ROOM_FRAMES = 200
ROOM_RATE_HZ = 5.0


class RoomSequence:
    """A walk through a synthetic room with a noisy depth camera; frames are rendered when asked for.

    Frame ``map`` is the room's: z up, metres.
    """

    up: Float64[np.ndarray, " 3"]

    def __init__(self, seed: int, frames: int = ROOM_FRAMES) -> None:
        self.room: Room = make_room(seed, RoomConfig())
        self.up = np.array([0.0, 0.0, 1.0])
        self._path = camera_path(self.room, frames, seed)
        self._noise = DepthNoise(DepthNoiseConfig(seed=seed))
        self._camera = Camera(640, 480, np.array([[525.0, 0, 319.5], [0, 525.0, 239.5], [0, 0, 1]]))

    def __len__(self) -> int:
        return len(self._path)

    @property
    def stamps_ns(self) -> Int64[np.ndarray, " F"]:
        """Time of each frame, from 0."""
        return np.round(np.arange(len(self)) * 1e9 / ROOM_RATE_HZ).astype(np.int64)

    def __getitem__(self, index: int) -> RgbdFrame:
        frame, _ = self.room.render(self._camera, self._path[index], int(self.stamps_ns[index]), "map")
        return self._noise.apply(frame)
