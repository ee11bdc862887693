"""Index lists against the dense masks that they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg3d_core.errors import InputError
from seg3d_core.segment3d.proposals import Proposals


def _random(seed, count, rows):
    rng = np.random.default_rng(seed)
    masks = rng.random((count, rows)) < rng.choice([0.0, 0.2, 0.9], (count, 1))
    found = Proposals.from_masks(masks, rng.random(count, np.float32))
    sure = rng.random(len(found.members), np.float32)
    return rng, masks, Proposals(found.scores, found.offsets, found.members, rows, sure)


def _dense_probabilities(found):
    dense = np.zeros(found.masks.shape, np.float32)
    dense[np.repeat(np.arange(len(found)), found.sizes), found.members] = found.probabilities
    return dense


def test_masks_come_back_and_empty_ones_do_not():
    masks = np.array([[True, False, True], [False, False, False], [True, True, True]])
    found = Proposals.from_masks(masks, np.float32([0.1, 0.2, 0.3]))
    assert found.members.tolist() == [0, 2, 0, 1, 2] and found.offsets.tolist() == [0, 2, 5]
    assert (found.masks == masks[[0, 2]]).all() and found.scores.tolist() == np.float32([0.1, 0.3]).tolist()


@given(seed=st.integers(0, 2**31), count=st.integers(0, 6), rows=st.integers(0, 30))
def test_choosing_and_filtering_are_those_of_dense_masks(seed, count, rows):
    rng, _, found = _random(seed, count, rows)
    chosen = rng.permutation(len(found))[: len(found) // 2 + 1]
    assert (found.select(chosen).masks == found.masks[chosen]).all()
    assert (_dense_probabilities(found.select(chosen)) == _dense_probabilities(found)[chosen]).all()
    flags = rng.random(len(found)) < 0.5
    assert (found.select(flags).masks == found.masks[flags]).all()
    keep = rng.random(len(found.members)) < 0.4
    left = found.masks.copy()
    left[np.repeat(np.arange(len(found)), found.sizes), found.members] = keep
    assert (found.filtered(keep).masks == left[left.any(axis=1)]).all()
    assert (found.filtered(keep).scores == found.scores[left.any(axis=1)]).all()
    assert (_dense_probabilities(found.filtered(keep)) == (_dense_probabilities(found) * left)[left.any(axis=1)]).all()


@given(seed=st.integers(0, 2**31), count=st.integers(0, 5), rows=st.integers(1, 12), points=st.integers(0, 40))
def test_points_have_the_masks_of_their_rows(seed, count, rows, points):
    rng, _, found = _random(seed, count, rows)
    point_to_row = rng.integers(0, rows, points).astype(np.int32)
    expected = found.masks[:, point_to_row]
    filled = expected.any(axis=1)
    spread = found.on_points(point_to_row)
    assert (spread.masks == expected[filled]).all() and (spread.scores == found.scores[filled]).all()
    assert (_dense_probabilities(spread) == _dense_probabilities(found)[:, point_to_row][filled]).all()


def test_points_of_rows_that_are_not_there_are_refused():
    found = Proposals.from_masks(np.ones((1, 4), bool), np.ones(1, np.float32))
    with pytest.raises(InputError, match="a point is of row 4, but there are rows 0 to 3"):
        found.on_points(np.array([0, 4], np.int32))
    with pytest.raises(InputError, match="a point is of row -1"):
        found.on_points(np.array([0, -1], np.int32))
