"""What can be played: rooms by seed, recorded sequences turned upright."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from seg3d_core.data.playback import UprightSequence, open_playback, room_seed
from seg3d_core.errors import InputError
from seg3d_core.geometry.camera import Camera
from seg3d_core.types import RgbdFrame

CAMERA = Camera(4, 3, np.array([[5.0, 0, 1.5], [0, 5.0, 1], [0, 0, 1]]))


@dataclass
class OneFrame:
    up: np.ndarray = field(default_factory=lambda: np.array([0.0, -1.0, 0.0]))

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> RgbdFrame:
        return RgbdFrame(np.ones((3, 4), np.float32), CAMERA, None, np.eye(4), "map", 5)

    @property
    def stamps_ns(self) -> np.ndarray:
        return np.array([5], np.int64)


@pytest.mark.parametrize("up", [[0, -1, 0], [0, 0, 1], [0, 0, -1], [0.6, 0, 0.8]])
def test_what_was_up_becomes_z(up: list[float]):
    frame = UprightSequence(OneFrame(np.array(up, np.float64)))[0]
    assert frame.T_world_camera is not None
    # The camera's pose was the identity, so the old vertical, seen from the camera, is the new one.
    np.testing.assert_allclose(frame.T_world_camera[:3, :3] @ up, [0, 0, 1], atol=1e-12)
    assert np.linalg.det(frame.T_world_camera[:3, :3]) == pytest.approx(1)


def test_stamps_and_length_are_the_sequence_s_own():
    upright = UprightSequence(OneFrame())
    assert len(upright) == 1
    assert upright.stamps_ns.tolist() == [5]


def test_names_of_rooms():
    assert room_seed("room:12") == 12
    assert room_seed("recordings/room") is None
    for wrong in ("room:", "room:x", "room:-1", "room:1.5"):
        with pytest.raises(InputError, match="whole number"):
            room_seed(wrong)


def test_a_room_is_walked_through_deterministically():
    one, other = open_playback("room:4"), open_playback("room:4")
    assert len(one) == 200
    assert (np.diff(one.stamps_ns) > 0).all()
    first, second = one[7], other[7]
    np.testing.assert_array_equal(first.depth_m, second.depth_m)
    np.testing.assert_array_equal(first.rgb, second.rgb)
    assert 0.2 < np.median(first.depth_m[first.depth_m > 0]) < 6
    assert first.frame_id == "map"


def test_no_sequence_there(tmp_path: Path):
    with pytest.raises(InputError, match=str(tmp_path)):
        open_playback(str(tmp_path))
