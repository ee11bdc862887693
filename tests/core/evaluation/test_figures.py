"""Figures from records: the official evaluator's numbers, background by hand, and through the file unchanged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from seg3d_core.errors import InputError
from seg3d_core.evaluation.figures import PROTOCOLS, judged, make_row, row_to_json
from seg3d_core.evaluation.records import SceneRecord
from seg3d_core.evaluation.truth import Truth
from seg3d_core.learning.metrics import ApProtocol
from seg3d_core.types import Cloud, Instances, LabelledCloud

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "segment3d_reference_eval.pt"
SMALL = ApProtocol(min_region=1)


def record(
    ids: np.ndarray, masks: np.ndarray, scores: np.ndarray | None = None, background: frozenset[int] = frozenset()
) -> SceneRecord:
    cloud = Cloud(np.zeros((len(ids), 3), np.float32))
    scores = np.ones(len(masks), np.float32) if scores is None else scores
    instances = Instances(cloud, masks.astype(bool), scores, np.arange(1, len(masks) + 1, dtype=np.int32))
    truth = Truth(LabelledCloud(cloud, ids.astype(np.int32), {}), background)
    return SceneRecord.of("scene", "print", truth, instances, 0.5)


@pytest.mark.parametrize("protocol", ["released", "scored"])
@pytest.mark.parametrize("by_background", [False, True])
def test_the_official_evaluator_gives_the_same_numbers(protocol: str, by_background: bool) -> None:
    """Instances without a valid label (ids below 1000) are regions to ignore, and so is the background."""
    reference = pytest.importorskip("torch").load(GOLDEN, weights_only=True)
    records = []
    for name, truth in reference["gt"].items():
        ids, predicted = truth.numpy(), reference["preds"][name]
        unlabelled = frozenset(np.unique(ids[(ids > 0) & (ids < 1000)]).tolist())
        if not by_background:
            ids = np.where(ids >= 1000, ids, -1)
        masks, scores = predicted["pred_masks"].numpy().T, predicted["pred_scores"].numpy().astype(np.float32)
        made = record(ids, masks, scores, unlabelled if by_background else frozenset())
        records.append(SceneRecord.from_json(json.loads(json.dumps(made.to_json()))))
    # The recorded scored figures have the released thresholds.
    chosen = PROTOCOLS["released"] if protocol == "released" else ApProtocol(PROTOCOLS["released"].thresholds)
    figures = make_row("all", records, chosen, "ignore").all_sizes
    expected = reference["results"]["all_ones" if protocol == "released" else "scored"]
    assert (figures.ap, figures.ap50, figures.ap25) == pytest.approx(
        [expected[figure] for figure in ("ap", "ap50", "ap25")], abs=1e-12
    )


def floor_and_box() -> SceneRecord:
    """Floor (id 1, 20 points), box (id 2, 10 points); a mask of the floor, one of the box and 10 points of floor."""
    ids = np.repeat([1, 2], [20, 10])
    masks = np.array([ids == 1, (ids == 2) | (np.arange(30) < 10)])
    return record(ids, masks, background=frozenset({1}))


def test_ignored_background_is_no_target_and_a_mask_on_it_no_mistake() -> None:
    figures = make_row("", [floor_and_box()], SMALL, "ignore").all_sizes
    # The box's mask spills: overlap 10/20, not above one half; half of it lies on the floor, which is not above either.
    assert (figures.targets, figures.recall50, figures.ap25) == (1, 0, 1)


def test_removed_background_takes_the_spill_with_it() -> None:
    row = make_row("", [floor_and_box()], SMALL, "remove")
    assert (row.all_sizes.targets, row.all_sizes.ap, row.all_sizes.precision50) == (1, 1, 1)
    assert row.found == 1
    assert judged(floor_and_box(), "remove").mask_sizes.tolist() == [0, 10]


def test_counted_background_is_a_target() -> None:
    row = make_row("", [floor_and_box()], SMALL, "count")
    assert (row.all_sizes.targets, row.all_sizes.recall50, row.found) == (2, 0.5, 2)


def test_sizes_split_at_2000_and_15000_points() -> None:
    ids = np.repeat([1, 2, 3, 4], [1999, 2000, 15_000, 15_001])
    row = make_row("", [record(ids, ids[None] == np.array([[1], [2], [3], [4]]))], PROTOCOLS["scored"], "ignore")
    assert [(found, figures.targets, figures.ap) for found, figures in row.by_size.values()] == [
        (1, 1, 1), (2, 2, 1), (1, 1, 1),
    ]  # fmt: skip
    assert row.points == 34_000


def test_figures_that_do_not_exist_are_none_in_files() -> None:
    entry = row_to_json(make_row("", [record(np.full(5, -1), np.ones((1, 5)))], SMALL, "ignore"))
    assert entry["ap"] is None
    assert json.loads(json.dumps(entry, allow_nan=False))["targets"] == 0


@pytest.mark.parametrize("broken", ["shared", "mask_scores", "instance_points"])
def test_records_with_missing_or_short_lists_are_refused(broken: str) -> None:
    entry = floor_and_box().to_json()
    with pytest.raises(InputError, match="not a record of a scene"):
        SceneRecord.from_json({name: value for name, value in entry.items() if name != broken})
    with pytest.raises(InputError, match="not a record of a scene"):
        SceneRecord.from_json({**entry, broken: [[9, 9, 9]]})
