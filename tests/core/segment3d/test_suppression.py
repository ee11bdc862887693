"""Duplicates and overlap, against the obvious dense versions."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seg3d_core.segment3d.proposals import Proposals
from seg3d_core.segment3d.suppression import assigned, suppressed
from seg3d_core.segment3d.suppression_kernels import degrees, suppress_by_bits, suppress_by_rows


def _found(masks, scores, probabilities=None):
    masks = np.array(masks, bool)
    found = Proposals.from_masks(masks, np.array(scores, np.float32))
    if probabilities is None:
        return found
    sure = np.array(probabilities, np.float32)[masks]
    return Proposals(found.scores, found.offsets, found.members, found.num_rows, sure)


def _slow_suppressed(masks, max_iou, max_containment):
    kept = []
    for i, mask in enumerate(masks):
        better = [masks[j] for j in kept]
        if not any(
            (mask & other).sum() > max_iou * (mask | other).sum() or (mask & other).sum() > max_containment * mask.sum()
            for other in better
        ):
            kept.append(i)
    return kept


def _slow_assigned(found, min_share, min_rows):
    values = np.zeros(found.masks.shape, np.float32)
    owners = np.repeat(np.arange(len(found)), found.sizes)
    sure = 1 if found.probabilities is None else found.probabilities
    values[owners, found.members] = found.scores[owners] * sure
    alive = list(range(len(found)))
    while True:
        left = np.zeros_like(found.masks)
        for row in range(found.num_rows):
            claims = [(-values[f, row], found.sizes[f], f) for f in alive if found.masks[f, row]]
            if claims:
                left[min(claims)[2], row] = True
        remnants = [f for f in alive if left[f].sum() < max(min_share * found.sizes[f], min_rows)]
        if not remnants:
            return left[alive]
        alive.remove(remnants[-1])


def test_a_duplicate_goes_and_a_neighbour_stays():
    masks = [[1, 1, 1, 1, 0, 0], [1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]]
    found = suppressed(_found(masks, [0.9, 0.8, 0.7]), 0.5)
    assert found.masks.astype(int).tolist() == [masks[0], masks[2]]
    # An IoU of 3 / 4 is not above 3 / 4.
    assert len(suppressed(_found(masks, [0.9, 0.8, 0.7]), 0.75)) == 3


def test_a_fragment_inside_goes_and_a_whole_around_stays():
    part, whole = [1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]
    assert len(suppressed(_found([whole, part], [0.9, 0.8]), 0.5, 0.9)) == 1
    assert len(suppressed(_found([part, whole], [0.9, 0.8]), 0.5, 0.9)) == 2


def test_what_is_dropped_drops_nothing():
    masks = [[1, 1, 1, 0, 0, 0], [0, 1, 1, 1, 0, 0], [0, 0, 1, 1, 1, 0]]
    found = suppressed(_found(masks, [0.9, 0.8, 0.7]), 0.4)
    assert found.masks.astype(int).tolist() == [masks[0], masks[2]]


def test_limits_of_one_drop_nothing():
    assert len(suppressed(_found(np.ones((3, 4)), [0.9, 0.8, 0.7]), 1.0, 1.0)) == 3


@given(
    seed=st.integers(0, 2**31),
    count=st.integers(0, 9),
    rows=st.integers(1, 150),
    max_iou=st.sampled_from([0.25, 0.5, 0.8]),
    max_containment=st.sampled_from([0.5, 0.9, 1.0]),
)
def test_both_ways_of_counting_drop_what_the_slow_version_drops(seed, count, rows, max_iou, max_containment):
    rng = np.random.default_rng(seed)
    base = rng.random((3, rows)) < 0.5
    masks = base[rng.integers(0, 3, count)] ^ (rng.random((count, rows)) < 0.15)
    masks = masks[masks.any(axis=1)]
    found = _found(masks, np.sort(rng.random(len(masks)))[::-1])
    expected = _slow_suppressed(masks, max_iou, max_containment)
    limits = (max_iou, max_containment)
    by_rows = suppress_by_rows(found.offsets, found.members, degrees(found.members, rows), *limits)
    by_bits = suppress_by_bits(found.offsets, found.members, rows, *limits)
    assert np.flatnonzero(by_rows).tolist() == np.flatnonzero(by_bits).tolist() == expected
    assert (suppressed(found, *limits).masks == masks[expected]).all()


def test_few_shared_rows_of_many_proposals_are_counted_by_rows():
    """Pairs of neighbours in a row of 200: the way that is taken where most proposals are far apart."""
    masks = np.zeros((200, 2000), bool)
    for i, mask in enumerate(masks):
        mask[10 * (i // 2) : 10 * (i // 2) + 10] = True
    assert (suppressed(_found(masks, np.linspace(1, 0.5, 200)), 0.5).masks == masks[::2]).all()


def test_a_row_goes_to_the_greatest_score_times_probability():
    masks = [[1, 1, 1, 1], [0, 0, 1, 1]]
    probabilities = [[0.9, 0.9, 0.9, 0.6], [0, 0, 0.9, 0.9]]
    found = assigned(_found(masks, [0.8, 0.7], probabilities))
    # 0.8 x 0.9 against 0.7 x 0.9, and 0.8 x 0.6 against 0.7 x 0.9.
    assert found.masks.astype(int).tolist() == [[1, 1, 1, 0], [0, 0, 0, 1]]


def test_of_equal_claims_the_smaller_thing_wins():
    found = assigned(_found([[1, 1, 1, 1], [0, 1, 1, 0], [0, 1, 1, 0]], [0.8, 0.8, 0.8]))
    assert found.masks.astype(int).tolist() == [[1, 0, 0, 1], [0, 1, 1, 0]]


def test_rows_of_a_remnant_go_to_the_next():
    masks = [[1, 1, 1, 0, 0, 0], [0, 1, 1, 1, 1, 0], [0, 0, 0, 0, 1, 1]]
    found = assigned(_found(masks, [0.9, 0.8, 0.7]), min_share=0.6)
    # The last keeps one of two and goes; that one is not worth more to the second, which keeps two of four.
    assert found.masks.astype(int).tolist() == [masks[0]]
    shared = assigned(_found(masks, [0.9, 0.8, 0.7]), min_share=0.5)
    assert shared.masks.astype(int).tolist() == [masks[0], [0, 0, 0, 1, 1, 0], [0, 0, 0, 0, 0, 1]]
    assert len(assigned(_found(masks, [0.9, 0.8, 0.7]), min_rows=2)) == 2


@given(
    seed=st.integers(0, 2**31),
    count=st.integers(0, 7),
    rows=st.integers(1, 25),
    min_share=st.sampled_from([0.0, 0.3, 0.5, 0.9]),
    min_rows=st.integers(1, 4),
    with_probabilities=st.booleans(),
)
def test_assignment_is_that_of_the_slow_version(seed, count, rows, min_share, min_rows, with_probabilities):
    rng = np.random.default_rng(seed)
    masks = rng.random((count, rows)) < 0.5
    masks = masks[masks.any(axis=1)]
    # Few different values, so that there are ties.
    scores = np.sort(rng.choice([0.25, 0.5, 1.0], len(masks)))[::-1]
    sure = rng.choice([0.5, 0.75, 1.0], masks.shape) if with_probabilities else None
    found = _found(masks, scores, sure)
    expected = _slow_assigned(found, min_share, min_rows)
    left = assigned(found, min_share, min_rows)
    assert left.masks.shape == expected.shape and (left.masks == expected).all()
    assert (left.masks.sum(axis=0) <= 1).all()


def test_nothing_stays_nothing():
    none = _found(np.zeros((0, 5)), [])
    assert len(suppressed(none, 0.5)) == len(assigned(none, 0.5)) == 0
