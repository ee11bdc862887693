"""Ids of instances over time: worked examples, and what must never change them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_association import PlainTracker

from seg3d_core.config import TrackingConfig
from seg3d_core.errors import InputError
from seg3d_core.tracking.association import IdTracker
from seg3d_core.tracking.voxel_sets_kernels import merge_disjoint, voxels_of_labels, voxels_of_masks
from seg3d_core.types import Cloud, Instances

VOXEL = TrackingConfig().voxel_size_m


def slab(x: float, length: float, z: float = 0.0) -> np.ndarray:
    """Points on a 2 cm grid, ``length`` m long from ``x``, 0.3 m wide."""
    i, j = np.meshgrid(np.arange(round(length / 0.02)), np.arange(15), indexing="ij")
    return np.stack([x + i * 0.02, j * 0.02, np.full(i.shape, z)], -1).reshape(-1, 3).astype(np.float32)


def scene(*parts: np.ndarray, frame_id: str = "map") -> Instances:
    """One instance per part."""
    labels = np.repeat(np.arange(len(parts), dtype=np.int32), [len(part) for part in parts])
    return Instances.from_labels(Cloud(np.concatenate(parts), frame_id=frame_id), labels)


def ids(instances: Instances) -> list[int]:
    return instances.instance_ids.tolist()


def test_new_ids_count_up_from_the_best_score() -> None:
    cloud = Cloud(np.concatenate([slab(0, 0.3), slab(1, 0.4), slab(2, 0.5)]), frame_id="map")
    labels = np.repeat(np.arange(3, dtype=np.int32), [225, 300, 375])
    found = Instances.from_labels(cloud, labels, np.array([0.2, 0.9, 0.2], np.float32))
    assert ids(IdTracker(TrackingConfig()).update(found)) == [3, 1, 2]


def test_ids_follow_the_objects_when_the_order_changes() -> None:
    tracker = IdTracker(TrackingConfig())
    a, b, c = slab(0, 0.6), slab(1, 0.5), slab(2, 0.4)
    assert ids(tracker.update(scene(a, b, c))) == [1, 2, 3]
    assert ids(tracker.update(scene(c, a, b))) == [3, 1, 2]


def test_growth_of_the_map_keeps_ids() -> None:
    tracker = IdTracker(TrackingConfig())
    tracker.update(scene(slab(0, 0.4), slab(0, 0.6, z=1)))
    grown = tracker.update(scene(slab(0, 4.0), slab(0, 0.6, z=1), slab(-3, 2)))
    assert ids(grown) == [2, 1, 3]


def test_out_of_view_is_not_gone() -> None:
    tracker = IdTracker(TrackingConfig(patience=2))
    tracker.update(scene(slab(0, 0.6), slab(2, 0.5)))
    for _ in range(5):
        assert ids(tracker.update(scene(slab(2, 0.5)))) == [2]
    assert ids(tracker.update(scene(slab(0, 0.6), slab(2, 0.5)))) == [1, 2]


def test_an_id_looked_for_in_vain_is_retired_and_not_given_again() -> None:
    tracker = IdTracker(TrackingConfig(patience=3))
    both = scene(slab(0, 0.6), slab(2, 0.5))
    only_one = Instances.from_labels(both.cloud, np.where(both.labels == 0, 0, -1).astype(np.int32))
    tracker.update(both)
    for _ in range(2):
        assert ids(tracker.update(only_one)) == [1]
    assert ids(tracker.update(both)) == [1, 2], "remembered through two results without it"
    for _ in range(3):
        tracker.update(only_one)
    assert ids(tracker.update(both)) == [1, 3]


def test_the_larger_part_of_a_split_keeps_the_id() -> None:
    tracker = IdTracker(TrackingConfig())
    tracker.update(scene(slab(0, 1.0)))
    assert ids(tracker.update(scene(slab(0, 0.3), slab(0.3, 0.7)))) == [2, 1]


def test_the_larger_id_wins_a_merge_and_the_older_of_equals() -> None:
    tracker = IdTracker(TrackingConfig())
    tracker.update(scene(slab(0, 0.3), slab(0.3, 0.7)))
    assert ids(tracker.update(scene(slab(0, 1.0)))) == [1], "the larger got id 1 when both were new"
    tracker = IdTracker(TrackingConfig())
    tracker.update(scene(slab(0.5, 0.5)))
    tracker.update(scene(slab(0, 0.5), slab(0.5, 0.5)))
    assert ids(tracker.update(scene(slab(0, 1.0)))) == [1]


def test_a_voxel_at_the_edge_of_the_view_does_not_hand_over_an_id() -> None:
    tracker = IdTracker(TrackingConfig())
    tracker.update(scene(slab(0, 1.0)))
    assert ids(tracker.update(scene(slab(0.98, 1.0)))) == [2]


def test_another_frame_and_reset_start_afresh_without_reusing_ids() -> None:
    tracker = IdTracker(TrackingConfig())
    part = slab(0, 0.6)
    assert ids(tracker.update(scene(part))) == [1]
    assert ids(tracker.update(scene(part, frame_id="odom"))) == [2]
    tracker.reset()
    assert ids(tracker.update(scene(part, frame_id="odom"))) == [3]


def test_empty_results_are_results() -> None:
    tracker = IdTracker(TrackingConfig())
    tracker.update(scene(slab(0, 0.6)))
    nothing = Instances.from_labels(Cloud(np.zeros((0, 3), np.float32), frame_id="map"), np.zeros(0, np.int32))
    assert ids(tracker.update(nothing)) == []
    assert ids(tracker.update(scene(slab(0, 0.6)))) == [1]


def test_an_instance_without_points_is_not_remembered() -> None:
    tracker = IdTracker(TrackingConfig())
    part = slab(0, 0.6)
    masks = np.stack([np.ones(len(part), bool), np.zeros(len(part), bool)])
    nothing = Instances(Cloud(part, frame_id="map"), masks, np.ones(2, np.float32), np.array([1, 2], np.int32))
    assert [ids(tracker.update(nothing)) for _ in range(3)] == [[1, 2], [1, 3], [1, 4]]


def test_points_out_of_reach_are_refused_and_change_nothing() -> None:
    tracker = IdTracker(TrackingConfig())
    tracker.update(scene(slab(0, 0.6)))
    with pytest.raises(InputError, match=r"beyond 52428\.8 m"):
        tracker.update(scene(slab(0, 0.6), np.array([[1e6, 0, 0]], np.float32)))
    assert ids(tracker.update(scene(slab(0, 0.6)))) == [1]


@st.composite
def rooms(draw: st.DrawFn) -> list[np.ndarray]:
    """Separate slabs of different lengths on a line."""
    lengths = draw(st.lists(st.integers(10, 40), min_size=1, max_size=6))
    starts = np.cumsum([0, *lengths[:-1]]) * 0.02 + 0.2 * np.arange(len(lengths))
    return [slab(x, length * 0.02) for x, length in zip(starts.tolist(), lengths, strict=True)]


@settings(max_examples=25, deadline=None)
@given(rooms(), st.integers(0, 2**32 - 1))
def test_permuting_instances_and_points_permutes_ids(parts: list[np.ndarray], seed: int) -> None:
    rng = np.random.default_rng(seed)
    plain, shuffled = IdTracker(TrackingConfig()), IdTracker(TrackingConfig())
    for _ in range(2):
        jittered = [part + rng.uniform(-0.01, 0.01, part.shape).astype(np.float32) for part in parts]
        expected = plain.update(scene(*jittered))
        order = rng.permutation(len(parts))
        found = shuffled.update(scene(*[rng.permutation(jittered[q]) for q in order]))
        assert ids(found) == expected.instance_ids[order].tolist()


@settings(max_examples=25, deadline=None)
@given(rooms(), st.integers(0, 2**32 - 1))
def test_noise_of_half_a_voxel_keeps_all_ids(parts: list[np.ndarray], seed: int) -> None:
    rng = np.random.default_rng(seed)
    tracker = IdTracker(TrackingConfig())
    first = ids(tracker.update(scene(*parts)))
    for _ in range(4):
        noisy = [part + rng.uniform(-VOXEL / 2, VOXEL / 2, part.shape).astype(np.float32) for part in parts]
        assert ids(tracker.update(scene(*noisy))) == first


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=5, unique=True), min_size=1, max_size=8))
def test_an_id_names_one_object_for_ever(visible: list[list[int]]) -> None:
    """Six places, of which each result sees some: no id ever moves to another place, none comes back anew."""
    tracker = IdTracker(TrackingConfig())
    place_of: dict[int, int] = {}
    for places in visible:
        found = tracker.update(scene(*[slab(3.0 * place, 0.5) for place in places]))
        for place, instance_id in zip(places, ids(found), strict=True):
            assert place_of.setdefault(instance_id, place) == place
    assert len(place_of) == len(set(place_of.values()))


def random_results(rng: np.random.Generator, overlapping: bool) -> list[Instances]:
    """Results on parts of one cloud, with objects that grow, go and come again."""
    points = rng.uniform(0, 1, (400, 3)).astype(np.float32)
    owner = (points * [3, 2, 1]).astype(int) @ [2, 1, 0]
    results = []
    for _ in range(6):
        rows = np.flatnonzero(points[:, 0] < rng.uniform(0.3, 1.2))
        labels = np.where(rng.random(len(rows)) < 0.9, owner[rows] * rng.integers(1, 3) // 2, -1).astype(np.int32)
        labels = np.where(labels == rng.integers(0, 6), -1, labels)
        dense = np.where(labels < 0, -1, np.unique(labels, return_inverse=True)[1] - (labels.min(initial=0) < 0))
        found = Instances.from_labels(Cloud(points[rows], frame_id="map"), dense.astype(np.int32))
        scores = rng.random(len(found)).round(1).astype(np.float32)
        masks = found.masks | (rng.random(found.masks.shape) < 0.02) if overlapping else found.masks
        made = Instances(found.cloud, masks, scores, found.instance_ids)
        results.append(made if overlapping else Instances.from_labels(found.cloud, found.labels, scores))
    return results


@settings(max_examples=40, deadline=None)
@given(st.booleans(), st.integers(0, 2**32 - 1))
def test_ids_are_those_of_the_plain_version(overlapping: bool, seed: int) -> None:
    config = TrackingConfig(voxel_size_m=0.08, patience=2)
    ours, plain = IdTracker(config), PlainTracker(config)
    for result in random_results(np.random.default_rng(seed), overlapping):
        assert (result.partition is None) == overlapping
        assert ids(ours.update(result)) == ids(plain.update(result))


@given(st.integers(1, 200), st.integers(0, 9), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_voxels_of_labels_and_masks_are_those_that_their_points_lie_in(
    count: int, instances: int, voxels: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    point_to_voxel = np.unique(rng.integers(0, voxels, count), return_inverse=True)[1].astype(np.int32)
    labels = rng.integers(-1, instances, count).astype(np.int32)
    order = np.argsort(point_to_voxel, kind="stable").astype(np.int32)
    starts = np.append(np.unique(point_to_voxel[order], return_index=True)[1], count)
    expected = [np.unique(point_to_voxel[labels == label]).tolist() for label in range(instances)]
    masks = labels == np.arange(instances)[:, None]
    for found, begins in (
        voxels_of_labels(labels, instances, order, starts),
        voxels_of_masks(masks, point_to_voxel, len(starts) - 1),
    ):
        assert [part.tolist() for part in np.split(found, begins[1:-1])][:instances] == expected


@given(st.sets(st.integers(0, 99)), st.sets(st.integers(0, 99)))
def test_disjoint_sets_are_merged(a: set[int], b: set[int]) -> None:
    parts = (np.array(sorted(part), np.int64) for part in (a, b - a))
    assert merge_disjoint(*parts).tolist() == sorted(a | b)
