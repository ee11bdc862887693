"""Benchmarks compare two ways of doing one thing in one run: ``./run bench`` (``pytest tests/benchmarks --bench``).

Without ``--bench`` every benchmark runs once and asserts only that it works, so that it cannot rot.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
import pytest

from seg3d_core.benchmark.by_turns import Comparison, by_turns, table
from seg3d_core.geometry.voxels import voxelize

VOXEL_SIZE_M = 0.02


_RESULTS: list[Comparison] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not config.getoption("--bench") or not _RESULTS:
        return
    terminalreporter.section("benchmarks (median, alternating runs)")
    for line in table(_RESULTS).splitlines():
        terminalreporter.write_line(line)


@pytest.fixture
def compare(request: pytest.FixtureRequest) -> Callable[..., None]:
    """``compare(name, ours, peer_name, peer, at_least=20, bound="reads 9.8 MB")``: time both by turns.

    ``at_least`` is the smallest allowed ratio peer time / our time; checked only with ``--bench``. ``clock`` says what
    is counted, in seconds: the time that passes, or that of the processor.
    """
    measuring: bool = request.config.getoption("--bench")

    def run(
        name: str,
        ours: Callable[[], object],
        peer_name: str,
        peer: Callable[[], object],
        *,
        at_least: float | None = None,
        bound: str = "",
        rounds: int = 15,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        ours(), peer()
        if not measuring:
            return
        ours_ms, peer_ms = by_turns(ours, peer, rounds, clock)
        result = Comparison(name, ours_ms, peer_name, peer_ms, bound)
        _RESULTS.append(result)
        if at_least is not None:
            assert result.ratio >= at_least, f"{name}: {result.ratio:.2f} x {peer_name}, wanted at least {at_least}"

    return run


@pytest.fixture(scope="session")
def room_voxels() -> Callable[[int], np.ndarray]:
    """``room_voxels(count)``: sorted voxels (batch 0, x, y, z) of walls, floor and boxes.

    They are turned against the axes, with 1 mm of noise; about 16 of the 27 places of a kernel are occupied.
    """

    def make(count: int) -> np.ndarray:
        random = np.random.default_rng(3)
        edges_m = math.sqrt(count / 50_000) * np.array([[2.6, 2.2, 1.2]] + [[0.7, 0.5, 0.6]] * 6)
        corners_m = random.uniform(0, 1, (7, 3)) * (edges_m[0] - edges_m) * [1, 1, 0]
        sides = [_sides(corner, edge, random) for corner, edge in zip(corners_m, edges_m, strict=True)]
        cos, sin = math.cos(0.37), math.sin(0.37)
        points = np.concatenate(sides) @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
        points += random.normal(scale=0.001, size=points.shape)
        coordinates = voxelize(points.astype(np.float32), VOXEL_SIZE_M).coordinates
        return np.pad(coordinates[np.lexsort(coordinates.T[::-1])][:count], ((0, 0), (1, 0)))

    return make


def _sides(corner: np.ndarray, edge: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Points on the sides of a box, 20 to a voxel."""
    points = []
    for axis in range(3):
        count = int(20 * np.delete(edge, axis).prod() / VOXEL_SIZE_M**2)
        for side in (0, 1):
            on_side = random.uniform(0, 1, (count, 3))
            on_side[:, axis] = side
            points.append(corner + on_side * edge)
    return np.concatenate(points)
