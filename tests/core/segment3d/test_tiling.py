"""Tiles of a cloud, and one result out of theirs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg3d_core.errors import InputError
from seg3d_core.segment3d.proposals import Proposals
from seg3d_core.segment3d.tiling import TileProposals, merge_tiles, segment_in_tiles, split_tiles
from seg3d_core.segment3d_config import TilingConfig

STEP = 0.1


def _line(count):
    """Points along x, 10 cm apart."""
    points = np.zeros((count, 3), np.float32)
    points[:, 0] = (np.arange(count) + 0.5) * STEP
    return points


def _perfect(labels, score=0.5):
    """A segmenter that knows which object each row belongs to (-1: none)."""

    def segment(rows):
        present = np.unique(labels[rows][labels[rows] >= 0])
        masks = labels[rows] == present[:, None]
        return Proposals.from_masks(masks, np.full(len(present), score, np.float32))

    return segment


def _sets(found):
    return sorted(np.flatnonzero(mask).tolist() for mask in found.masks)


def _tile(rows, *subsets, scores=None, probabilities=None):
    """Proposals of a tile, in rows of the cloud."""
    rows = np.array(rows)
    masks = np.array([np.isin(rows, subset) for subset in subsets]).reshape(len(subsets), len(rows))
    scores = np.full(len(subsets), 0.5, np.float32) if scores is None else np.array(scores, np.float32)
    found = Proposals.from_masks(masks, scores)
    if probabilities is not None:
        found = Proposals(found.scores, found.offsets, found.members, found.num_rows, np.float32(probabilities))
    return TileProposals(rows, found)


def test_a_line_is_halved_with_a_shared_strip():
    tiles = split_tiles(_line(400), TilingConfig(max_voxels=210, overlap_m=1.0))
    assert [tile.tolist() for tile in tiles] == [list(range(205)), list(range(195, 400))]


def test_the_longest_axis_is_cut_first():
    steps = np.stack(np.meshgrid(np.arange(10), np.arange(40), np.arange(2), indexing="ij"), -1).reshape(-1, 3)
    tiles = split_tiles((steps * STEP).astype(np.float32), TilingConfig(max_voxels=500, overlap_m=0.3))
    assert [len(tile) for tile in tiles] == [440, 420]
    assert [np.unique(steps[tile, 1]).tolist() for tile in tiles] == [list(range(22)), list(range(19, 40))]


def test_a_cloud_that_fits_is_segmented_at_once():
    labels = np.array([0, 0, 1, 1, -1])
    found = segment_in_tiles(_line(5), _perfect(labels), TilingConfig())
    assert _sets(found) == [[0, 1], [2, 3]]


def test_an_object_across_three_tiles_is_one():
    labels = np.full(400, -1)
    labels[50:350] = 0
    config = TilingConfig(max_voxels=160, overlap_m=1.0)
    assert len(split_tiles(_line(400), config)) == 4
    assert _sets(segment_in_tiles(_line(400), _perfect(labels), config)) == [list(range(50, 350))]


def test_two_objects_that_touch_at_the_cut_stay_two():
    labels = (np.arange(400) >= 200).astype(int)
    config = TilingConfig(max_voxels=210, overlap_m=1.0)
    found = segment_in_tiles(_line(400), _perfect(labels), config)
    assert _sets(found) == [list(range(200)), list(range(200, 400))]


def test_the_overlap_decides_at_the_threshold():
    # In the shared rows 4..7: {4, 5, 6} and {5, 6, 7}, half of their union.
    tiles = [_tile(range(8), range(7)), _tile(range(4, 12), range(5, 12))]
    assert _sets(merge_tiles(tiles, 12, 0.5)) == [list(range(12))]
    assert _sets(merge_tiles(tiles, 12, 0.51)) == [list(range(7)), list(range(5, 12))]


def test_scores_are_weighted_by_size_and_probabilities_the_greatest():
    tiles = [
        _tile(range(4), [0, 1, 2, 3], scores=[0.9], probabilities=[0.6, 0.7, 0.8, 0.6]),
        _tile(range(2, 6), [2, 3], scores=[0.3], probabilities=[0.7, 0.9]),
    ]
    found = merge_tiles(tiles, 6, 0.5)
    np.testing.assert_allclose(found.scores, [(4 * 0.9 + 2 * 0.3) / 6], rtol=1e-6)
    assert dict(zip(found.members.tolist(), found.probabilities.tolist(), strict=True)) == pytest.approx(
        {0: 0.6, 1: 0.7, 2: 0.8, 3: 0.9}, rel=1e-6
    )


def test_a_proposal_joins_one_of_the_other_tile_the_most_alike():
    tiles = [
        _tile(range(8), [3, 4, 5, 6, 7], [2, 4, 5, 6], scores=[0.9, 0.8]),
        _tile(range(4, 12), [4, 5, 6, 8], scores=[0.7]),
    ]
    assert _sets(merge_tiles(tiles, 12, 0.5)) == [[2, 4, 5, 6, 8], [3, 4, 5, 6, 7]]


def test_among_equally_alike_ones_the_best_join():
    inner, outer = [6, 7, 8, 9], list(range(2, 14))
    tiles = [
        _tile(range(10), [6, 7, 8, 9, 5], outer[:8], scores=[0.9, 0.4]),
        _tile(range(6, 14), inner, outer[4:], scores=[0.4, 0.9]),
    ]
    # Rows 6..9 are shared, and all four fill them.
    assert _sets(merge_tiles(tiles, 14, 0.5)) == [list(range(2, 10)), list(range(5, 14))]


@given(
    seed=st.integers(0, 2**31),
    objects=st.integers(0, 8),
    max_voxels=st.integers(150, 700),
    overlap_m=st.floats(0.2, 0.5),
)
def test_perfect_tiles_make_the_whole(seed, objects, max_voxels, overlap_m):
    """Boxes in a corridor of 30 m, some in each other's way."""
    rng = np.random.default_rng(seed)
    steps = np.stack(np.meshgrid(np.arange(300), np.arange(3), np.arange(2), indexing="ij"), -1).reshape(-1, 3)
    labels = np.full(len(steps), -1)
    for number in range(objects):
        lower = rng.integers([0, 0, 0], [300, 3, 2])
        upper = lower + rng.integers([1, 1, 1], [150, 4, 3])
        inside = ((steps >= lower) & (steps < upper)).all(axis=1)
        if not (labels[inside] >= 0).any():
            labels[inside] = number
    order = rng.permutation(len(steps))
    points, labels = ((steps[order] + 0.5) * STEP).astype(np.float32), labels[order]
    config = TilingConfig(max_voxels=max_voxels, overlap_m=overlap_m)
    found = segment_in_tiles(points, _perfect(labels), config)
    assert _sets(found) == _sets(_perfect(labels)(np.arange(len(labels))))


@given(seed=st.integers(0, 2**31), count=st.integers(0, 600), overlap_m=st.floats(0.01, 0.3))
def test_tiles_cover_the_cloud_and_are_small_enough(seed, count, overlap_m):
    rng = np.random.default_rng(seed)
    points = rng.uniform(-3, 3, (count, 3)).astype(np.float32)
    config = TilingConfig(max_voxels=200, overlap_m=overlap_m)
    tiles = split_tiles(points, config)
    assert all(len(tile) <= 200 and (np.diff(tile) > 0).all() for tile in tiles)
    assert np.unique(np.concatenate(tiles)).tolist() == list(range(count))
    order = rng.permutation(count)
    again = split_tiles(points[order], config)
    assert [sorted(order[tile]) for tile in again] == [tile.tolist() for tile in tiles]


@given(seed=st.integers(0, 2**31), with_probabilities=st.booleans())
def test_the_order_of_tiles_does_not_matter(seed, with_probabilities):
    rng = np.random.default_rng(seed)
    tiles = []
    for start in range(0, 90, 20):
        rows = np.arange(start, min(start + 30, 100))
        masks = rng.random((rng.integers(0, 5), len(rows))) < 0.6
        found = Proposals.from_masks(masks, rng.choice([0.2, 0.5, 0.7], len(masks)).astype(np.float32))
        sure = rng.random(len(found.members), np.float32) if with_probabilities else None
        tiles.append(TileProposals(rows, Proposals(found.scores, found.offsets, found.members, len(rows), sure)))
    expected = merge_tiles(tiles, 100, 0.4)
    found = merge_tiles([tiles[i] for i in rng.permutation(len(tiles))], 100, 0.4)
    assert (found.masks == expected.masks).all() and found.scores.tolist() == expected.scores.tolist()
    if with_probabilities:
        assert found.probabilities.tolist() == expected.probabilities.tolist()


def test_too_many_voxels_in_one_place_are_refused():
    points = np.zeros((150, 3), np.float32)
    with pytest.raises(InputError, match=r"150 voxels lie within 0.5 m \(overlap_m\).*at most 100 \(max_voxels\)"):
        split_tiles(points, TilingConfig(max_voxels=100))


def test_points_that_are_not_finite_are_refused():
    points = _line(4)
    points[2, 1] = np.nan
    with pytest.raises(InputError, match="1 of 4 points are not finite"):
        split_tiles(points, TilingConfig())


def test_an_answer_for_other_rows_is_refused():
    with pytest.raises(InputError, match="proposals on 3 rows for a tile of 5"):
        segment_in_tiles(_line(5), lambda rows: _perfect(np.zeros(3, int))(np.arange(3)), TilingConfig())


def test_nothing_found_is_a_result():
    found = segment_in_tiles(_line(400), _perfect(np.full(400, -1)), TilingConfig(max_voxels=210))
    assert (len(found), found.masks.shape) == (0, (0, 400))
    assert len(segment_in_tiles(_line(0), _perfect(np.zeros(0, int)), TilingConfig())) == 0
