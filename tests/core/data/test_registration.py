from __future__ import annotations

import numpy as np
import pytest

from seg3d_core.data.registration import check_registered, measure_registration
from seg3d_core.errors import InputError
from seg3d_core.geometry.camera import Camera
from seg3d_core.types import RgbdFrame

CAMERA = Camera(320, 240, np.array([[300.0, 0, 159.5], [0, 300.0, 119.5], [0, 0, 1]]))


def boxes(seed: int, shift: tuple[int, int], textured: bool = True) -> RgbdFrame:
    """Boxes of their own colour and depth before a wall; the colour image is shifted by (right, down) px."""
    rng = np.random.default_rng(seed)
    depth_m = np.full((240, 320), 3.0, np.float32)
    colour = np.full((240, 320, 3), 0.5, np.float32)
    for _ in range(25):
        v, u = rng.integers(0, 200), rng.integers(0, 280)
        box = np.s_[v : v + rng.integers(15, 50), u : u + rng.integers(15, 50)]
        depth_m[box] = rng.uniform(0.8, 2.5)
        colour[box] = rng.random(3) if textured else 0.5
    colour = np.roll(colour, (shift[1], shift[0]), (0, 1)) + rng.normal(0, 0.01, colour.shape).astype(np.float32)
    return RgbdFrame(depth_m, CAMERA, np.clip(colour, 0, 1))


@pytest.mark.parametrize("shift", [(0, 0), (3, -2), (-4, 0)])
def test_a_registered_pair_passes(shift: tuple[int, int]) -> None:
    found = measure_registration([boxes(seed, shift) for seed in range(6)])
    assert found.shifted == 0
    assert found.aligned >= 7


@pytest.mark.parametrize("shift", [(12, 0), (-20, 8), (0, 28)])
def test_a_displaced_pair_is_refused_with_its_offset(shift: tuple[int, int]) -> None:
    found = measure_registration([boxes(seed, shift) for seed in range(6)])
    assert found.is_displaced
    assert abs(found.offset_px - np.hypot(*shift)) < 4
    with pytest.raises(InputError, match="folder: depth is not registered to colour: their edges are about"):
        check_registered([boxes(seed, shift) for seed in range(6)], "folder")


def test_pictures_that_tell_nothing_pass() -> None:
    plain = [boxes(seed, (30, 0), textured=False) for seed in range(6)]
    empty = RgbdFrame(np.zeros((240, 320), np.float32), CAMERA, np.zeros((240, 320, 3), np.float32))
    colourless = RgbdFrame(boxes(0, (0, 0)).depth_m, CAMERA)
    for frames in (plain, [empty], [colourless], []):
        assert not measure_registration(frames).is_displaced
