"""The backbone on the default engine against MinkowskiEngine, kernel maps included, where that is installed.

Both run the very same layers with normalisations folded in, in float32, on voxels that neither has seen before. The
libraries that MinkowskiEngine multiplies with are held to the same number of threads as PyTorch.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the sparse engine needs PyTorch")
threadpoolctl = pytest.importorskip("threadpoolctl", reason="threadpoolctl is not installed")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # a CPU build says so at every import
    pytest.importorskip("MinkowskiEngine", reason="MinkowskiEngine is not installed (it has no wheels)")

from seg3d_core.geometry.voxels import voxelize  # noqa: E402
from seg3d_core.segment3d.backbone import Res16UNet34C  # noqa: E402
from seg3d_core.segment3d.inference import FoldedBackbone  # noqa: E402
from seg3d_core.segment3d_config import SEGMENT3D_PRESETS  # noqa: E402
from seg3d_core.sparse.engines.choice import choose_engine  # noqa: E402
from seg3d_core.sparse.tensor import SparseTensor  # noqa: E402

VOXEL_SIZE_M = 0.02
CPU = torch.device("cpu")


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    with threadpoolctl.threadpool_limits(request.param), torch.inference_mode():
        yield request.param
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def backbones() -> dict[str, FoldedBackbone]:
    torch.manual_seed(0)
    backbone = Res16UNet34C(SEGMENT3D_PRESETS["base"]).eval()
    return {name: FoldedBackbone(backbone, choose_engine(name, CPU), torch.float32) for name in ("torch", "minkowski")}


def room(count: int) -> torch.Tensor:
    """Sorted voxels of walls, floor and boxes, turned against the axes, with 1 mm of noise."""
    random = np.random.default_rng(3)
    edges_m = math.sqrt(count / 50_000) * np.array([[2.6, 2.2, 1.2]] + [[0.7, 0.5, 0.6]] * 6)
    corners_m = random.uniform(0, 1, (7, 3)) * (edges_m[0] - edges_m) * [1, 1, 0]
    sides = [_sides(corner, edge, random) for corner, edge in zip(corners_m, edges_m, strict=True)]
    cos, sin = math.cos(0.37), math.sin(0.37)
    points = np.concatenate(sides) @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    points += random.normal(scale=0.001, size=points.shape)
    coordinates = voxelize(points.astype(np.float32), VOXEL_SIZE_M).coordinates
    coordinates = coordinates[np.lexsort(coordinates.T[::-1])][:count]
    return torch.from_numpy(np.pad(coordinates, ((0, 0), (1, 0))))


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


@pytest.mark.parametrize("count", [50_000, 150_000])
def test_whole_backbone(
    backbones: dict[str, FoldedBackbone],
    compare: Callable[..., None],
    request: pytest.FixtureRequest,
    count: int,
    threads: int,
) -> None:
    voxels = room(count if request.config.getoption("--bench") else count // 50)
    features = torch.randn(len(voxels), 3, generator=torch.Generator().manual_seed(0))

    def run(name: str) -> torch.Tensor:
        return backbones[name](SparseTensor.from_coordinates(voxels, features))[-1].features

    ours, theirs = run("torch"), run("minkowski")
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3 * float(theirs.abs().max()))
    compare(
        f"Res16UNet34C, {len(voxels)} voxels, maps included, {threads} thread(s), {'CPU' if threads == 1 else 'wall'}",
        lambda: run("torch"),
        "MinkowskiEngine",
        lambda: run("minkowski"),
        at_least=2.3,
        bound="the same layers, folded",
        rounds=3,
        clock=time.process_time if threads == 1 else time.perf_counter,
    )
