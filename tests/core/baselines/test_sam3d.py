"""Merging of 2-D masks: by hand, against the plain version, and on views of a scene whose objects are known."""

from __future__ import annotations

import numpy as np
import plain_sam3d
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from seg3d_core.baselines.mask_overlaps import compacted
from seg3d_core.baselines.sam3d import (
    MaskedFrame,
    MaskedPoints,
    ensemble,
    lift,
    majority,
    merge_masks,
    merged,
    on_cloud,
)
from seg3d_core.errors import InputError
from seg3d_core.evaluation_config import Sam3dConfig
from seg3d_core.geometry.camera import Camera
from seg3d_core.types import IGNORE, Cloud, RgbdFrame

SMALL = Sam3dConfig.build({"min_voxels": 1})
CAMERA = Camera(64, 48, np.array([[60.0, 0, 31.5], [0, 60.0, 23.5], [0, 0, 1]]))


def line(start_cm: int, end_cm: int, *labels: int) -> MaskedPoints:
    """A point in the middle of every voxel of 5 cm on the x axis; labels repeated to fit."""
    centres = np.arange(start_cm, end_cm, 5) + 2.5
    points = np.zeros((len(centres), 3), np.float32)
    points[:, 0] = centres / 100
    return MaskedPoints(points, np.resize(np.array(labels, np.int32), len(points)))


def by_x(masked: MaskedPoints) -> list[int]:
    return masked.labels[np.argsort(masked.points[:, 0])].tolist()


def test_masks_that_share_half_of_the_smaller_are_one() -> None:
    # Ten voxels and six, three of them in both places: 3 >= 0.5 * 6.
    assert by_x(merged(line(0, 50, 0), line(35, 65, 0), SMALL)) == [0] * 13


def test_masks_that_share_less_stay_two() -> None:
    # 2 of 6 shared; with the released 1.5 voxels the next ones would be the same place, too.
    config = SMALL.model_copy(update={"reach_voxels": 0.5})
    assert by_x(merged(line(0, 50, 0), line(40, 70, 0), config)) == [1] * 10 + [0] * 4


def test_two_masks_of_the_second_cloud_become_one_of_the_first() -> None:
    """Over-segmentation of one view is undone by a view that sees the whole."""
    halves = MaskedPoints(line(0, 50, 0).points, np.repeat([0, 1], 5).astype(np.int32))
    assert by_x(merged(line(0, 50, 0), halves, SMALL)) == [0] * 10
    assert by_x(merged(halves, line(0, 50, 0), SMALL)) == [0] * 10


def test_points_without_a_mask_take_that_of_the_other_cloud() -> None:
    assert by_x(merged(line(0, 50, IGNORE), line(0, 25, 0), SMALL))[:5] == [0] * 5


def test_small_masks_are_none() -> None:
    assert by_x(merged(line(0, 50, 0), line(500, 520, 0), Sam3dConfig.build({"min_voxels": 5}))) == [0] * 10 + [-1] * 4


def clouds() -> st.SearchStrategy[MaskedPoints]:
    def make(seed: int, count: int, masks: int) -> MaskedPoints:
        rng = np.random.default_rng(seed)
        coordinates = np.unique(rng.integers(0, 5, (count, 3)), axis=0)
        points = ((coordinates + rng.uniform(0.05, 0.95, coordinates.shape)) * 0.05).astype(np.float32)
        return MaskedPoints(points, compacted(rng.integers(-1, masks, len(points)).astype(np.int32)))

    return st.builds(make, st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 4))


@given(clouds(), clouds(), st.integers(1, 3), st.sampled_from([0.3, 0.5, 1.0]))
def test_merging_is_what_the_plain_version_does(
    a: MaskedPoints, b: MaskedPoints, fewest: int, min_overlap: float
) -> None:
    config = Sam3dConfig.build({"min_voxels": fewest, "min_overlap": min_overlap})
    ours = merged(a, b, config)
    points, labels = plain_sam3d.merge(a.points, a.labels, b.points, b.labels, 0.05, 0.075, min_overlap, fewest)
    np.testing.assert_array_equal(ours.points, points)
    # The same groups, whatever their numbers.
    assert plain_sam3d.numbered([None if label < 0 else int(label) for label in ours.labels]) == labels


def view(x_m: float, ids: np.ndarray) -> MaskedFrame:
    """A wall 2 m away, seen from ``x_m`` along it."""
    T = np.eye(4)
    T[0, 3] = x_m
    return MaskedFrame(RgbdFrame(np.full((48, 64), 2, np.float32), CAMERA, None, T), ids)


def squares(x_m: float, *ids: int) -> MaskedFrame:
    """The wall has squares of one metre; each view gives them the numbers that it likes."""
    across = np.floor((np.arange(64) - 31.5) / 60 * 2 + x_m).astype(int)
    numbers = np.array(ids, np.int32)[across - across.min()]
    return view(x_m, np.broadcast_to(numbers, (48, 64)).copy())


def wall(count: int = 5000) -> Cloud:
    points = np.random.default_rng(0).uniform((-1, -0.75, 2), (4, 0.75, 2), (count, 3))
    return Cloud(points.astype(np.float32))


@pytest.mark.parametrize("views", [1, 2, 3, 5, 6, 7])
def test_squares_of_a_wall_are_found_whatever_the_views_call_them(views: int) -> None:
    rng = np.random.default_rng(views)
    places = [0.0, 0.3, 0.6, 1.1, 1.6, 2.1, 2.4][:views]
    frames = [squares(x, *rng.permutation(6)) for x in places]
    cloud = wall()
    found = merge_masks(frames, cloud, Sam3dConfig.build({"cloud_reach_m": 0.05}))
    assert (found.scores == 1).all()
    assert (np.diff(found.masks.sum(axis=1)) <= 0).all()
    true = np.floor(cloud.points[:, 0]).astype(int)
    for mask in found.masks:
        # Pure but for voxels that straddle a border.
        assert np.bincount(true[mask] + 1).max() > 0.9 * mask.sum()
    whole = {0: -1, 1: 0, 2: 0, 3: 0}.get(views, 0)
    assert any((mask & (true == whole)).sum() > 0.85 * (true == whole).sum() for mask in found.masks) or views == 1


def test_a_frame_is_thinned_to_one_pixel_a_voxel() -> None:
    lifted = lift(squares(0.0, 7, 3, 5, 9), 0.05)
    cells = np.floor(lifted.points / 0.05)
    assert len(np.unique(cells, axis=0)) == len(lifted.points)
    assert set(np.unique(lifted.labels)) == {0, 1, 2, 3}


def test_points_out_of_reach_have_no_mask() -> None:
    far = Cloud(np.array([[0.1, 0, 0], [0.1, 0.7, 0]], np.float32))
    assert on_cloud(line(0, 50, 0), far, 0.6).tolist() == [0, IGNORE]
    empty = MaskedPoints(np.zeros((0, 3), np.float32), np.zeros(0, np.int32))
    assert on_cloud(empty, far, 0.6).tolist() == [IGNORE, IGNORE]


def test_superpoints_by_hand() -> None:
    labels = np.array([0, 0, 0, 1, 1, IGNORE, IGNORE, IGNORE, 1, IGNORE], np.int32)
    superpoints = np.repeat([0, 1, 2, 3], [4, 2, 2, 2]).astype(np.int32)
    # 0: three of four are of mask 0. 1: one of two, and one of none. 2: no mask. 3: one of two.
    assert majority(labels, superpoints).tolist() == [0] * 4 + [IGNORE] * 6
    # Half of the smaller is enough here, and what joins no mask is one itself: numbers after the masks'.
    assert ensemble(labels, superpoints, 0.5).tolist() == [0] * 4 + [1] * 2 + [4] * 2 + [1] * 2


@pytest.mark.parametrize("smoothing", ["ensemble", "majority"])
def test_smoothing_reaches_the_result(smoothing: str) -> None:
    found = merge_masks([squares(0.0, 0, 1, 2, 3)], wall(), Sam3dConfig.build({"smoothing": smoothing}))
    # A flat wall is one superpoint.
    assert len(found) <= 1


def test_frames_that_cannot_be_merged() -> None:
    depth = np.full((48, 64), 2, np.float32)
    with pytest.raises(InputError, match="without a pose"):
        MaskedFrame(RgbdFrame(depth, CAMERA), np.zeros((48, 64), np.int32))
    with pytest.raises((InputError, TypeCheckError), match=r"\(48, 63\)"):
        MaskedFrame(RgbdFrame(depth, CAMERA, None, np.eye(4)), np.zeros((48, 63), np.int32))
    dark = MaskedFrame(RgbdFrame(np.zeros((48, 64), np.float32), CAMERA, None, np.eye(4)), np.zeros((48, 64), np.int32))
    with pytest.raises(InputError, match="none of the frames has a return"):
        merge_masks([dark], wall(), SMALL)
    # A dark frame among others is passed over.
    assert len(merge_masks([dark, squares(0.0, 0, 1, 2, 3), dark], wall(), SMALL)) > 0
