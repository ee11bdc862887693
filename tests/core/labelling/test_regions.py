from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from seg3d_core.labelling.regions import border_pixels, borders, connected_pieces, renumbered

images = arrays(np.int32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(-1, 3))


def same_partition(a, b):
    """Whether two images have the same regions under any numbers, and the same pixels in none."""
    pairs = set(zip(a.ravel().tolist(), b.ravel().tolist(), strict=True))
    return len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs}) and not any(
        (one < 0) != (other < 0) for one, other in pairs
    )


@given(images)
def test_numbers_become_dense_and_keep_their_order(labels):
    numbers, label_of = renumbered(labels)
    assert np.array_equal(np.append(label_of, -1)[numbers], np.maximum(labels, -1))
    assert label_of.tolist() == sorted(set(labels[labels >= 0].tolist()))


@given(images)
def test_pieces_are_those_of_each_label_alone(labels):
    pieces, label_of = connected_pieces(labels)
    expected, free = np.full(labels.shape, -1), 0
    for label in range(4):
        own, count = ndimage.label(labels == label)
        expected[own > 0] = own[own > 0] - 1 + free
        free += count
    assert same_partition(pieces, expected)
    assert np.array_equal(np.append(label_of, -1)[pieces], labels)
    first = [int(np.argmax(pieces.ravel() == one)) for one in range(len(label_of))]
    assert first == sorted(first)


def test_borders_by_hand():
    regions = np.array([[0, 0, 1], [2, -1, 1]], np.int32)
    depth_m = np.array([[1, 1, 1.02], [1.5, 0, 1.02]], np.float32)
    found = borders(regions, depth_m, touch_m=0.03)
    assert (found.first.tolist(), found.second.tolist()) == ([0, 0], [1, 2])
    assert found.length_px.tolist() == [1, 1]
    assert found.touching.tolist() == [1, 0]


def test_surfaces_far_away_step_by_more():
    regions = np.array([[0, 1]], np.int32)
    for distance_m, touches in ((1.0, 0), (3.0, 1)):
        depth_m = np.array([[distance_m, distance_m + 0.06]], np.float32)
        assert borders(regions, depth_m, touch_m=0.03).touching.tolist() == [touches]


def test_an_image_without_regions_has_no_borders():
    empty = np.full((3, 4), -1, np.int32)
    assert not len(borders(empty, np.ones((3, 4), np.float32), 0.03).first)
    assert connected_pieces(empty)[0].tolist() == empty.tolist()


def test_border_pixels_are_on_both_sides():
    regions = np.array([[0, 0, 0, 1, 1]] * 3, np.int32)
    assert np.array_equal(border_pixels(regions), np.array([[False, False, True, True, False]] * 3))
