"""From a place on the screen to the scene."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg3d_core.browser.pointing import ScreenView, point_under
from seg3d_core.errors import PromptError


def point_obviously(points, origin, direction, spacing_m):
    """A slow version of ``point_under``."""
    best = None
    offsets = points.astype(np.float64) - origin
    along = offsets @ direction
    aside = np.linalg.norm(offsets - along[:, None] * direction, axis=1)
    near = (along > 0) & (aside <= np.maximum(spacing_m, 0.006 * along))
    if near.any():
        front = near & (along <= along[near].min() + 0.03 + spacing_m)
        best = points[front][aside[front].argmin()]
    return best


@given(seed=st.integers(0, 10_000))
def test_the_point_under_the_cursor_is_on_the_nearest_surface(seed):
    rng = np.random.default_rng(seed)
    points = rng.uniform(-1, 1, (200, 3)).astype(np.float32)
    origin, direction = np.array([0.0, 0, -3]), np.array([*rng.uniform(-0.3, 0.3, 2), 1.0])
    direction /= np.linalg.norm(direction)
    expected = point_obviously(points, origin, direction, 0.1)
    if expected is None:
        with pytest.raises(PromptError, match="no point under the cursor"):
            point_under(points, origin, direction, 0.1)
    else:
        np.testing.assert_allclose(point_under(points, origin, 7 * direction, 0.1), expected, atol=1e-6)


def test_rays_that_are_none_are_refused():
    with pytest.raises(PromptError, match="is none"):
        point_under(np.zeros((4, 3), np.float32), np.zeros(3), np.zeros(3), 0.1)


def test_a_place_in_the_window():
    view = ScreenView(np.eye(4), (0.8, 0.5))
    assert view.direction(0.5, 0.5) == (0, 0)
    assert view.direction(1.0, 0.0) == (0.8, -0.5)
    assert len(view.matrix) == 16
