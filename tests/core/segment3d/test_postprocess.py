"""Instances out of logits: split, score, select, smooth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components
from scipy.special import expit

from seg3d_core.errors import InputError
from seg3d_core.segment3d.postprocess import finish, postprocess, propose, smoothed
from seg3d_core.segment3d.proposals import Proposals
from seg3d_core.segment3d_config import POSTPROCESS_RULES, PostprocessConfig

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


def _smoothed(masks, superpoints):
    return smoothed(Proposals.from_masks(masks, np.ones(len(masks), np.float32)), superpoints).masks


def test_points_without_a_superpoint_stay():
    masks = np.array([[True, False, True, True], [False, False, False, True]])
    superpoints = np.array([0, 0, -1, -1], np.int32)
    assert _smoothed(masks, superpoints).tolist() == [[False, False, True, True], [False, False, False, True]]


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
    assert (_smoothed(masks, numbers) == expected[expected.any(axis=1)]).all()


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


def test_robots_get_one_instance_for_each_thing(scene):
    """Two queries for the first block, one for both, one unsure: each block comes out once, and no point twice."""
    first = np.arange(133) < 64
    logits = _logits(first, first, np.ones(133, bool), first)
    logits[1, 60:64] = -1
    classes = np.array([[3, 0], [2.5, 0], [2, 0], [-3, 0]], np.float32)
    found = postprocess(classes, logits, scene, POSTPROCESS_RULES["robot"])
    assert [np.flatnonzero(mask).tolist() for mask in found.masks] == [list(range(64)), list(range(64, 128))]
    np.testing.assert_allclose(found.scores, expit([3, 2]) * expit(2), rtol=1e-5)


@given(seed=st.integers(0, 2**31))
def test_what_does_not_overlap_does_not_after_smoothing(seed):
    rng = np.random.default_rng(seed)
    masks = rng.random((5, 40)) < 0.4
    found = Proposals.from_masks(masks, np.sort(rng.random(5, np.float32))[::-1])
    config = PostprocessConfig(exclusive=True, min_kept_share=0, drop_voxels=0)
    point_to_voxel = rng.integers(0, 40, 90).astype(np.int32)
    superpoints = rng.integers(-1, 12, 90).astype(np.int32)
    left = finish(found, config, point_to_voxel, superpoints)
    assert (left.masks.sum(axis=0) <= 1).all() and left.masks.any(axis=1).all()


def test_finishing_takes_proposals_of_any_origin():
    masks = np.array([[True, True, True, False], [True, True, False, False], [False, False, False, True]])
    found = Proposals.from_masks(masks, np.float32([0.9, 0.8, 0.7]))
    config = PostprocessConfig(max_iou=0.5, scores="constant")
    left = finish(found, config)
    assert (left.masks == masks[[0, 2]]).all() and left.scores.tolist() == [1, 1]
    assert len(finish(found, config.model_copy(update={"max_instances": 1})).masks) == 1


def _slow(class_logits, mask_logits, xyz, config):
    """Mask by mask in dense arrays, clusters by connected components."""
    objects = np.exp(class_logits[:, 0]) / np.exp(class_logits).sum(axis=1)
    found = []
    for c_obj, logits in zip(objects, mask_logits, strict=True):
        inside = np.flatnonzero(logits > 0)
        near = np.linalg.norm(xyz[inside, None].astype(float) - xyz[inside], axis=2) <= config.eps_m
        core = near.sum(axis=1) >= config.min_samples
        labels = connected_components(near & core & core[:, None])[1]
        for label in dict.fromkeys(labels[core]):
            mask = np.zeros(len(xyz), bool)
            mask[inside[near[core & (labels == label)].any(axis=0)]] = True
            if mask.sum() > config.drop_voxels:
                found.append((float(c_obj * expit(logits[mask].astype(float)).sum() / (mask.sum() + 1e-6)), mask))
    return sorted(found, key=lambda one: -one[0])[: int(config.keep_fraction * len(found))]


@given(seed=st.integers(0, 2**31), queries=st.integers(0, 5))
def test_the_released_rule_is_that_of_the_slow_version(seed, queries):
    """Blobs far enough apart that no voxel is on the border of two clusters."""
    rng = np.random.default_rng(seed)
    centres = np.array([[0, 0, 0], [0.5, 0, 0], [0, 0.5, 0]])
    xyz = (centres[rng.integers(0, 3, 150)] + rng.uniform(-0.04, 0.04, (150, 3))).astype(np.float32)
    logits = rng.normal(0.5, 2, (queries, 150)).astype(np.float32)
    classes = rng.normal(0, 1, (queries, 2)).astype(np.float32)
    config = PostprocessConfig(drop_voxels=5, smooth=False)
    found = propose(classes, logits, xyz, config)
    expected = _slow(classes, logits, xyz, config)
    np.testing.assert_allclose(found.scores, [score for score, _ in expected], rtol=1e-5)
    assert found.masks.tolist() == [mask.tolist() for _, mask in expected]


@given(seed=st.integers(0, 2**31), min_score=st.floats(0, 0.9))
def test_what_class_scores_rule_out_is_all_that_is_left_out_early(seed, min_score):
    rng = np.random.default_rng(seed)
    xyz = rng.uniform(0, 0.3, (150, 3)).astype(np.float32)
    logits = rng.normal(0, 3, (6, 150)).astype(np.float32)
    classes = rng.normal(0, 2, (6, 2)).astype(np.float32)
    config = PostprocessConfig(drop_voxels=5, keep_fraction=1, min_score=min_score)
    all_scored = propose(classes, logits, xyz, config.model_copy(update={"min_score": 0.0}))
    expected = all_scored.select(all_scored.scores > min_score)
    found = propose(classes, logits, xyz, config)
    assert found.scores.tolist() == expected.scores.tolist()
    assert found.masks.tolist() == expected.masks.tolist()


def test_masks_of_segments_are_those_of_their_voxels(scene):
    segments = np.arange(133) // 8
    logits = np.random.default_rng(0).normal(0, 3, (5, segments.max() + 1)).astype(np.float32)
    classes = np.tile(OBJECT, (5, 1))
    config = PostprocessConfig(**KEEP_ALL)
    found = propose(classes, logits, scene, config, segments)
    expected = propose(classes, logits[:, segments], scene, config)
    assert len(found) > 0
    assert found.masks.tolist() == expected.masks.tolist()
    assert found.scores.tolist() == expected.scores.tolist()


def test_points_of_a_voxel_that_is_not_there_are_refused(scene):
    with pytest.raises(InputError, match="a point is of row 133, but there are rows 0 to 132"):
        postprocess(OBJECT, _logits(np.ones(133, bool)), scene, PostprocessConfig(), np.array([133], np.int32))
