from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seg3d_core.labelling.merging import best_rated, large_first

SHAPE = (6, 7)
label_images = arrays(np.int32, SHAPE, elements=st.integers(-1, 3))


@given(arrays(np.bool_, (4, *SHAPE)), arrays(np.float32, 4, elements=st.sampled_from([0.25, 0.5, 1.0])))
def test_every_pixel_takes_its_best_rated_mask(masks, ratings):
    labels = best_rated(masks, ratings)
    for place in np.ndindex(SHAPE):
        over = [row for row in range(4) if masks[(row, *place)]]
        # max takes the first of equals.
        assert labels[place] == (max(over, key=lambda row: ratings[row]) if over else -1)


def plainly_merged(finer, large):
    """The released program: cut both maps into masks, drop, paint."""
    drawn = np.full(SHAPE, -1)
    larger = [large == number for number in np.unique(large[large >= 0])]
    finer = [finer == number for number in np.unique(finer[finer >= 0])]
    new = [mask for mask in finer if not any((mask & other).sum() / mask.sum() > 0.9 for other in larger)]
    for number, mask in enumerate([*larger, *new]):
        drawn[mask] = number
    numbers = {number: dense for dense, number in enumerate(np.unique(drawn[drawn >= 0]).tolist())}
    return np.vectorize(lambda number: numbers.get(number, -1))(drawn)


@given(label_images, label_images)
def test_large_masks_come_first_as_in_the_released_program(finer, large):
    assert np.array_equal(large_first(finer, large), plainly_merged(finer, large))


def test_by_hand():
    large = np.array([[0] * 10 + [-1] * 4], np.int32)
    # The first lies 10/11 inside, which is above 0.9; the second outside.
    finer = np.array([[5] * 11 + [7] * 2 + [-1]], np.int32)
    assert large_first(finer, large).tolist() == [[0] * 10 + [-1] + [1] * 2 + [-1]]
