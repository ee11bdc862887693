from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seg3d_core.errors import InputError
from seg3d_core.geometry.upright import upright, upright_rotation
from seg3d_core.types import Cloud


@settings(max_examples=30)
@given(arrays(np.float64, 3, elements=st.floats(-5, 5)).filter(lambda up: np.linalg.norm(up) > 1e-3))
def test_up_becomes_z_by_the_least_turn(up):
    R = upright_rotation(up)
    unit = up / np.linalg.norm(up)
    np.testing.assert_allclose(R @ unit, [0, 0, 1], atol=1e-4)
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(R) > 0
    # The angle of a rotation is in its trace.
    assert abs((np.trace(R) - 1) / 2 - unit[2]) < 1e-6


def test_upright_clouds_stay_as_they_are():
    points = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    assert upright(points, np.array([0, 0, 2.0])) is points
    np.testing.assert_allclose(upright(points, np.array([0, 0, -1.0]))[:, 2], -points[:, 2], atol=1e-6)
    np.testing.assert_allclose(upright(points, np.array([0, 1.0, 0]))[:, 2], points[:, 1], atol=1e-6)
    with pytest.raises(InputError, match="must be a direction"):
        upright(points, np.zeros(3))


@pytest.mark.parametrize("up", [(0, 0, 0), (np.nan, 0, 1), (np.inf, 0, 0)])
def test_clouds_refuse_what_is_no_direction(up):
    with pytest.raises(InputError, match="of the cloud is no direction"):
        Cloud(np.zeros((1, 3), np.float32), up=np.array(up, np.float64))
