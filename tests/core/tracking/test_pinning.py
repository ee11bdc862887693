"""Accepted instances in the results of a segmenter: theirs first, the rest cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seg3d_core.errors import InputError
from seg3d_core.tracking.ids import ACCEPTED_IDS
from seg3d_core.tracking.pinning import pin
from seg3d_core.types import Cloud, Instances


def instances(masks: list[list[int]] | np.ndarray, first_id: int, score: float = 0.5) -> Instances:
    rows = np.array(masks, bool)
    cloud = Cloud(np.arange(3 * rows.shape[1], dtype=np.float32).reshape(-1, 3))
    ids = np.arange(first_id, first_id + len(rows), dtype=np.int32)
    return Instances(cloud, rows, np.full(len(rows), score, np.float32), ids)


def test_a_pinned_instance_is_cut_out_of_what_was_found() -> None:
    found = instances([[1, 1, 1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 0, 0, 0, 0]], 1)
    pinned = instances([[0, 0, 1, 1, 1, 0, 0, 0]], ACCEPTED_IDS.start, 0.9)
    both = pin(found, pinned)
    assert both.instance_ids.tolist() == [ACCEPTED_IDS.start, 1, 2]
    expected = [[0, 0, 1, 1, 1, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1, 1, 1]]
    np.testing.assert_array_equal(both.masks, np.array(expected, bool))
    assert both.scores.tolist() == pytest.approx([0.9, 0.5, 0.5])
    assert both.cloud is found.cloud


def test_what_is_left_of_the_same_object_goes() -> None:
    found = instances([[1] * 9, [0] * 9], 1)
    both = pin(found, instances([[1] * 7 + [0] * 2], ACCEPTED_IDS.start))
    # Two of nine points are edges; an instance that was empty before lost nothing.
    assert both.instance_ids.tolist() == [ACCEPTED_IDS.start, 2]


def test_pinned_instances_out_of_view_change_nothing() -> None:
    found = instances([[1, 0], [0, 1]], 1)
    assert pin(found, instances([[0, 0]], ACCEPTED_IDS.start)) is found
    assert pin(found, instances(np.zeros((0, 2)), ACCEPTED_IDS.start)) is found


def test_refused() -> None:
    found = instances([[1, 0], [0, 1]], 1)
    with pytest.raises(InputError, match="instances of 3 points cannot be pinned in 2 points"):
        pin(found, instances([[1, 0, 0]], ACCEPTED_IDS.start))
    with pytest.raises(InputError, match=r"instance ids \[2\] are pinned and found"):
        pin(found, instances([[1, 0]], 2))


@given(st.integers(0, 2**32 - 1), st.integers(0, 5), st.integers(0, 5), st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_every_point_of_a_pinned_instance_is_its_own(seed: int, rows: int, pins: int, points: int) -> None:
    rng = np.random.default_rng(seed)
    found = instances(rng.random((rows, points)) < 0.5, 1)
    pinned = instances(rng.random((pins, points)) < 0.2, ACCEPTED_IDS.start)
    both = pin(found, pinned)
    taken = pinned.masks.any(axis=0)
    is_pinned = np.isin(both.instance_ids, pinned.instance_ids)
    np.testing.assert_array_equal(both.masks[is_pinned], pinned.masks[pinned.masks.any(axis=1)])
    assert not both.masks[~is_pinned][:, taken].any()
    np.testing.assert_array_equal(both.point_ids > 0, (found.point_ids > 0) & ~lost(found, both) | taken)


def lost(found: Instances, both: Instances) -> np.ndarray:
    """Points that only instances had which are gone."""
    kept = np.isin(found.instance_ids, both.instance_ids)
    return ~found.masks[kept].any(axis=0)
