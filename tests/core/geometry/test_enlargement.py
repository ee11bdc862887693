"""How much larger dense clouds may become."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg3d_core.geometry.enlargement import enlargement
from seg3d_core.geometry.voxels import voxelize

VOXEL_M = 0.02


def plane(spacing_m, size_m=0.6):
    steps = np.arange(0.5 * spacing_m, size_m, spacing_m)
    x, y = np.meshgrid(steps, steps)
    return np.stack([x, y, np.full_like(x, 0.01)], axis=-1).reshape(-1, 3).astype(np.float32)


def test_points_still_fill_voxels():
    assert enlargement(plane(0.005), VOXEL_M, 0, 10.0) == pytest.approx(np.sqrt(16 / 2), rel=0.01)
    assert enlargement(plane(0.005), VOXEL_M, 0, 2.0) == 2
    assert enlargement(plane(0.02), VOXEL_M, 0, 10.0) == 1
    assert enlargement(plane(0.1), VOXEL_M, 0, 10.0) == 1


def test_never_for_networks_that_do_not_know_it():
    assert enlargement(plane(0.005), VOXEL_M, 0, 1.0) == 1
    assert enlargement(np.zeros((0, 3), np.float32), VOXEL_M, 0, 10.0) == 1


@given(st.integers(500, 5000), st.floats(0.002, 0.01))
def test_no_more_voxels_than_allowed(most, spacing_m):
    points = plane(spacing_m)
    factor = enlargement(points, VOXEL_M, most, 10.0)
    before = len(voxelize(points, VOXEL_M))
    # Those at the border are counted, too, where a voxel is only partly filled.
    assert factor == 1 or len(voxelize(points * np.float32(factor), VOXEL_M)) <= 1.1 * max(most, before)
    assert factor > 1 or before > 0.9 * most or spacing_m > 0.9 * VOXEL_M / np.sqrt(2)
