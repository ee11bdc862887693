"""Groups of points by hand."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seg3d_core.baselines.mask_overlaps import best_overlaps, compacted, group_sizes, without_small

labels = st.lists(st.integers(-1, 5), max_size=40).map(lambda values: np.array(values, np.int32))


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def test_by_hand() -> None:
    assert group_sizes(ints(2, 0, 2, -1)).tolist() == [1, 0, 2]
    assert compacted(ints(2, 0, 2, -1)).tolist() == [1, 0, 1, -1]
    assert without_small(ints(2, 0, 2, -1), 2).tolist() == [2, -1, 2, -1]
    assert group_sizes(ints()).tolist() == []


def test_the_best_overlap_by_hand() -> None:
    a, b = ints(0, 0, 0, 0, 1, 1, 2), ints(5, 5, 3, -1, 3, 5, -1)
    sizes = np.array([0, 0, 0, 2, 0, 3], np.int64)
    # 0 shares two of its four with 5 (which has three), 1 one each with 3 and 5, 2 nothing.
    assert best_overlaps(a, b, sizes, 0.5).tolist() == [5, 3, -1]
    assert best_overlaps(a, b, sizes, 0.6).tolist() == [5, -1, -1]
    assert best_overlaps(a, b, sizes, 0.7).tolist() == [-1, -1, -1]


@given(labels)
def test_compacting_keeps_the_groups(values: np.ndarray) -> None:
    dense = compacted(values)
    assert sorted(set(dense.tolist()) - {-1}) == list(range(len(set(values.tolist()) - {-1})))
    for number in set(values.tolist()):
        assert len(set(dense[values == number].tolist())) == 1


@given(labels, st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.4, 1.0]))
def test_the_best_overlap_is_the_largest(a: np.ndarray, seed: int, min_overlap: float) -> None:
    b = np.random.default_rng(seed).integers(-1, 4, len(a)).astype(np.int32)
    sizes = group_sizes(b)
    for group, best in enumerate(best_overlaps(a, b, sizes, min_overlap).tolist()):
        counts = [int(((a == group) & (b == other)).sum()) for other in range(len(sizes))]
        most = max(counts, default=0)
        if best < 0:
            assert most == 0 or most < min_overlap * min((a == group).sum(), sizes[counts.index(most)])
        else:
            assert most > 0
            assert best == counts.index(most)
