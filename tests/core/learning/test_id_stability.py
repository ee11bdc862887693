from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from seg3d_core.errors import InputError
from seg3d_core.learning.id_stability import id_changes, id_switches
from seg3d_core.types import Cloud, Instances

TRUTH = np.repeat(np.array([7, 9, 0], np.int32), [40, 30, 10])


def result(*ids: int) -> Instances:
    """Instances exactly on the two objects, a metre apart, under the given ids."""
    rng = np.random.default_rng(0)
    points = rng.random((80, 3)).astype(np.float32)
    points[40:, 0] += 2
    labels = np.where(TRUTH == 7, 0, np.where(TRUTH == 9, 1, -1)).astype(np.int32)
    return replace(Instances.from_labels(Cloud(points), labels), instance_ids=np.array(ids, np.int32))


def test_ids_that_stay_never_switch() -> None:
    steady = [result(3, 4)] * 4
    assert id_switches(steady, [TRUTH] * 4).switches_per_object == 0
    assert id_changes(steady).switches_per_object == 0


def test_every_change_of_an_object_counts_once() -> None:
    sequence = [result(3, 4), result(3, 5), result(3, 4), result(4, 3)]
    stability = id_switches(sequence, [TRUTH] * 4)
    assert (stability.switches, stability.objects, stability.switches_per_object) == (4, 2, 2.0)
    changes = id_changes(sequence)
    assert (changes.switches, changes.objects) == (4, 6)


def test_an_object_that_is_missed_in_between_keeps_its_last_id() -> None:
    empty = Instances.from_labels(result(3, 4).cloud, np.full(80, -1, np.int32))
    assert id_switches([result(3, 4), empty, result(3, 4)], [TRUTH] * 3).switches == 0
    assert id_changes([result(3, 4), empty]).objects == 0


def test_sequences_that_disagree_are_refused() -> None:
    with pytest.raises(InputError, match="1 results but 2 ground truths"):
        id_switches([result(1, 2)], [TRUTH, TRUTH])
    with pytest.raises(InputError, match="ground truth of 5 points for a cloud of 80"):
        id_switches([result(1, 2)], [TRUTH[:5]])
