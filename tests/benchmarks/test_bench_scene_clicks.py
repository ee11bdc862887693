"""A click in a map of two million points against the same click on its surroundings alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from seg3d_core.benchmark.by_turns import Pair  # noqa: E402
from seg3d_core.benchmark.large_map import MapPairs, floor_with_boxes  # noqa: E402
from seg3d_core.point_sam.predictor import PointSam  # noqa: E402
from seg3d_core.point_sam_config import PointSamSettings  # noqa: E402

POINTS = 2_000_000


@pytest.fixture(scope="module")
def pairs() -> MapPairs:
    return MapPairs(PointSam.from_preset("nano", PointSamSettings.build({"device": "cpu"})), floor_with_boxes(POINTS))


@pytest.mark.parametrize("pair_of", [MapPairs.first_click, MapPairs.later_click], ids=["first", "later"])
def test_click_in_a_map(pair_of: Callable[[MapPairs], Pair], pairs: MapPairs, compare: Callable[..., None]) -> None:
    pair = pair_of(pairs)
    pair.agree()
    compare(pair.name, pair.ours, pair.peer, pair.theirs, at_least=0.5, rounds=7)
