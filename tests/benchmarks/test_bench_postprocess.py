"""From logits to instances: 150 masks of a furnished room of 160,000 voxels and 310,000 points, one thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.special import expit, softmax

from seg3d_core.config import RoomConfig
from seg3d_core.data.rooms import make_room
from seg3d_core.geometry.voxels import voxelize
from seg3d_core.segment3d.clustering import DensityClusters
from seg3d_core.segment3d.postprocess import finish, postprocess, propose, smoothed
from seg3d_core.segment3d.proposals import Proposals
from seg3d_core.segment3d.suppression import suppressed
from seg3d_core.segment3d_config import POSTPROCESS_RULES

sklearn_cluster = pytest.importorskip("sklearn.cluster", reason="the peer is scikit-learn")

VOXEL_SIZE_M = 0.02
RULE = POSTPROCESS_RULES["released"]


@dataclass(frozen=True)
class Scene:
    xyz: np.ndarray
    class_logits: np.ndarray
    mask_logits: np.ndarray
    point_to_voxel: np.ndarray
    superpoints: np.ndarray

    @property
    def size(self) -> str:
        return f"{len(self.mask_logits)} masks, {len(self.xyz) // 1000}k voxels"


@pytest.fixture(scope="module")
def scene(request: pytest.FixtureRequest) -> Scene:
    """A room, or the middle of one. Every query has an object (floor and walls are some), every fifth has two, all have
    holes and stray voxels."""
    measuring = request.config.getoption("--bench")
    rng = np.random.default_rng(0)
    room = make_room(3, RoomConfig()).surface(830_000 if measuring else 200_000)
    chosen = np.full(len(room.cloud), True) if measuring else (np.abs(room.cloud.points[:, :2]) < 1).all(axis=1)
    points, point_ids = room.cloud.points[chosen], room.instance_id[chosen]
    voxels = voxelize(points, VOXEL_SIZE_M)
    ids = point_ids[voxels.first_point]
    objects, sizes = np.unique(ids, return_counts=True)
    objects = objects[sizes > 20]
    mask_logits = np.empty((150 if measuring else 10, len(voxels)), np.float32)
    for query, logits in enumerate(mask_logits):
        inside = ids == objects[query % len(objects)]
        if query % 5 == 4:
            inside |= ids == rng.choice(objects)
        inside = inside & (rng.random(len(ids)) > 0.05) | (rng.random(len(ids)) < 0.0005)
        logits[:] = np.where(inside, 1, -1) * np.maximum(rng.normal(3, 1, len(ids)), 0.01)
    class_logits = rng.normal(0, 1.5, (len(mask_logits), 2)).astype(np.float32)
    cells = np.floor(points / 0.25).astype(np.int64) @ np.array([1, 1000, 1_000_000])
    superpoints = np.unique(cells, return_inverse=True)[1].astype(np.int32)
    return Scene(points[voxels.first_point], class_logits, mask_logits, voxels.point_to_voxel, superpoints)


def sklearn_labels(xyz: np.ndarray, mask_logits: np.ndarray) -> list[np.ndarray]:
    return [
        sklearn_cluster.DBSCAN(eps=RULE.eps_m, min_samples=RULE.min_samples).fit(xyz[logits > 0]).labels_
        for logits in mask_logits
    ]


def whole_masks(scene: Scene) -> Proposals:
    return propose(
        scene.class_logits, scene.mask_logits, scene.xyz, RULE.model_copy(update={"split": "off", "keep_fraction": 1})
    )


def dense_smoothed(masks: np.ndarray, superpoints: np.ndarray) -> np.ndarray:
    sizes = np.bincount(superpoints)
    result = np.empty_like(masks)
    for mask, row in zip(masks, result, strict=True):
        row[:] = (2 * np.bincount(superpoints[mask], minlength=len(sizes)) > sizes)[superpoints]
    return result


def dense_postprocess(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """The released rule with dense masks and everything mask by mask; clusters of the same kind as ours."""
    objects = softmax(scene.class_logits.astype(np.float64), axis=1)[:, 0]
    clusters = DensityClusters(scene.xyz, RULE.eps_m, RULE.min_samples)
    masks, scores = [], []
    for c_obj, logits in zip(objects, scene.mask_logits, strict=True):
        inside = np.flatnonzero(logits > 0).astype(np.int32)
        labels = clusters.labels(inside, np.array([0, len(inside)]))
        probabilities = expit(logits)
        for label in range(labels.max(initial=-1) + 1):
            mask = np.zeros(len(logits), bool)
            mask[inside[labels == label]] = True
            if mask.sum() > RULE.drop_voxels:
                masks.append(mask)
                scores.append(c_obj * (probabilities * mask).sum() / (mask.sum() + 1e-6))
    best = np.argsort(-np.array(scores), kind="stable")[: int(RULE.keep_fraction * len(masks))]
    on_points = np.array(masks)[best][:, scene.point_to_voxel]
    on_points = dense_smoothed(on_points, scene.superpoints)
    return on_points[on_points.any(axis=1)], np.array(scores)[best]


def dense_kept(masks: np.ndarray) -> np.ndarray:
    """Non-maximum suppression with all pairs in one matrix product."""
    as_float = masks.astype(np.float32)
    overlap = as_float @ as_float.T
    sizes = overlap.diagonal()
    iou = overlap / (sizes + sizes[:, None] - overlap)
    kept: list[int] = []
    for f in range(len(masks)):
        if not (iou[f, kept] > 0.5).any():
            kept.append(f)
    return np.array(kept)


def test_clusters(scene: Scene, compare: Callable[..., None]) -> None:
    found = whole_masks(scene)

    def ours() -> np.ndarray:
        clusters = DensityClusters(scene.xyz, RULE.eps_m, RULE.min_samples)
        return clusters.labels(found.members, found.offsets)

    expected = np.concatenate(sklearn_labels(scene.xyz, found.masks[:10].astype(np.float32)))
    assert ours()[: len(expected)].tolist() == expected.tolist()
    compare(
        f"DBSCAN of {scene.size}",
        ours,
        "scikit-learn, mask by mask",
        lambda: sklearn_labels(scene.xyz, scene.mask_logits),
        at_least=4,
        bound=f"{len(found.members) / 1e6:.1f} M members, 16 neighbours each",
        rounds=1,
    )


def test_suppression(scene: Scene, compare: Callable[..., None]) -> None:
    found = whole_masks(scene)
    masks = found.masks
    assert (suppressed(found, 0.5).masks == masks[dense_kept(masks)]).all()
    compare(
        f"non-maximum suppression of {scene.size}",
        lambda: suppressed(found, 0.5),
        "matrix product of dense masks",
        lambda: dense_kept(masks),
        at_least=2,
        bound=f"reads {found.members.nbytes / 1e6:.0f} MB",
        rounds=3,
    )


def test_smoothing(scene: Scene, compare: Callable[..., None]) -> None:
    found = whole_masks(scene).on_points(scene.point_to_voxel)
    masks = found.masks
    expected = dense_smoothed(masks, scene.superpoints)
    assert (smoothed(found, scene.superpoints).masks == expected[expected.any(axis=1)]).all()
    compare(
        f"superpoint majority of {len(masks)} masks, {masks.shape[1] // 1000}k points",
        lambda: smoothed(found, scene.superpoints),
        "bincount, mask by mask",
        lambda: dense_smoothed(masks, scene.superpoints),
        at_least=2,
        bound=f"reads and writes {found.members.nbytes / 1e6:.0f} MB",
        rounds=3,
    )


@pytest.mark.parametrize("rule", ["released", "robot"])
def test_everything(scene: Scene, rule: str, compare: Callable[..., None]) -> None:
    inputs = (scene.class_logits, scene.mask_logits, scene.xyz, POSTPROCESS_RULES[rule])
    maps = (scene.point_to_voxel, scene.superpoints)
    assert (postprocess(*inputs[:3], RULE, *maps).masks == dense_postprocess(scene)[0]).all()
    compare(
        f"post-processing, rule {rule}: {scene.size}, {len(scene.superpoints) // 1000}k points",
        lambda: postprocess(*inputs, *maps).masks,
        "released rule on dense masks, our clusters",
        lambda: dense_postprocess(scene),
        at_least=2,
        bound=f"reads {scene.mask_logits.nbytes / 1e6:.0f} MB of logits",
        rounds=3,
    )


def test_after_the_proposals(scene: Scene, compare: Callable[..., None]) -> None:
    robot = POSTPROCESS_RULES["robot"]
    found = propose(scene.class_logits, scene.mask_logits, scene.xyz, robot)
    assert finish(found, robot, scene.point_to_voxel, scene.superpoints).masks.sum(axis=0).max() == 1
    compare(
        f"suppression, assignment and smoothing of {len(found)} proposals",
        lambda: finish(found, robot, scene.point_to_voxel, scene.superpoints),
        "proposing them",
        lambda: propose(scene.class_logits, scene.mask_logits, scene.xyz, robot),
        at_least=1.5,
        bound=f"reads {found.members.nbytes / 1e6:.0f} MB",
        rounds=3,
    )


def test_what_class_scores_rule_out(scene: Scene, compare: Callable[..., None]) -> None:
    """A share of all instances needs all of them: just below 1 nothing is left out early."""
    robot = POSTPROCESS_RULES["robot"]
    of_all = robot.model_copy(update={"keep_fraction": float(np.nextafter(1, 0))})
    rng = np.random.default_rng(0)
    class_logits = rng.normal([-2, 0], 2, (len(scene.mask_logits), 2)).astype(np.float32)
    early, late = (propose(class_logits, scene.mask_logits, scene.xyz, rule) for rule in (robot, of_all))
    assert len(early) > 0
    np.testing.assert_array_equal(early.scores, late.scores)
    compare(
        f"proposals of the rules robot from {len(class_logits)} queries, a third of which may be objects",
        lambda: propose(class_logits, scene.mask_logits, scene.xyz, robot),
        "looking at every query",
        lambda: propose(class_logits, scene.mask_logits, scene.xyz, of_all),
        at_least=1.3,
        bound=f"reads {scene.mask_logits.nbytes / 1e6:.0f} MB of logits",
        rounds=3,
    )
