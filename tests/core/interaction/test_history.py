"""What is undone comes back bit for bit, and takes little memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from seg3d_core.interaction.candidates import MaskCandidates
from seg3d_core.interaction.history import History
from seg3d_core.interaction.selection import Selection
from seg3d_core.types import Cloud, Prompt

SOME = st.sampled_from([-12.0, 0.0, -0.0, 3.5, 1e-45]).map(np.float32)


def selection(logits, chosen=0, snap_distance_m=0.25):
    cloud = Cloud(np.zeros((logits.shape[1], 3), np.float32))
    scores = np.linspace(1, 0, len(logits), dtype=np.float32)
    candidates = MaskCandidates(cloud, logits, scores, scores / 2)
    return Selection(Prompt.click(1.0, 2.0, 3.0), candidates, chosen, "box", snap_distance_m)


def assert_same(found, expected):
    assert found.candidates.mask_logits.tobytes() == expected.candidates.mask_logits.tobytes()
    assert found.candidates.mask_logits.shape == expected.candidates.mask_logits.shape
    assert found.cloud is expected.cloud
    for name in ("iou_predictions", "stability"):
        assert np.array_equal(getattr(found.candidates, name), getattr(expected.candidates, name))
    for name in ("prompt", "chosen", "source", "snap_distance_m"):
        assert getattr(found, name) is getattr(expected, name)


@given(hnp.arrays(np.float32, st.tuples(st.integers(1, 3), st.integers(0, 400)), elements=SOME, fill=SOME))
def test_bit_for_bit(logits):
    history = History()
    before = selection(logits, chosen=len(logits) - 1)
    history.push(before)
    history.push(selection(np.zeros((1, 4), np.float32)))
    assert len(history) == 2
    history.pop()
    assert_same(history.now, before)
    history.pop()
    assert history.now is None
    assert len(history) == 0


def test_what_is_not_written_to_is_not_changed():
    """The arrays that come back are new ones, or those that were given: never shared with another step."""
    logits = np.full((1, 1000), -12, np.float32)
    logits[0, :10] = 4
    history = History()
    history.push(selection(logits))
    for _ in range(3):
        history.push(None)
        history.pop()
        assert np.array_equal(history.now.candidates.mask_logits, logits)


def test_a_hundred_clicks_on_a_large_map_take_little():
    history = History()
    random = np.random.default_rng(0)
    for _ in range(100):
        logits = np.full((1, 200_000), -12, np.float32)
        logits[0, 5000:7000] = random.normal(size=2000)
        history.push(selection(logits))
    kept = [step for step in history._before if step is not None]
    assert sum(step.logits.nbytes + step.position.nbytes for step in kept) < 99 * 2000 * 12 + 1


def test_next_candidates_are_part_of_the_step():
    history = History()
    first = selection(np.arange(6, dtype=np.float32).reshape(3, 2))
    history.push(first)
    history.change(first.next_candidate())
    history.push(selection(np.zeros((1, 2), np.float32)))
    history.pop()
    assert history.now.chosen == 1
    assert history.now.mask_logits.tolist() == [2, 3]
    history.pop()
    assert history.now is None


@pytest.mark.parametrize(("chosen", "after"), [(0, 1), (1, 2), (2, 0)])
def test_candidates_in_turn(chosen, after):
    assert selection(np.zeros((3, 1), np.float32), chosen).next_candidate().chosen == after
