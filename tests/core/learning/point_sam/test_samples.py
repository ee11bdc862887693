"""Samples of training: what is asked for in a view, how it is cut and changed, and views of a real room."""

from __future__ import annotations

import numpy as np
import pytest

from seg3d_core.errors import InputError
from seg3d_core.learning.point_sam import views as views_module
from seg3d_core.learning.point_sam.cache import fill_cache, read_views
from seg3d_core.learning.point_sam.samples import FEWEST_MASK_POINTS, draw_sample, plain_sample, possible_masks
from seg3d_core.learning.point_sam.shapes import shapes_view
from seg3d_core.learning.point_sam.views import View


def a_view(objects, parts, focus=0):
    points = np.random.default_rng(0).uniform(-1, 1, (len(objects), 3)).astype(np.float32)
    rgb = np.full((len(objects), 3), 200, np.uint8)
    return View(points, rgb, np.array(objects, np.int16), np.array(parts, np.int16), focus)


def test_possible_masks_by_hand():
    """Floor; object 1 of two parts, one too small; object 2 of one part; object 3 too small."""
    few, many = FEWEST_MASK_POINTS - 1, FEWEST_MASK_POINTS
    objects = [0] * 100 + [1] * (many + few) + [2] * 50 + [3] * few
    parts = [0] * 100 + [1] * many + [2] * few + [3] * 50 + [4] * few
    found = possible_masks(a_view(objects, parts, focus=2))
    sizes = [int(row.sum()) for row in found.rows]
    assert sizes == [100, many + few, many, 50]
    assert found.is_object.tolist() == [False, True, False, True]
    assert found.weights.tolist() == [0.1, 1.0, 0.15, 4.0]


def test_a_view_of_one_thing_alone_has_nothing_to_ask_for():
    assert len(possible_masks(a_view([1] * 100, [1] * 100)).rows) == 0
    assert plain_sample(a_view([1] * 100, [1] * 100), 80, np.random.default_rng(0)) is None


@pytest.mark.parametrize("seed", range(12))
def test_samples_are_as_the_network_takes_them(seed):
    sample = draw_sample(np.random.default_rng(seed), [], 300, 3)
    again = draw_sample(np.random.default_rng(seed), [], 300, 3)
    assert all(np.array_equal(getattr(sample, name), getattr(again, name)) for name in ("xyz", "rgb", "masks"))
    assert sample.xyz.shape == sample.rgb.shape == (300, 3) and sample.masks.shape == (3, 300)
    radius = np.linalg.norm(sample.xyz, axis=1).max()
    assert 0.8 - 1e-5 <= radius <= 1 + 1e-5
    assert np.abs(sample.rgb).max() <= 1
    counts = sample.masks.sum(axis=1)
    assert (counts >= FEWEST_MASK_POINTS).all() and (counts < 300).all()


def test_some_clouds_have_no_colours():
    """Grey as the predictor gives it to them."""
    grey = [
        np.ptp(draw_sample(np.random.default_rng(seed), [], 200, 1).rgb) == 0
        and draw_sample(np.random.default_rng(seed), [], 200, 1).rgb[0, 0] == np.float32(-0.2)
        for seed in range(40)
    ]
    assert 0 < sum(grey) < 20


@pytest.mark.parametrize("seed", range(8))
def test_shapes_stand_on_their_plane(seed):
    view = shapes_view(np.random.default_rng(seed), 3000)
    assert 100 < len(view.points) <= 3000
    numbers = np.unique(view.objects)
    assert 1 <= (numbers > 0).sum() <= 12
    size_m = np.ptp(view.points, axis=0).max()
    assert view.points[:, 2].min() > -0.03 * size_m
    if numbers[0] == 0:
        on_plane = np.abs(view.points[view.objects == 0][:, 2]) < 0.03 * size_m
        assert on_plane.mean() > 0.5


@pytest.fixture(scope="module")
def rooms(tmp_path_factory):
    """Few views of one room, in a cache."""
    folder = tmp_path_factory.mktemp("rooms")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(views_module, "WALK_VIEWS", 2)
        patch.setattr(views_module, "CLOSE_UPS", 4)
        fill_cache(folder, [3], 0)
    return folder


def test_views_of_a_room(rooms):
    views = read_views(rooms, 3)
    assert len(views) >= 3
    for view in views:
        assert len(view.points) == len(view.rgb) == len(view.objects) == len(view.parts) <= views_module.MOST_POINTS
        # Between the floor and the ceiling, but for the noise of the camera.
        assert view.points[:, 2].min() > -0.2 and view.points[:, 2].max() < 2.9
        assert view.focus == 0 or (view.objects == view.focus).any()
    assert any(view.focus for view in views)
    assert any(len(np.unique(view.parts)) > len(np.unique(view.objects)) for view in views)


def test_samples_of_a_room(rooms):
    views = read_views(rooms, 3)
    samples = [draw_sample(np.random.default_rng(seed), views, 400, 2) for seed in range(10)]
    assert all(sample.xyz.shape == (400, 3) for sample in samples)


def test_a_cache_that_is_there_is_kept(rooms):
    before = (rooms / "room-000003.npz").stat().st_mtime_ns
    told = []
    fill_cache(rooms, [3], 0, lambda made, of: told.append((made, of)))
    assert (rooms / "room-000003.npz").stat().st_mtime_ns == before
    assert not told


def test_a_damaged_cache_is_refused(tmp_path):
    (tmp_path / "room-000007.npz").write_bytes(b"torn")
    with pytest.raises(InputError, match="cannot read the views of room 7"):
        read_views(tmp_path, 7)
