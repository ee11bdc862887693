"""Labelled clouds of messages: what one node writes is what the other reads."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sensor_msgs")

from boxes import boxes_cloud

from seg3d_core.errors import InputError
from seg3d_core.interaction.pinned import PinnedObjects
from seg3d_core.types import Instances
from seg3d_ros.conversions.clouds import cloud_to_message, instances_to_message
from seg3d_ros.conversions.pinned import instances_from_message, pinned_from_message, pinned_to_message

CLOUD, LABELS = boxes_cloud(5, spacing_m=0.05)
# Faces share the points of their edges.
_, ONCE = np.unique(CLOUD.points, axis=0, return_index=True)
CLOUD, LABELS = CLOUD.select(ONCE), LABELS[ONCE]


def pinned() -> PinnedObjects:
    """Two boxes, every third point of each said to lie beside it."""
    part = CLOUD.select(LABELS > 1)
    ids = np.where(LABELS == 2, 50_001, 50_007)[LABELS > 1].astype(np.int32)
    scores = np.where(ids == 50_001, 0.25, 0.75).astype(np.float32)
    return PinnedObjects(part, ids, np.arange(len(part)) % 3 > 0, scores)


def test_pinned_objects_there_and_back() -> None:
    before = pinned()
    message = pinned_to_message(before)
    after = pinned_from_message(message)
    assert (after.cloud.frame_id, after.cloud.stamp_ns) == ("map", 5)
    np.testing.assert_array_equal(after.cloud.points, before.cloud.points)
    for name in ("object_ids", "is_inside", "scores"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    shown = instances_from_message(message)
    assert shown.instance_ids.tolist() == [50_001, 50_007]
    np.testing.assert_array_equal(shown.masks[0], (before.object_ids == 50_001) & before.is_inside)


def test_no_pinned_objects() -> None:
    none = PinnedObjects.of([], "map", 3)
    message = pinned_to_message(none)
    assert (message.header.frame_id, message.width) == ("map", 0)
    after = pinned_from_message(message)
    assert len(after.cloud) == 0
    assert len(after.on(CLOUD, 0.05)) == 0
    assert len(instances_from_message(message)) == 0


def test_instances_of_a_result_there_and_back() -> None:
    masks = np.stack([LABELS == 2, LABELS == 1])
    before = Instances(CLOUD, masks, np.float32([0.5, 0.25]), np.int32([3, 8]))
    after = instances_from_message(instances_to_message(before))
    np.testing.assert_array_equal(after.masks, before.masks)
    assert (after.instance_ids.tolist(), after.scores.tolist()) == ([3, 8], [0.5, 0.25])


def test_objects_on_another_cloud_end_where_they_ended() -> None:
    accepted = pinned()
    whole = PinnedObjects(accepted.cloud, accepted.object_ids, np.ones(len(accepted.cloud), bool), accepted.scores)
    here = whole.on(CLOUD, 0.01)
    np.testing.assert_array_equal(here.masks, np.stack([LABELS == 2, LABELS == 3]))
    # Points that lie beside an object are not of it, however near.
    fewer = accepted.on(CLOUD, 0.04)
    np.testing.assert_array_equal(fewer.masks.any(axis=0)[LABELS > 1], accepted.is_inside)
    assert fewer.scores.tolist() == [0.25, 0.75]


def test_refused() -> None:
    with pytest.raises(InputError, match="cloud has no field 'instance_id'; its fields are x, y, z, rgb"):
        pinned_from_message(cloud_to_message(CLOUD))
    other = boxes_cloud(5, "odom", 0.1)[0]
    with pytest.raises(InputError, match="the cloud is in frame 'odom', accepted objects in 'map'"):
        pinned().on(other, 0.05)
    accepted = pinned()
    with pytest.raises(InputError, match="ids of accepted objects must be positive, the least is 0"):
        PinnedObjects(accepted.cloud, accepted.object_ids * 0, accepted.is_inside, accepted.scores)
    with pytest.raises(InputError, match="points but 1 rows of object_ids"):
        PinnedObjects(accepted.cloud, accepted.object_ids[:1], accepted.is_inside[:1], accepted.scores[:1])
