from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seg3d_core.config import SegmentConfig
from seg3d_core.filling import FilledSegmenter, filled
from seg3d_core.segmenter import make_segmenter
from seg3d_core.types import Cloud, Instances

CLOUD = Cloud(np.zeros((10, 3), np.float32))


def instances(labels: list[int], scores: list[float]) -> Instances:
    return Instances.from_labels(CLOUD, np.int32(labels), np.float32(scores))


def test_what_is_at_least_half_free_fills_the_gaps_below_all_that_was_there() -> None:
    first = instances([0, 0, 0, 1, 1, -1, -1, -1, -1, -1], [0.8, 0.4])
    other = instances([3, 2, 2, 2, 1, 1, -1, 0, 0, 0], [0.9, 0.5, 0.7, 0.6])
    both = filled(first, other)
    np.testing.assert_array_equal(both.labels, [0, 0, 0, 1, 1, 3, -1, 2, 2, 2])
    np.testing.assert_allclose(both.scores, [0.8, 0.4, 0.4 * 0.9, 0.4 * 0.5])
    np.testing.assert_array_equal(both.instance_ids, [1, 2, 3, 4])


def test_nothing_found_leaves_all_to_the_other() -> None:
    other = instances([0, 0, 1, 1, 1, -1, -1, -1, -1, -1], [0.9, 0.5])
    both = filled(instances([-1] * 10, []), other)
    np.testing.assert_array_equal(both.labels, other.labels)
    np.testing.assert_array_equal(both.scores, other.scores)


def test_nothing_found_by_the_other_adds_nothing() -> None:
    first = instances([0, 0, 1, 1, 1, -1, -1, -1, -1, -1], [0.9, 0.5])
    assert filled(first, instances([-1] * 10, [])) is first


def test_masks_that_overlap_stay_as_they_are() -> None:
    masks = np.zeros((2, 10), bool)
    masks[0, :4] = masks[1, 2:6] = True
    first = Instances(CLOUD, masks, np.float32([0.8, 0.6]), np.int32([1, 2]), "short of memory")
    both = filled(first, instances([-1] * 7 + [0] * 3, [1.0]))
    np.testing.assert_array_equal(both.masks[:2], masks)
    np.testing.assert_array_equal(np.flatnonzero(both.masks[2]), [7, 8, 9])
    assert both.degraded == "short of memory"


@dataclass
class Fixed:
    found: Instances

    def segment(self, cloud: Cloud) -> Instances:
        return self.found


def test_both_segment_the_cloud() -> None:
    first, second = Fixed(instances([0] * 5 + [-1] * 5, [0.5])), Fixed(instances([0] * 10, [1.0]))
    filler = FilledSegmenter(first, second)
    assert len(filler.segment(CLOUD)) == 2
    assert filler.device is None


def test_weights_of_the_package_are_filled_unless_told_otherwise() -> None:
    assert isinstance(make_segmenter(SegmentConfig.build({"model": "nano"})), FilledSegmenter)
    raw = {"model": "nano", "segment3d": {"postprocess": "raw"}}
    for settings in (raw, {"model": "nano", "segment3d": {"fill": "off"}}, {"model": "small"}):
        assert not isinstance(make_segmenter(SegmentConfig.build(settings)), FilledSegmenter)
    asked = {"model": "small", "segment3d": {"fill": "graph"}}
    assert isinstance(make_segmenter(SegmentConfig.build(asked)), FilledSegmenter)
