"""From an image with masks to a cloud with masks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seg3d_core.errors import InputError
from seg3d_core.geometry.camera import Camera
from seg3d_core.learning.segment3d.lifting import lift_frame, numbered
from seg3d_core.types import RgbdFrame

# f = 2 px, centre at pixel (1, 0).
CAMERA = Camera(3, 2, np.array([[2.0, 0, 1], [0, 2.0, 0], [0, 0, 1]]))
DEPTH = np.array([[1, 2, 0], [4, 1, 2]], np.float32)
T = np.array([[0.0, 0, 1, 10], [-1, 0, 0, 20], [0, -1, 0, 30], [0, 0, 0, 1]])


def test_by_hand():
    """Mask 5 has two pixels with depth, mask 3 one and one without, mask 9 one."""
    ids = np.array([[5, 3, 3], [-1, 5, 9]], np.int32)
    lifted = lift_frame(RgbdFrame(DEPTH, CAMERA, np.full((2, 3, 3), 0.5, np.float32), T, "map"), ids, fewest_pixels=2)
    np.testing.assert_allclose(
        lifted.cloud.points,
        [[11, 20.5, 30], [12, 20, 30], [14, 22, 28], [11, 20, 29.5], [12, 19, 29]],
    )
    assert lifted.instance_id.tolist() == [1, -1, -1, 1, -1]
    all_of_them = lift_frame(RgbdFrame(DEPTH, CAMERA, None, T, "map"), ids, fewest_pixels=1)
    assert all_of_them.instance_id.tolist() == [2, 1, -1, 2, 3]
    near = lift_frame(RgbdFrame(DEPTH, CAMERA, None, T, "map"), ids, 1, max_depth_m=2.0)
    assert near.instance_id.tolist() == [2, 1, 2, 3]


@settings(max_examples=30)
@given(arrays(np.int32, st.integers(0, 60), elements=st.integers(-1, 6)), st.integers(1, 12))
def test_numbers_are_dense_ordered_and_large_enough(ids, fewest):
    numbers = numbered(ids, fewest)
    kept = [value for value in np.unique(ids) if value >= 0 and (ids == value).sum() >= fewest]
    for number, value in enumerate(kept, start=1):
        np.testing.assert_array_equal(numbers == number, ids == value)
    assert ((numbers == -1) == ~np.isin(ids, kept)).all()


def test_frames_that_cannot_be_lifted():
    ids = np.zeros((2, 3), np.int32)
    with pytest.raises(InputError, match="the frame has no pose"):
        lift_frame(RgbdFrame(DEPTH, CAMERA), ids)
    with pytest.raises(InputError, match="masks are 3x4 px but the depth image is 3x2 px"):
        lift_frame(RgbdFrame(DEPTH, CAMERA, None, T), np.zeros((4, 3), np.int32))
    nothing = lift_frame(RgbdFrame(0 * DEPTH, CAMERA, None, T), ids)
    assert len(nothing.cloud) == len(nothing.instance_id) == 0
