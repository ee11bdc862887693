"""What colour each point has on the screen."""

from __future__ import annotations

import numpy as np

from seg3d_core.browser.colouring import PICKED, SELECTED, point_colours


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
