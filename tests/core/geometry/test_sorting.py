"""Sorting by digits against numpy's stable sort."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg3d_core.geometry.sorting_kernels import (
    compact_keys,
    count_distinct,
    group_of_each,
    group_starts,
    radix_order,
)

COUNTS = st.integers(0, 3000)
SEEDS = st.integers(0, 2**32 - 1)


@given(COUNTS, st.integers(0, 62), SEEDS)
def test_keys_are_sorted_and_equal_ones_stay_in_place(count: int, bits: int, seed: int) -> None:
    keys = np.random.default_rng(seed).integers(0, 1 << bits, count, endpoint=True)
    np.testing.assert_array_equal(radix_order(keys), np.argsort(keys, kind="stable"))


def test_the_largest_key_has_all_bits() -> None:
    keys = np.array([2**63 - 1, 0, 2**63 - 1, 2**62, 1])
    assert radix_order(keys).tolist() == [1, 4, 3, 0, 2]


@given(st.integers(1, 500), st.tuples(*[st.integers(0, 21)] * 3), SEEDS)
def test_compact_keys_are_equal_and_sort_as_before(count: int, bits: tuple[int, int, int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y, z = (rng.integers(0, 1 << width, count) + rng.integers(0, (1 << 21) - (1 << width) + 1) for width in bits)
    keys = (x << 42) | (y << 21) | z
    ranks = [np.unique(values, return_inverse=True)[1] for values in (keys, compact_keys(keys))]
    np.testing.assert_array_equal(*ranks)
    assert compact_keys(keys).max() < 1 << sum(bits)


@given(COUNTS, st.integers(0, 40), SEEDS)
def test_groups_are_those_of_unique(count: int, bits: int, seed: int) -> None:
    keys = np.random.default_rng(seed).integers(0, 1 << bits, count)
    order = radix_order(keys)
    starts = group_starts(keys, order)
    values, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    np.testing.assert_array_equal(keys[order[starts[:-1]]], values)
    np.testing.assert_array_equal(order[starts[:-1]], first)
    np.testing.assert_array_equal(group_of_each(order, starts), inverse)
    assert starts[-1] == count


@pytest.mark.parametrize("distinct", [1, 500, 513, 5000])
def test_different_keys_are_counted_whatever_their_number(distinct: int) -> None:
    rng = np.random.default_rng(distinct)
    keys = rng.choice(rng.integers(0, 2**63 - 1, distinct), 4 * distinct)
    assert count_distinct(keys) == len(np.unique(keys))
