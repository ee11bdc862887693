"""Samples of training: one point stands for a voxel, masks on voxels, cuts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from seg3d_core.learning.segment3d.samples import (
    LabelTargets,
    ProposalTargets,
    TrainingCloud,
    VoxelSample,
    cut_around,
    plain_sample,
    voxel_sample,
)
from seg3d_core.segment3d.proposals import Proposals
from seg3d_core.segment3d.voxel_input import COLOUR_STATISTICS, voxel_input
from seg3d_core.segment3d_config import Segment3DSettings
from seg3d_core.types import Cloud


def a_sample(rng, voxels=200, masks=3):
    coordinates = np.unique(rng.integers(-20, 20, (voxels, 3)), axis=0).astype(np.int32)
    rng.shuffle(coordinates)
    colours, xyz = rng.normal(size=(2, len(coordinates), 3)).astype(np.float32)
    return VoxelSample(coordinates, colours, xyz, rng.random((masks, len(coordinates))) < 0.2, "made up")


def test_the_first_point_of_a_voxel_stands_for_it():
    points = np.array([[0.01, 0, 0], [-0.01, 0, 0], [0.015, 0.01, 0], [0.03, 0, 0], [0.035, 0, 0]], np.float32)
    rgb = np.array([[0, 51, 255]] * 3 + [[102, 102, 102]] * 2, np.uint8)
    cloud = TrainingCloud(points, rgb, LabelTargets(np.array([7, -1, 4, 4, 9], np.int32)), "made up")
    sample = voxel_sample(cloud, np.arange(5), points, 0.02, recolour=lambda rgb: rgb / 2)
    assert sample.coordinates.tolist() == [[0, 0, 0], [-1, 0, 0], [1, 0, 0]]
    np.testing.assert_array_equal(sample.xyz, points[[0, 1, 3]])
    mean, deviation = COLOUR_STATISTICS["imagenet"]
    colours = [[0, 0.1, 0.5], [0, 0.1, 0.5], [0.2, 0.2, 0.2]]
    np.testing.assert_allclose(sample.colours, (np.array(colours) - mean) / deviation, atol=1e-5)
    # 9 lost its only point to the voxel's first; 4 and 7 are in the order of their numbers.
    assert sample.masks.tolist() == [[False, False, True], [True, False, False]]


def test_small_masks_are_dropped():
    points = np.arange(6, dtype=np.float32)[:, None].repeat(3, axis=1)
    targets = LabelTargets(np.array([1, 1, 1, 2, 2, -1], np.int32))
    cloud = TrainingCloud(points, np.zeros((6, 3), np.uint8), targets, "made up")
    sizes = [plain_sample(cloud, 0.1, fewest).masks.sum(axis=1).tolist() for fewest in (1, 3, 4)]
    assert sizes == [[3, 2], [3], []]
    assert plain_sample(cloud, 0.1, 4).masks.shape == (0, 6)


def test_some_points_moved():
    """Rows 3 and 1, moved: colours and masks are theirs."""
    points = np.arange(4, dtype=np.float32)[:, None].repeat(3, axis=1)
    rgb = np.arange(12, dtype=np.uint8).reshape(4, 3)
    cloud = TrainingCloud(points, rgb, LabelTargets(np.array([5, 6, 7, 8], np.int32)), "made up")
    sample = voxel_sample(cloud, np.array([3, 1]), points[[2, 0]] + 10, 1.0)
    whole = plain_sample(cloud, 1.0)
    assert sample.coordinates.tolist() == [[12] * 3, [10] * 3]
    np.testing.assert_array_equal(sample.colours, whole.colours[[3, 1]])
    assert sample.masks.tolist() == [[False, True], [True, False]]


def test_superpoints_stay_with_their_voxels():
    """Through making, cutting and choosing: here the superpoint of a point is its number."""
    points = np.random.default_rng(0).permutation(40).astype(np.float32)[:, None].repeat(3, axis=1)
    numbers = points[:, 0].astype(np.int32)
    targets = LabelTargets(np.zeros(40, np.int32))
    cloud = TrainingCloud(points, np.zeros((40, 3), np.uint8), targets, "made up", numbers)
    assert cloud.nbytes == replace(cloud, superpoints=None).nbytes + 160
    sample = voxel_sample(cloud, np.arange(5, 40), points[5:], 1.0)
    for kept in (sample, cut_around(np.random.default_rng(1), sample, 7), sample.select(np.array([3, 1]))):
        np.testing.assert_array_equal(kept.superpoints, kept.coordinates[:, 0])


def test_voxels_are_those_of_the_predictor():
    rng = np.random.default_rng(3)
    points, rgb = rng.uniform(-2, 2, (5000, 3)).astype(np.float32), rng.integers(0, 256, (5000, 3)).astype(np.uint8)
    cloud = TrainingCloud(points, rgb, LabelTargets(np.zeros(5000, np.int32)), "made up")
    ours = plain_sample(cloud, 0.02)
    theirs = voxel_input(Cloud(points, rgb / np.float32(255)), Segment3DSettings.build({}))
    for name in ("coordinates", "colours", "xyz"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
    assert ours.masks.all() and len(ours.masks) == 1


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_overlapping_targets_equal_dense_masks(seed):
    rng = np.random.default_rng(seed)
    dense = rng.random((int(rng.integers(0, 5)), int(rng.integers(1, 40)))) < 0.4
    proposals = Proposals.from_masks(dense, np.ones(len(dense), np.float32))
    points = rng.permutation(dense.shape[1])[: int(rng.integers(dense.shape[1] + 1))]
    np.testing.assert_array_equal(ProposalTargets(proposals).masks(points), dense[dense.any(axis=1)][:, points])


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 300))
def test_cuts_are_compact_and_keep_what_belongs_together(seed, most):
    rng = np.random.default_rng(seed)
    sample = a_sample(rng)
    cut = cut_around(rng, sample, most)
    assert len(cut) == min(most, len(sample))
    rows = {tuple(row): number for number, row in enumerate(sample.coordinates.tolist())}
    kept = [rows[tuple(row)] for row in cut.coordinates.tolist()]
    assert kept == sorted(kept)
    np.testing.assert_array_equal(cut.xyz, sample.xyz[kept])
    left = sample.masks[:, kept]
    np.testing.assert_array_equal(cut.masks, left[left.any(axis=1)])
    if most < len(sample):
        # There is a place from which all that is kept is nearer than all that is not.
        lost = np.setdiff1d(np.arange(len(sample)), kept)
        across = np.abs(sample.coordinates[kept][:, None, :2] - sample.coordinates[None, :, :2]).max(axis=2)
        assert (across[:, kept].max(axis=1) <= across[:, lost].min(axis=1)).any()
