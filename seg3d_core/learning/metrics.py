"""How good instances are: class-agnostic average precision by ScanNet's rule.

The rule (ScanNet's 3-D semantic instance benchmark with one class, "object"): at an overlap threshold every target
takes the predictions that overlap it by more; the first is its match, further ones are false; a prediction that
matches nothing is false unless it lies mostly on unlabelled points. Precision over recall is then integrated with
central differences. The threshold comparison is strict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, Int64

from seg3d_core.errors import InputError
from seg3d_core.types import Instances, LabelledCloud

LOOSE_THRESHOLD = 0.25
"""Overlap of the AP25 figure; never part of the averaged AP."""


@dataclass(frozen=True)
class ApProtocol:
    """What varies between published evaluations.

    Attributes:
        thresholds: overlaps (0..1) whose AP are averaged; 0.5 must be among them for ``ap50``.
        min_region: predictions with fewer points are dropped, targets with fewer are ignored regions.
        ranked: order predictions by their scores; otherwise all scores count as 1 and the precision-recall curve
            has a single point, so AP becomes recall * (1 + precision) / 2.
    """

    thresholds: tuple[float, ...] = tuple(float(t) for t in np.arange(50, 100, 5) / 100)
    min_region: int = 100
    ranked: bool = True


RELEASED_PROTOCOL = ApProtocol(tuple(float(t) for t in np.arange(50, 95, 5) / 100), min_region=100, ranked=False)
"""The evaluation that ships with Segment3D: 0.50..0.90, every score replaced by 1."""


@dataclass(frozen=True, eq=False)
class SceneResult:
    """Predicted masks of one scene beside its ground truth.

    Attributes:
        masks: (Q, N) bool predictions; may overlap.
        scores: (Q,) any finite ranking, larger is better.
        instance_id: (N,) id > 0 of the target at each point; anything else is unlabelled or ignored.
    """

    masks: Bool[np.ndarray, "Q N"]
    scores: Float32[np.ndarray, " Q"]
    instance_id: Int32[np.ndarray, " N"]

    def __post_init__(self) -> None:
        expected = (len(self.scores), len(self.instance_id))
        if self.masks.shape != expected:
            raise InputError(f"masks are {self.masks.shape}, expected {expected} from scores and ground truth")

    @classmethod
    def of(cls, instances: Instances, truth: LabelledCloud) -> SceneResult:
        """The result of a segmenter beside the labels of the same cloud."""
        return cls(instances.masks, instances.scores, truth.instance_id)


@dataclass(frozen=True)
class ApResult:
    """Figures in 0..1, pooled over scenes; NaN where no scene has a target.

    Attributes:
        ap: mean over the protocol's thresholds.
        ap50: at overlap 0.50; NaN if the protocol leaves 0.50 out.
        ap25: at overlap 0.25.
        recall50: share of targets matched at overlap 0.50.
        precision50: share of counted predictions that match at overlap 0.50; NaN with none.
        targets: targets large enough to count.
    """

    ap: float
    ap50: float
    ap25: float
    recall50: float
    precision50: float
    targets: int


@dataclass(frozen=True)
class SizeRange:
    """Sizes of objects, points, both ends included."""

    smallest: int = 0
    largest: int | None = None

    def contains(self, sizes: Int64[np.ndarray, " K"]) -> Bool[np.ndarray, " K"]:
        """Which sizes are in the range."""
        large = sizes >= self.smallest
        return large if self.largest is None else large & (sizes <= self.largest)


@dataclass(frozen=True, eq=False)
class Overlaps:
    """How the masks of one scene overlap its targets: all that is needed of it, whatever the protocol.

    Attributes:
        shared: (G, Q) points that target and mask have in common.
        target_sizes: (G,) points of each target, all above 0.
        mask_sizes: (Q,) points of each mask.
        scores: (Q,) any finite ranking, larger is better.
    """

    shared: Int64[np.ndarray, "G Q"]
    target_sizes: Int64[np.ndarray, " G"]
    mask_sizes: Int64[np.ndarray, " Q"]
    scores: Float64[np.ndarray, " Q"]

    @classmethod
    def of(cls, scene: SceneResult) -> Overlaps:
        """Count them; targets in the order of their ids."""
        ids = np.unique(scene.instance_id[scene.instance_id > 0])
        shared, sizes = _intersections(scene.masks, scene.instance_id, ids)
        return cls(shared, sizes, scene.masks.sum(1, dtype=np.int64), scene.scores.astype(np.float64))


@dataclass(frozen=True, eq=False)
class _Contest:
    """Everything about one scene that does not depend on the threshold.

    ``is_counted``: masks that are mistakes if they match nothing.
    """

    iou: Float64[np.ndarray, "G Q"]
    scores: Float64[np.ndarray, " Q"]
    is_target: Bool[np.ndarray, " G"]
    ignored_share: Float64[np.ndarray, " Q"]
    is_counted: Bool[np.ndarray, " Q"]


@dataclass(frozen=True, eq=False)
class _Outcome:
    """Counted predictions at one threshold (true or false, with score) and targets that nothing matched."""

    is_true: Bool[np.ndarray, " M"]
    scores: Float64[np.ndarray, " M"]
    missed: int


def mask_iou(a: Bool[np.ndarray, "Q N"], b: Bool[np.ndarray, "G N"]) -> Float32[np.ndarray, "Q G"]:
    """Intersection over union of every mask of ``a`` with every mask of ``b``; 0 where both are empty."""
    # float32 sums are exact up to 2^24 points.
    inter = a.astype(np.float32) @ b.astype(np.float32).T
    union = a.sum(1, dtype=np.float32)[:, None] + b.sum(1, dtype=np.float32)[None, :] - inter
    iou: Float32[np.ndarray, "Q G"] = inter / np.maximum(union, np.float32(1))
    return iou


def average_precision(
    scenes: Sequence[SceneResult | Overlaps], protocol: ApProtocol | None = None, sizes: SizeRange | None = None
) -> ApResult:
    """Class-agnostic average precision pooled over ``scenes``.

    With ``sizes`` only targets of these sizes count. The others are ignored regions, and masks of other sizes are no
    mistakes unless they take a target that another mask has.
    """
    protocol, sizes = protocol or ApProtocol(), sizes or SizeRange()
    overlaps = [scene if isinstance(scene, Overlaps) else Overlaps.of(scene) for scene in scenes]
    contests = [_contest(one, protocol, sizes) for one in overlaps]
    averaged = [_area([_match(contest, t) for contest in contests]) for t in protocol.thresholds]
    at_half = [_match(contest, 0.5) for contest in contests]
    true = sum(int(outcome.is_true.sum()) for outcome in at_half)
    counted = sum(len(outcome.is_true) for outcome in at_half)
    targets = sum(int(contest.is_target.sum()) for contest in contests)
    return ApResult(
        ap=float(np.mean(averaged)),
        ap50=averaged[protocol.thresholds.index(0.5)] if 0.5 in protocol.thresholds else float("nan"),
        ap25=_area([_match(contest, LOOSE_THRESHOLD) for contest in contests]),
        recall50=true / targets if targets else float("nan"),
        precision50=true / counted if counted else float("nan"),
        targets=targets,
    )


def _contest(overlaps: Overlaps, protocol: ApProtocol, sizes: SizeRange) -> _Contest:
    keep = overlaps.mask_sizes >= max(protocol.min_region, 1)
    shared, areas, scores = overlaps.shared[:, keep], overlaps.mask_sizes[keep], overlaps.scores[keep]
    union = overlaps.target_sizes[:, None] + areas[None, :] - shared
    is_target = (overlaps.target_sizes >= protocol.min_region) & sizes.contains(overlaps.target_sizes)
    return _Contest(
        iou=shared / union,
        scores=scores if protocol.ranked else np.ones_like(scores),
        is_target=is_target,
        ignored_share=(areas - shared[is_target].sum(0)) / areas,
        is_counted=sizes.contains(areas),
    )


def _intersections(
    masks: Bool[np.ndarray, "Q N"], instance_id: Int32[np.ndarray, " N"], ids: Int32[np.ndarray, " G"]
) -> tuple[Int64[np.ndarray, "G Q"], Int64[np.ndarray, " G"]]:
    """Points shared by each target and each mask, and points of each target; one pass per mask."""
    rows = np.where(instance_id > 0, np.searchsorted(ids, instance_id), len(ids))
    inter = np.zeros((len(ids), len(masks)), np.int64)
    for q, mask in enumerate(masks):
        inter[:, q] = np.bincount(rows[mask], minlength=len(ids) + 1)[:-1]
    return inter, np.bincount(rows, minlength=len(ids) + 1)[:-1]


def _match(contest: _Contest, threshold: float) -> _Outcome:
    scores = contest.scores
    visited = np.zeros(len(scores), bool)
    is_true: list[bool] = []
    counted: list[float] = []
    missed = 0
    for row in contest.iou[contest.is_target]:
        takers = np.flatnonzero((row > threshold) & ~visited)
        if not len(takers):
            missed += 1
            continue
        visited[takers[0]] = True
        ordered = _best_stays(scores[takers])
        is_true += [True] + [False] * (len(takers) - 1)
        counted += ordered
    unmatched = ~(contest.iou > threshold).any(0) & (contest.ignored_share <= threshold) & contest.is_counted
    is_true += [False] * int(unmatched.sum())
    counted += scores[unmatched].tolist()
    return _Outcome(np.array(is_true, bool), np.array(counted, np.float64), missed)


def _best_stays(scores: Float64[np.ndarray, " T"]) -> list[float]:
    """Best score of a target's takers first; the others in the order in which they were beaten."""
    best, beaten = float(scores[0]), []
    for score in scores[1:].tolist():
        beaten.append(min(best, score))
        best = max(best, score)
    return [best, *beaten]


def _area(outcomes: Sequence[_Outcome]) -> float:
    """Area under precision over recall with ScanNet's central-difference step widths."""
    missed = sum(o.missed for o in outcomes)
    is_true = np.concatenate([o.is_true for o in outcomes]) if outcomes else np.zeros(0, bool)
    scores = np.concatenate([o.scores for o in outcomes]) if outcomes else np.zeros(0)
    positives = int(is_true.sum()) + missed
    if positives == 0:
        return float("nan")
    if not len(scores):
        return 0.0
    order = np.argsort(scores, kind="stable")
    first = np.unique(scores[order], return_index=True)[1]
    dropped = np.append(0, np.cumsum(is_true[order]))[first]
    hits = int(is_true.sum()) - dropped
    precision = np.append(hits / (len(scores) - first), 1.0)
    recall = np.append(hits / positives, 0.0)
    padded = np.concatenate([recall[:1], recall, [0.0]])
    return float(np.dot(precision, (padded[:-2] - padded[2:]) / 2))
