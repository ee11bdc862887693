"""Average precision by size of object, by hand, and that overlaps are all it needs."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg3d_core.learning.metrics import ApProtocol, Overlaps, SceneResult, SizeRange, average_precision

SMALL = ApProtocol(min_region=1)
LITTLE, LARGE = SizeRange(largest=10), SizeRange(11)


def blocks(*sizes: int) -> np.ndarray:
    """Ids 1, 2, ... in blocks of the given sizes."""
    return np.repeat(np.arange(1, len(sizes) + 1, dtype=np.int32), sizes)


def result(truth: np.ndarray, *masks: np.ndarray) -> SceneResult:
    return SceneResult(np.array(masks, bool).reshape(len(masks), len(truth)), np.ones(len(masks), np.float32), truth)


def test_overlaps_by_hand() -> None:
    truth = np.array([7, 7, 7, 2, -1, 0], np.int32)
    counted = Overlaps.of(result(truth, np.array([1, 1, 0, 1, 1, 0]), np.zeros(6)))
    assert counted.target_sizes.tolist() == [1, 3]
    assert counted.shared.tolist() == [[1, 0], [2, 0]]
    assert counted.mask_sizes.tolist() == [4, 0]


def test_targets_of_other_sizes_are_neither_missed_nor_mistaken() -> None:
    truth = blocks(10, 20)
    small_only = average_precision([result(truth, truth == 1)], SMALL, LITTLE)
    assert (small_only.ap, small_only.targets, small_only.precision50) == (1, 1, 1)
    assert average_precision([result(truth, truth == 1)], SMALL, LARGE).ap == 0
    both = average_precision([result(truth, truth == 1, truth == 2)], SMALL, LITTLE)
    assert (both.ap, both.precision50) == (1, 1)


def test_a_wrong_mask_is_a_mistake_among_objects_of_its_own_size() -> None:
    """A mask of 8 points, 5 of them on object 1 (10 points): overlap 5/13. Right large mask, wrong small one."""
    truth = blocks(10, 20)
    wrong = np.isin(np.arange(30), [0, 1, 2, 3, 4, 10, 11, 12])
    scene = result(truth, wrong, truth == 2)
    assert average_precision([scene], SMALL, LARGE).precision50 == 1
    small = average_precision([scene], SMALL, LITTLE)
    assert (small.ap50, small.recall50, small.precision50) == (0, 0, 0)


def test_no_object_of_a_size_is_nan() -> None:
    assert np.isnan(average_precision([result(blocks(5), blocks(5) == 1)], SMALL, LARGE).ap)


@given(st.integers(0, 2**32 - 1))
def test_overlaps_give_the_figures_of_the_masks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(-1, 4, 60).astype(np.int32)
    scene = SceneResult(rng.random((5, 60)) < 0.4, rng.random(5).astype(np.float32), truth)
    one, other = average_precision([scene], SMALL), average_precision([Overlaps.of(scene)], SMALL, SizeRange())
    np.testing.assert_equal(asdict(one), asdict(other))  # for which NaN equals NaN
    assert one.targets == pytest.approx(len(np.unique(truth[truth > 0])))
