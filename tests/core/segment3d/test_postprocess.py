"""Instances out of logits: split, score, select, smooth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from seg3d_core.config import POSTPROCESS_RULES, PostprocessConfig
from seg3d_core.errors import InputError
from seg3d_core.segment3d.postprocess import postprocess, smoothed

KEEP_ALL = {"keep_fraction": 1.0}


def _block(corner, edge=4, step=0.02):
    steps = np.stack(np.meshgrid(*[np.arange(edge)] * 3), axis=-1).reshape(-1, 3)
    return (corner + steps * step).astype(np.float32)


@pytest.fixture
def scene():
    """Two blocks of 64 voxels a metre apart, and five voxels of dust."""
    return np.concatenate([_block([0, 0, 0]), _block([1, 0, 0]), _block([0, 2, 0])[:5]])


def _logits(*masks, inside=2.0):
    return np.where(np.array(masks), np.float32(inside), np.float32(-3))


OBJECT = np.array([[np.log(3), 0]], np.float32)
"""Three quarters object."""


def test_a_mask_over_two_things_becomes_two_instances(scene):
    found = postprocess(OBJECT, _logits(np.ones(133, bool)), scene, PostprocessConfig(**KEEP_ALL))
    assert [np.flatnonzero(mask).tolist() for mask in found.masks] == [list(range(64)), list(range(64, 128))]
    np.testing.assert_allclose(found.scores, 0.75 * expit(2) * 64 / (64 + 1e-6), rtol=1e-6)


def test_clusters_are_scored_by_their_own_voxels(scene):
    logits = _logits(np.ones(133, bool))
    logits[0, 64:128] = 4
    found = postprocess(OBJECT, logits, scene, PostprocessConfig(**KEEP_ALL))
    np.testing.assert_allclose(found.scores, [0.75 * expit(4), 0.75 * expit(2)], rtol=1e-6)
    assert found.masks[0, 64] and found.masks[1, 0]


def test_the_papers_order_scores_the_mask_and_then_splits_it(scene):
    logits = _logits(np.ones(133, bool))
    logits[0, 64:128] = 4
    found = postprocess(OBJECT, logits, scene, PostprocessConfig(split="after_selection", **KEEP_ALL))
    mean = (64 * expit(4) + 69 * expit(2)) / 133
    np.testing.assert_allclose(found.scores, [0.75 * mean] * 2, rtol=1e-6)
    assert found.masks.sum(axis=1).tolist() == [64, 64]


def test_without_a_split_masks_stay_whole(scene):
    found = postprocess(OBJECT, _logits(np.ones(133, bool)), scene, PostprocessConfig(split="off", **KEEP_ALL))
    assert found.masks.all() and len(found.masks) == 1


@pytest.mark.parametrize(("drop", "left"), [(15, 2), (63, 2), (64, 0)])
def test_clusters_need_more_voxels_than_are_dropped(scene, drop, left):
    config = PostprocessConfig(drop_voxels=drop, **KEEP_ALL)
    assert len(postprocess(OBJECT, _logits(np.ones(133, bool)), scene, config).masks) == left


def test_the_best_share_above_the_least_score_is_kept(scene):
    first = np.arange(133) < 64
    classes = np.tile(OBJECT, (5, 1))
    classes[:, 0] = [0, 4, 2, 3, 1]
    logits = _logits(*[first] * 5)
    kept = postprocess(classes, logits, scene, PostprocessConfig(keep_fraction=0.7))
    expected = expit(np.array([4.0, 3.0, 2.0])) * expit(2)
    np.testing.assert_allclose(kept.scores, expected, rtol=1e-6)
    two = postprocess(classes, logits, scene, PostprocessConfig(keep_fraction=0.7, max_instances=2))
    np.testing.assert_allclose(two.scores, expected[:2], rtol=1e-6)
    sure = postprocess(classes, logits, scene, PostprocessConfig(min_score=0.8, **KEEP_ALL))
    np.testing.assert_allclose(sure.scores, expected[:2], rtol=1e-6)


def test_points_take_the_masks_of_their_voxels_and_superpoints_their_majority(scene):
    point_to_voxel = np.array([0, 0, 70, 70, 130, 3], np.int32)
    logits = _logits(np.arange(133) < 64)
    points = postprocess(OBJECT, logits, scene, PostprocessConfig(**KEEP_ALL), point_to_voxel)
    assert points.masks.tolist() == [[True, True, False, False, False, True]]
    superpoints = np.array([0, 0, 0, 1, 1, 1], np.int32)
    whole = postprocess(OBJECT, logits, scene, PostprocessConfig(**KEEP_ALL), point_to_voxel, superpoints)
    assert whole.masks.tolist() == [[True, True, True, False, False, False]]


def test_points_without_a_superpoint_stay():
    masks = np.array([[True, False, True, True], [False, False, False, True]])
    superpoints = np.array([0, 0, -1, -1], np.int32)
    assert smoothed(masks, superpoints).tolist() == [[False, False, True, True], [False, False, False, True]]


@given(seed=st.integers(0, 2**31), points=st.integers(0, 40), superpoints=st.integers(1, 6))
def test_smoothing_is_the_majority_of_each_superpoint(seed, points, superpoints):
    rng = np.random.default_rng(seed)
    masks = rng.random((3, points)) < 0.5
    numbers = rng.integers(0, superpoints, points).astype(np.int32)
    expected = masks.copy()
    for mask, result in zip(masks, expected, strict=True):
        for number in range(superpoints):
            if (numbers == number).any():
                result[numbers == number] = mask[numbers == number].mean() > 0.5
    assert (smoothed(masks, numbers) == expected).all()


def test_named_rules(scene):
    logits = _logits(np.ones(133, bool), np.arange(133) < 64)
    classes = np.tile(OBJECT, (2, 1))
    released = postprocess(classes, logits, scene, POSTPROCESS_RULES["released"])
    assert released.scores.tolist() == [1.0, 1.0]  # 0.8 of 3
    assert len(postprocess(classes, logits, scene, POSTPROCESS_RULES["pseudo_masks"]).masks) == 3
    assert len(postprocess(classes, logits, scene, POSTPROCESS_RULES["paper"]).masks) == 3
    unsure = np.zeros_like(classes)
    assert len(postprocess(unsure, logits, scene, POSTPROCESS_RULES["paper"]).masks) == 0


@pytest.mark.parametrize("queries", [0, 3])
def test_no_masks_are_a_result(scene, queries):
    empty = np.full((queries, 133), -1, np.float32)
    found = postprocess(np.zeros((queries, 2), np.float32), empty, scene, PostprocessConfig())
    assert (found.masks.shape, found.scores.shape) == ((0, 133), (0,))


def test_maps_of_another_length_are_refused(scene):
    with pytest.raises(InputError, match="4 superpoint numbers for 133 points"):
        postprocess(OBJECT, _logits(np.ones(133, bool)), scene, PostprocessConfig(), None, np.zeros(4, np.int32))
