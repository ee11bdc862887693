"""Memory of a segmentation, in a process of its own."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from seg3d_core.errors import InputError
from seg3d_core.evaluation.peak_memory import peak_bytes
from seg3d_core.evaluation_config import EvaluationConfig
from seg3d_core.resident_memory import peak_resident_bytes
from seg3d_core.types import Cloud


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_growth_is_seen_even_when_it_is_given_back() -> None:
    def work() -> int:
        return int(np.ones(40_000_000, np.uint8).sum())

    peak = peak_resident_bytes(work)
    assert peak is None or 35e6 < peak < 60e6


def test_a_model_is_measured_in_another_process() -> None:
    points = np.random.default_rng(0).random((200_000, 3)) * (2, 2, 0)
    config = EvaluationConfig.build({"graph": {"voxel_size_m": 0.01}})
    peak = peak_bytes(config, Cloud(points.astype(np.float32)), None)
    # At least some arrays of the 40,000 samples, not a gigabyte.
    assert peak is None or 2e6 < peak < 1e9


def test_what_the_model_refuses_is_said_here() -> None:
    with pytest.raises(InputError, match="needs at least"):
        peak_bytes(EvaluationConfig.build({}), Cloud(np.zeros((3, 3), np.float32)), None)
