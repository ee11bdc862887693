"""What colour each point has on the screen."""

from __future__ import annotations

import numpy as np
import pytest

from seg3d_core.browser.colouring import PICKED, SELECTED, point_colours
from seg3d_core.colours import instance_colours


def test_colours():
    rgb = np.tile(np.float32(0.5), (4, 3))
    ids = np.array([0, 1, 2, 2], np.int32)
    true = point_colours(rgb, ids, np.array([1, 0, 0, 0], bool), (), "true")
    assert true[1:].tolist() == [[128] * 3] * 3
    np.testing.assert_allclose(true[0] / 255, 0.3 * 0.5 + 0.7 * SELECTED, atol=0.01)
    shown = point_colours(rgb, ids, None, (2,), "instances")
    assert shown[0].tolist() == [128] * 3
    assert len({tuple(one) for one in shown.tolist()}) == 3
    assert (shown[2] > shown[1]).any() and (shown[2] / 255 >= 0.6 * PICKED).all()


def colours_obviously(true_rgb, ids, selected, picked, colours):
    """A slow version of ``point_colours``: one point after another."""
    shown = []
    for rgb, number, chosen in zip(true_rgb.astype(np.float64), ids, selected, strict=True):
        if colours == "instances" and number > 0:
            rgb = 0.3 * rgb + 0.7 * instance_colours(np.array([number], np.int32))[0]
        if number in picked:
            rgb = 0.4 * rgb + 0.6 * PICKED
        if chosen:
            rgb = 0.3 * rgb + 0.7 * SELECTED
        shown.append(255 * rgb.clip(0, 1))
    return np.array(shown)


@pytest.mark.parametrize("colours", ["true", "instances"])
def test_against_point_by_point(colours):
    random = np.random.default_rng(1)
    rgb = random.uniform(-0.1, 1.1, (500, 3)).astype(np.float32)
    ids, selected = random.choice(np.array([0, 1, 7, 256, 257, 70_000], np.int32), 500), random.random(500) < 0.3
    for picked in ((), (7,), (1, 70_000)):
        found = point_colours(rgb, ids, selected, picked, colours)
        np.testing.assert_allclose(found, colours_obviously(rgb, ids, selected, picked, colours), atol=0.51)
