"""Simulated clicks: the original's, and what depth means."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg3d_core.errors import InputError
from seg3d_core.learning.clicks import NO_DEPTH, SimulatedClick, deepest_point, next_click

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "point_sam_reference_clicks.pt"


@pytest.mark.parametrize("number", range(7))
def test_the_original_clicks_there(number):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    case = torch.load(GOLDEN, weights_only=True)["cases"][number]
    points, target = case["coords"].numpy(), case["gt_mask"].numpy()
    predicted = None if case["pred_mask"] is None else case["pred_mask"].numpy()
    assert next_click(points, target, predicted) == SimulatedClick(case["index"], case["label"])
    shown = np.zeros_like(target) if predicted is None else predicted
    for region, depth in ((target & ~shown, "depth_false_negative"), (shown & ~target, "depth_false_positive")):
        assert depth_of(points, region) == pytest.approx(case[depth], abs=1e-7)


def depth_of(points, region):
    """As recorded: the distance, not its square."""
    _, squared = deepest_point(points, region)
    return squared if squared == NO_DEPTH else np.sqrt(squared)


def line(*coordinates):
    return np.array([[x, 0, 0] for x in coordinates], np.float32)


def test_on_a_line():
    points = line(0, 1, 2, 3, 4, 5, 6)
    target = np.array([0, 0, 1, 1, 1, 0, 0], bool)
    assert deepest_point(points, target) == (3, 4.0)
    assert next_click(points, target) == SimulatedClick(3, True)
    # All of the object found, and the end of the line, too: two deep at the end.
    assert next_click(points, target, np.array([0, 0, 1, 1, 1, 1, 1], bool)) == SimulatedClick(6, False)
    # One missing at 2, one too much at 5: equally deep, the background has it.
    assert next_click(points, target, np.array([0, 0, 0, 1, 1, 1, 0], bool)) == SimulatedClick(5, False)
    assert next_click(points, target, target) == SimulatedClick(3, True)


@given(st.integers(2, 60), st.integers(0, 2**32 - 1))
def test_every_pair_looked_at(count, seed):
    random = np.random.default_rng(seed)
    points = random.random((count, 3), np.float32)
    region = random.random(count) < random.random()
    if region.all() or not region.any():
        assert deepest_point(points, region) == (0, NO_DEPTH)
        return
    squared = np.square(points[region][:, None] - points[~region]).sum(-1).min(1)
    row, depth = deepest_point(points, region)
    assert region[row]
    assert depth == pytest.approx(squared.max(), rel=1e-6)


@given(st.integers(3, 40), st.integers(0, 2**32 - 1))
def test_a_click_corrects(count, seed):
    random = np.random.default_rng(seed)
    points = random.random((count, 3), np.float32)
    target, predicted = random.random((2, count)) < 0.5
    target[:2] = True, False
    click = next_click(points, target, predicted)
    assert target[click.row] == click.is_foreground
    assert predicted[click.row] != click.is_foreground or np.array_equal(target, predicted)


@pytest.mark.parametrize(
    ("target", "predicted", "message"),
    [
        (np.zeros(4, bool), None, "the object has 0 of 4 points, must have some but not all"),
        (np.ones(4, bool), None, "the object has 4 of 4 points, must have some but not all"),
    ],
)
def test_objects_without_depth(target, predicted, message):
    with pytest.raises(InputError, match=message):
        next_click(line(0, 1, 2, 3), target, predicted)
