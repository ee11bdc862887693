"""The compiled look at every point against the plain one."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from seg3d_core.interaction.rows_kernels import rows_in_box

CORNER = hnp.arrays(np.float64, 3, elements=st.sampled_from([-1.0, 0.0, 0.5, 1.0, np.inf]))
POINTS = hnp.arrays(np.float32, st.tuples(st.integers(0, 50), st.just(3)), elements=st.sampled_from([-1, 0, 0.5, 1, 2]))


@given(POINTS, CORNER, CORNER)
def test_rows_between_corners(points, low, high):
    between = ((points >= low) & (points <= high)).all(axis=1)
    assert np.array_equal(rows_in_box(points, low, high), np.flatnonzero(between))
