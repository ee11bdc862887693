"""Average precision against the official evaluator's numbers, by hand, and its invariants."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from seg3d_core.errors import InputError
from seg3d_core.learning.metrics import (
    RELEASED_PROTOCOL,
    ApProtocol,
    SceneResult,
    average_precision,
    mask_iou,
)

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "segment3d_reference_eval.pt"
SMALL = ApProtocol(min_region=1)


def reference_scenes() -> tuple[list[SceneResult], dict[str, dict[str, float]]]:
    torch = pytest.importorskip("torch")
    record = torch.load(GOLDEN, weights_only=True)
    scenes = []
    for name, truth in record["gt"].items():
        predicted = record["preds"][name]
        ids = truth.numpy()
        scenes.append(
            SceneResult(
                masks=predicted["pred_masks"].numpy().T.astype(bool),
                scores=predicted["pred_scores"].numpy().astype(np.float32),
                # 0 is void and 1..999 are instances without a valid label: neither is a target.
                instance_id=np.where(ids >= 1000, ids, -1).astype(np.int32),
            )
        )
    return scenes, record["results"]


@pytest.mark.parametrize(("key", "ranked"), [("scored", True), ("all_ones", False)])
def test_the_official_evaluator_gives_the_same_numbers(key: str, ranked: bool) -> None:
    scenes, recorded = reference_scenes()
    result = average_precision(scenes, replace(RELEASED_PROTOCOL, ranked=ranked))
    assert (result.ap, result.ap50, result.ap25) == pytest.approx(
        [recorded[key][figure] for figure in ("ap", "ap50", "ap25")], abs=1e-12
    )


def blocks(*sizes: int) -> np.ndarray:
    """Ids 1, 2, ... in blocks of the given sizes."""
    return np.repeat(np.arange(1, len(sizes) + 1, dtype=np.int32), sizes)


def scene(truth: np.ndarray, masks: list[np.ndarray], scores: list[float]) -> SceneResult:
    return SceneResult(np.array(masks, bool).reshape(len(scores), len(truth)), np.array(scores, np.float32), truth)


def test_perfect_masks_score_one() -> None:
    truth = blocks(10, 20, 30)
    result = average_precision([scene(truth, [truth == i for i in (1, 2, 3)], [0.2, 0.9, 0.5])], SMALL)
    assert (result.ap, result.ap50, result.ap25) == pytest.approx((1, 1, 1))
    assert (result.recall50, result.precision50) == (1, 1)
    assert result.targets == 3


def test_half_the_targets_and_a_false_mask_by_hand() -> None:
    """Recall 1/2, precision 1/2 with equal scores: AP = recall * (1 + precision) / 2 = 3/8."""
    truth = blocks(10, 20)
    half = np.arange(30) % 2 == 0
    result = average_precision([scene(truth, [truth == 1, half], [0.7, 0.7])], SMALL)
    assert result.ap50 == pytest.approx(0.375)
    assert (result.recall50, result.precision50) == (0.5, 0.5)


def test_ranking_the_false_mask_last_pays() -> None:
    truth = blocks(10, 20)
    half = np.arange(30) % 2 == 0
    good, bad = ([scene(truth, [truth == 1, half], scores)] for scores in ([0.9, 0.1], [0.1, 0.9]))
    assert average_precision(good, SMALL).ap50 > average_precision(bad, SMALL).ap50
    unranked = replace(SMALL, ranked=False)
    assert average_precision(good, unranked).ap50 == average_precision(bad, unranked).ap50


def test_overlap_must_exceed_the_threshold_strictly() -> None:
    truth = blocks(10)
    half = np.arange(10) < 5
    assert average_precision([scene(truth, [half], [1.0])], SMALL).ap50 == 0
    assert average_precision([scene(truth, [half], [1.0])], SMALL).ap25 == 1


def test_a_second_mask_on_a_target_is_false_and_one_on_unlabelled_points_is_not() -> None:
    truth = np.where(np.arange(40) < 20, 1, -1).astype(np.int32)
    twice = scene(truth, [truth == 1, truth == 1], [0.9, 0.8])
    assert average_precision([twice], SMALL).precision50 == 0.5
    beside = scene(truth, [truth == 1, truth == -1], [0.9, 0.8])
    assert average_precision([beside], SMALL).precision50 == 1.0


def test_regions_below_the_limit_count_neither_as_target_nor_as_mistake() -> None:
    truth = blocks(100, 99)
    result = average_precision([scene(truth, [truth == 1, truth == 2], [0.5, 0.9])])
    assert result.targets == 1
    assert (result.ap50, result.precision50) == pytest.approx((1, 1))


def test_no_targets_is_nan_and_no_predictions_is_zero() -> None:
    void = np.full(10, -1, np.int32)
    assert np.isnan(average_precision([scene(void, [], [])], SMALL).ap)
    assert np.isnan(average_precision([], SMALL).ap)
    nothing = average_precision([scene(blocks(10), [], [])], SMALL)
    assert (nothing.ap, nothing.recall50) == (0, 0)
    assert np.isnan(nothing.precision50)


def test_lengths_that_disagree_are_refused() -> None:
    with pytest.raises((InputError, TypeCheckError)):
        SceneResult(np.zeros((1, 5), bool), np.ones(2, np.float32), blocks(10))


def test_mask_iou_by_hand() -> None:
    a = np.array([[1, 1, 0, 0], [0, 0, 0, 0]], bool)
    b = np.array([[1, 1, 1, 1], [0, 1, 1, 0]], bool)
    np.testing.assert_allclose(mask_iou(a, b), [[0.5, 1 / 3], [0, 0]], rtol=1e-6)


@given(st.lists(st.integers(0, 4), min_size=4, max_size=60), st.integers(0, 2**32 - 1))
def test_points_and_targets_may_come_in_any_order(labels: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = np.array(labels, np.int32)
    masks = rng.random((5, len(truth))) < 0.4
    scores = rng.random(5).astype(np.float32)
    before = average_precision([SceneResult(masks, scores, truth)], SMALL)
    points, names = rng.permutation(len(truth)), np.append(0, 1 + rng.permutation(4)).astype(np.int32)
    after = average_precision([SceneResult(masks[:, points], scores, names[truth][points])], SMALL)
    np.testing.assert_allclose([after.ap, after.ap50], [before.ap, before.ap50], atol=1e-12)


@given(st.integers(0, 2**32 - 1))
def test_only_the_order_of_scores_matters(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, 50).astype(np.int32)
    masks = rng.random((6, 50)) < 0.3
    scores = rng.permutation(6).astype(np.float32)
    plain = average_precision([SceneResult(masks, scores, truth)], SMALL)
    stretched = average_precision([SceneResult(masks, np.exp(scores), truth)], SMALL)
    assert plain == stretched or np.isnan(plain.ap)
