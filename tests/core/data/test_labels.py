from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg3d_core.data.labels import transfer_labels
from seg3d_core.errors import InputError
from seg3d_core.types import IGNORE, Cloud, LabelledCloud


def labelled(points: list[list[float]], ids: list[int]) -> LabelledCloud:
    return LabelledCloud(Cloud(np.array(points, np.float32).reshape(-1, 3)), np.array(ids, np.int32), {})


def test_nearest_within_reach_by_hand() -> None:
    truth = labelled([[0, 0, 0], [1, 0, 0]], [7, IGNORE])
    cloud = Cloud(np.array([[0.04, 0, 0], [0.4, 0, 0], [0.97, 0, 0]], np.float32))
    np.testing.assert_array_equal(transfer_labels(truth, cloud, 0.05), [7, IGNORE, IGNORE])


def test_empty_clouds() -> None:
    cloud = Cloud(np.zeros((2, 3), np.float32))
    np.testing.assert_array_equal(transfer_labels(labelled([], []), cloud, 0.1), [IGNORE, IGNORE])
    assert len(transfer_labels(labelled([[0, 0, 0]], [1]), Cloud(np.zeros((0, 3), np.float32)), 0.1)) == 0


@given(st.integers(0, 1000))
def test_equals_looking_at_every_pair(seed: int) -> None:
    rng = np.random.default_rng(seed)
    known, asked = (rng.uniform(0, 1, (30, 3)).astype(np.float32) for _ in range(2))
    ids = rng.integers(1, 9, 30).astype(np.int32)
    carried = transfer_labels(LabelledCloud(Cloud(known), ids, {}), Cloud(asked), 0.2)
    distance_m = np.linalg.norm(asked[:, None].astype(np.float64) - known[None], axis=2)
    expected = np.where(distance_m.min(axis=1) < 0.2, ids[distance_m.argmin(axis=1)], IGNORE)
    np.testing.assert_array_equal(carried, expected)


def test_a_distance_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match=r"max_distance_m is 0.0 m, must be greater than 0 m"):
        transfer_labels(labelled([[0, 0, 0]], [1]), Cloud(np.zeros((1, 3), np.float32)), 0.0)
