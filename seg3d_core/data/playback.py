"""What can be played as a camera: a recorded sequence, or a walk through a rendered room."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float64, Int64
from scipy.spatial.transform import Rotation

from seg3d_core.data.sequences import RgbdSequence, open_sequence
from seg3d_core.errors import InputError
from seg3d_core.types import RgbdFrame

ROOM_PREFIX = "room:"


class UprightSequence:
    """A sequence turned so that gravity points along -z of its world frame, as REP-103 wants it."""

    up: Float64[np.ndarray, " 3"]

    def __init__(self, sequence: RgbdSequence) -> None:
        self.up = np.array([0.0, 0.0, 1.0])
        self._sequence = sequence
        self._T_upright_world = np.eye(4)
        self._T_upright_world[:3, :3] = Rotation.align_vectors(self.up, sequence.up)[0].as_matrix()

    def __len__(self) -> int:
        return len(self._sequence)

    @property
    def stamps_ns(self) -> Int64[np.ndarray, " F"]:
        """Time of each frame, as recorded."""
        return self._sequence.stamps_ns

    def __getitem__(self, index: int) -> RgbdFrame:
        frame = self._sequence[index]
        if frame.T_world_camera is None:
            return frame
        return replace(frame, T_world_camera=self._T_upright_world @ frame.T_world_camera)


def open_playback(spec: str) -> RgbdSequence:
    """The sequence that ``spec`` names: ``room:SEED`` or a folder that ``open_sequence`` reads; z is up.

    Raises:
        InputError: the seed is not a whole number, or the folder holds no sequence.
    """
    seed = room_seed(spec)
    if seed is None:
        return UprightSequence(open_sequence(spec))
    # Rendering takes a second to import; recordings do not need it.
    from seg3d_core.data.room_sequence import RoomSequence

    return RoomSequence(seed)


def room_seed(spec: str) -> int | None:
    """Seed of the room that ``spec`` names, None if it names a folder.

    Raises:
        InputError: the seed is not a whole number.
    """
    if not spec.startswith(ROOM_PREFIX):
        return None
    seed = spec.removeprefix(ROOM_PREFIX)
    if not seed.isdecimal():
        raise InputError(f"{spec!r}: a room is named by a whole number, for example {ROOM_PREFIX}7")
    return int(seed)
