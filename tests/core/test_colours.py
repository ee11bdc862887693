from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seg3d_core.colours import PALETTE_SIZE, instance_colours
from seg3d_core.types import IGNORE


def oklab(rgb: np.ndarray) -> np.ndarray:
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_cones = [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566]]
    to_cones.append([0.0883024619, 0.2817188376, 0.6299787005])
    to_lab = [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099]]
    to_lab.append([0.0259040371, 0.7827717662, -0.8086757660])
    return np.cbrt(linear @ np.transpose(to_cones)) @ np.transpose(to_lab)


def least_distance(colours: np.ndarray) -> float:
    distances = np.linalg.norm(colours[:, None] - colours[None], axis=2)
    return float(distances[~np.eye(len(colours), dtype=bool)].min())


def test_first_64_ids_are_told_apart_also_without_red_and_green() -> None:
    lab = oklab(instance_colours(np.arange(1, 65, dtype=np.int32)).astype(np.float64))
    # 0.02 is just noticeable.
    assert least_distance(lab) > 0.05
    assert least_distance(lab[:, [0, 2]]) > 0.03
    assert least_distance(lab[:16]) > 0.1
    grey = oklab(np.full((1, 3), 0.5))
    assert np.linalg.norm(lab - grey, axis=1).min() > 0.08


@given(st.lists(st.integers(IGNORE, 2**31 - 1), max_size=20))
def test_a_colour_depends_on_its_id_alone(ids: list[int]) -> None:
    colours = instance_colours(np.array(ids, np.int32))
    assert colours.shape == (len(ids), 3) and colours.dtype == np.float32
    for one, colour in zip(ids, colours, strict=True):
        np.testing.assert_array_equal(instance_colours(np.array([one], np.int32))[0], colour)


def test_no_instance_is_grey_and_ids_wrap() -> None:
    ids = np.array([IGNORE, 0, 1, 1 + PALETTE_SIZE], np.int32)
    colours = instance_colours(ids)
    np.testing.assert_array_equal(colours[:2], np.full((2, 3), 0.5, np.float32))
    np.testing.assert_array_equal(colours[2], colours[3])
