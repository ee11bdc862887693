"""What is shown of clouds that come, and what clicks mean, without a browser."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg3d_core.errors import PromptError
from seg3d_core.live_view.view import LiveView
from seg3d_core.types import Cloud

GRID = np.stack(np.meshgrid(np.arange(30), np.arange(20), [0.0]), axis=-1).reshape(-1, 3).astype(np.float32) / 50
"""2 cm apart on z = 0."""
EYE = np.array([0.3, 0.2, 1.0])
EVERY = np.arange(len(GRID))


def cloud(points=GRID, stamp_ns=7, frame_id="map", rgb=None):
    return Cloud(points, rgb=rgb, frame_id=frame_id, stamp_ns=stamp_ns)


def test_a_click_has_the_frame_and_the_stamp_of_the_cloud():
    view = LiveView(1000)
    with pytest.raises(PromptError, match="there is no cloud to click on yet"):
        view.click(EYE, np.array([0.0, 0, -1]), True)
    view.take("cloud", cloud())
    click = view.click(EYE, np.array([0.1, 0.0, -1.0]), False)
    assert (click.is_foreground, click.frame_id, click.stamp_ns) == (False, "map", 7)
    np.testing.assert_allclose(click.point, (0.4, 0.2, 0.0), atol=1e-6)
    with pytest.raises(PromptError, match="no point under the cursor"):
        view.click(EYE, np.array([0.0, 0, 1]), True)
    assert view.clicked == click
    view.take("mask", cloud(np.empty((0, 3), np.float32)))
    assert view.clicked is None, "nothing is selected any more"


@given(seed=st.integers(0, 10_000), most=st.integers(50, 2000))
def test_a_mask_of_the_same_cloud_is_painted_exactly(seed, most):
    chosen = np.random.default_rng(seed).random(len(GRID)) < 0.3
    view = LiveView(most)
    view.take("cloud", cloud())
    assert view.selected(EVERY) is None
    view.take("mask", cloud(GRID[chosen]))
    rows = view.base.rows
    assert len(rows) <= most
    if chosen.any():
        assert (view.selected(rows) == chosen[rows]).all()


def test_a_mask_of_an_older_cloud_is_painted_where_it_was():
    view = LiveView(1000)
    view.take("cloud", cloud(GRID + np.float32(0.004), stamp_ns=9))
    view.take("mask", cloud(GRID[:10]))
    assert np.flatnonzero(view.selected(EVERY)).tolist() == list(range(10))


def test_what_was_accepted_goes_before_what_was_found():
    view = LiveView(1000)
    found, accepted = np.where(EVERY < 300, 1, 2), np.where(EVERY < 100, 50_001, 0)
    view.take("cloud", cloud())
    assert view.instance_ids(EVERY).tolist() == [0] * 600
    view.take("found", cloud(), found.astype(np.int32))
    assert (view.instance_ids(EVERY) == found).all()
    view.take("accepted", cloud(stamp_ns=3), accepted.astype(np.int32))
    ids = view.instance_ids(EVERY)
    assert (ids[:100] == 50_001).all() and (ids[300:] == 2).all()
    # What lies beside an accepted object and near it is not painted twice as far as neighbours are apart.
    assert np.abs(GRID[ids == 50_001] - GRID[99]).max() < 0.6


def test_without_a_cloud_the_result_is_shown_grey():
    view = LiveView(1000)
    view.take("found", cloud(rgb=np.ones_like(GRID)), np.ones(600, np.int32))
    assert view.base is view.layers["found"]
    assert np.ptp(view.true_rgb(EVERY)) == 0 and view.true_rgb(EVERY).max() < 1
    view.take("cloud", cloud(rgb=np.ones_like(GRID)))
    assert view.base is view.layers["cloud"] and view.true_rgb(EVERY).min() == 1


def test_other_frames_are_told_and_not_painted():
    view = LiveView(1000)
    view.take("mask", cloud(frame_id="odom"))
    assert view.misfits() == []
    view.take("cloud", cloud())
    assert view.selected(EVERY) is None
    assert view.misfits() == ["mask is in frame 'odom', the cloud in 'map': it is not shown"]


def test_no_points_are_no_trouble():
    view = LiveView(1000)
    nothing = cloud(np.empty((0, 3), np.float32))
    for name in ("cloud", "found", "mask", "accepted"):
        view.take(name, nothing)
    assert view.instance_ids(view.base.rows).tolist() == []
    with pytest.raises(PromptError, match="no point under the cursor"):
        view.click(EYE, np.array([0.0, 0, -1]), True)
