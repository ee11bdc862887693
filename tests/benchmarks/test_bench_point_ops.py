"""Point operations against the lines of PyTorch that everybody writes, on one thread, as Point-SAM uses them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the point operations need PyTorch")

from seg3d_core.benchmark.plain_points import (  # noqa: E402
    NEAREST_WITHIN,
    farthest_plainly,
    groups_pair,
    nearest_plainly,
)
from seg3d_core.point_ops.interpolation import interpolate, three_nearest  # noqa: E402
from seg3d_core.point_ops.neighbours import nearest  # noqa: E402
from seg3d_core.point_ops.sampling import farthest_points  # noqa: E402

ROOM_M = np.array([3.9, 3.2, 1.7])
CHANNELS = 256
SIZES = pytest.mark.parametrize(("points", "patches"), [(10_000, 512), (100_000, 2048)], indirect=["points"])


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.inference_mode():
        yield
    torch.set_num_threads(threads)


@pytest.fixture
def points(request: pytest.FixtureRequest) -> torch.Tensor:
    """Points on walls, floor and ceiling with 1 mm of noise; 3000 where nothing is timed."""
    count = request.param if request.config.getoption("--bench") else 3_000
    random = np.random.default_rng(0)
    points = random.random((count, 3)) * ROOM_M
    side = random.integers(0, 6, count)
    for axis in range(3):
        points[side == 2 * axis, axis] = 0
        points[side == 2 * axis + 1, axis] = ROOM_M[axis]
    return torch.from_numpy((points + random.normal(scale=0.001, size=points.shape)).astype(np.float32))


@SIZES
def test_farthest_points(points: torch.Tensor, patches: int, compare: Callable[..., None]) -> None:
    assert torch.equal(farthest_points(points, patches), farthest_plainly(points, patches))
    compare(
        f"farthest points, {patches} of {len(points)}",
        lambda: farthest_points(points, patches),
        "loop in PyTorch",
        lambda: farthest_plainly(points, patches),
        at_least=10,
        rounds=5,
    )


@SIZES
def test_farthest_points_against_fpsample(points: torch.Tensor, patches: int, compare: Callable[..., None]) -> None:
    fpsample = pytest.importorskip("fpsample", reason="fpsample is not installed: a peer to measure against")
    array = points.numpy()
    compare(
        f"farthest points, {patches} of {len(points)}",
        lambda: farthest_points(points, patches),
        "fpsample, buckets",
        lambda: fpsample.bucket_fps_kdline_sampling(array, patches, h=7 if patches > 1000 else 5, start_idx=0),
        rounds=5,
    )


@SIZES
@pytest.mark.parametrize(("k", "at_least"), [(64, 5), (256, 4)])
def test_nearest(points: torch.Tensor, patches: int, k: int, at_least: float, compare: Callable[..., None]) -> None:
    centres = points[farthest_points(points, patches)]
    torch.testing.assert_close(
        nearest(points, centres, k)[1], nearest_plainly(points, centres, k)[1], atol=NEAREST_WITHIN, rtol=0
    )
    compare(
        f"{k} nearest of {len(points)}, {len(centres)} queries",
        lambda: nearest(points, centres, k),
        "cdist, topk",
        lambda: nearest_plainly(points, centres, k),
        at_least=at_least,
        rounds=5,
    )


@SIZES
def test_groups(points: torch.Tensor, patches: int, compare: Callable[..., None]) -> None:
    pair = groups_pair(points, patches, 64)
    pair.agree()
    compare(
        pair.name,
        pair.ours,
        pair.peer,
        pair.theirs,
        at_least=10 if patches < 1000 else 20,
        rounds=3,
    )


@SIZES
def test_three_nearest(points: torch.Tensor, patches: int, compare: Callable[..., None]) -> None:
    centres = points[farthest_points(points, patches)]
    compare(
        f"three nearest of {len(centres)}, {len(points)} queries",
        lambda: three_nearest(points, centres),
        "cdist, topk",
        lambda: nearest_plainly(centres, points, 3),
        at_least=1.5,
        rounds=3,
    )


@SIZES
def test_interpolation(points: torch.Tensor, patches: int, compare: Callable[..., None]) -> None:
    centres = points[farthest_points(points, patches)]
    indices, weights = three_nearest(points, centres)
    features = torch.randn(len(centres), CHANNELS)

    def gathered() -> torch.Tensor:
        return (features[indices] * weights[..., None]).sum(dim=1)

    torch.testing.assert_close(interpolate(features, indices, weights), gathered(), atol=1e-5, rtol=1e-5)
    compare(
        f"interpolation to {len(points)} points, {CHANNELS} channels",
        lambda: interpolate(features, indices, weights),
        "index, sum",
        gathered,
        at_least=4,
        bound=f"writes {4e-6 * len(points) * CHANNELS:.0f} MB",
        rounds=5,
    )
