"""Two who give ids never give the same one."""

from __future__ import annotations

import numpy as np
import pytest

from seg3d_core.config import TrackingConfig
from seg3d_core.errors import InputError
from seg3d_core.tracking import association
from seg3d_core.tracking.association import IdTracker
from seg3d_core.tracking.ids import ACCEPTED_IDS, next_accepted_id, next_tracked_id
from seg3d_core.types import Cloud, Instances


def test_tracked_ids_step_over_those_of_accepted_instances() -> None:
    assert [next_tracked_id(after) for after in (0, 1, 49_999)] == [1, 2, 50_000]
    assert next_tracked_id(50_000) == 60_001
    assert next_tracked_id(60_001) == 60_002


def test_accepted_ids_count_up_within_16_bits() -> None:
    assert [next_accepted_id(after) for after in (0, 50_001, 59_999)] == [50_001, 50_002, 60_000]
    assert ACCEPTED_IDS.stop <= 2**16
    with pytest.raises(InputError, match=r"all 10000 ids of accepted instances, 50001 to 60000, have been given"):
        next_accepted_id(60_000)


def test_the_tracker_steps_over_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(association, "next_tracked_id", lambda after: next_tracked_id(max(after, 49_998)))
    i, j = np.meshgrid(np.arange(20), np.arange(20), indexing="ij")
    patch = np.stack([0.02 * i, 0.02 * j, 0 * i], -1).reshape(-1, 3)
    points = np.concatenate([patch + np.array([x, 0, 0]) for x in (0, 2, 4)]).astype(np.float32)
    found = Instances.from_labels(Cloud(points), np.repeat(np.arange(3, dtype=np.int32), len(patch)))
    assert IdTracker(TrackingConfig()).update(found).instance_ids.tolist() == [49_999, 50_000, 60_001]
