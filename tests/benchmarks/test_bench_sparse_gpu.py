"""Sparse convolution on CUDA: the Triton engine in float16 against gathering, multiplying and adding up by PyTorch.

``./run bench`` prints beside each time what was computed and moved per second, and what share that is of what this
GPU reaches in one large product and one large copy. Bytes are the least that have to move: every input, weight and
residual read once, every result written once.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the sparse engine needs PyTorch")

from seg3d_core.benchmark.rooms import room_cloud  # noqa: E402
from seg3d_core.geometry.voxels import voxelize  # noqa: E402
from seg3d_core.segment3d.backbone import Res16UNet34C  # noqa: E402
from seg3d_core.segment3d.inference import FoldedBackbone  # noqa: E402
from seg3d_core.segment3d_config import Segment3DConfig  # noqa: E402
from seg3d_core.sparse.coordinates import CoordinateMaps  # noqa: E402
from seg3d_core.sparse.engines.choice import choose_engine  # noqa: E402
from seg3d_core.sparse.engines.interface import Engine, FusedConvolution, PreparesMaps, Step  # noqa: E402
from seg3d_core.sparse.engines.torch_engine import stride_after  # noqa: E402
from seg3d_core.sparse.engines.triton_maps import tiles_of  # noqa: E402
from seg3d_core.sparse.tensor import SparseTensor  # noqa: E402

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

DEVICE = torch.device("cuda")
VOXEL_SIZE_M = 0.02
STRIDES = (1, 2, 4, 8, 16)


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    pytest.importorskip("triton", reason="Triton is not installed")
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def voxels(request: pytest.FixtureRequest) -> torch.Tensor:
    """Sorted voxels of a room: 150,000, or 2,000."""
    count = 150_000 if request.config.getoption("--bench") else 2_000
    coordinates = voxelize(room_cloud(count, VOXEL_SIZE_M).points, VOXEL_SIZE_M).coordinates
    coordinates = coordinates[np.lexsort(coordinates.T[::-1])]
    return torch.from_numpy(np.pad(coordinates, ((0, 0), (1, 0)))).to(DEVICE)


@dataclass
class Ledger:
    """What the layers of an engine compute and move; wraps the engine.

    Attributes:
        useful: floating-point operations on pairs that exist.
        done: those of the tiles, zeros that stand in for missing neighbours included.
        bytes: least traffic of all layers.
    """

    engine: Engine
    useful: float = 0
    done: float = 0
    bytes: float = 0
    name: str = field(default="ledger", init=False)

    def convolution(
        self, kernel: torch.Tensor, bias: torch.Tensor | None, step: Step, relu: bool = False
    ) -> FusedConvolution:
        layer = self.engine.convolution(kernel, bias, step, relu)

        def run(x: SparseTensor, residual: torch.Tensor | None = None) -> SparseTensor:
            y = layer(x, residual)
            tiles = tiles_of(x.maps, x.stride, step, torch.cuda.get_device_properties(DEVICE).multi_processor_count)
            operations = 2 * kernel.shape[-2] * kernel.shape[-1]
            self.useful += operations * int((tiles.input_rows >= 0).sum())
            self.done += operations * int(tiles.kernel_row_counts.sum()) * tiles.shape[1]
            moved = [x.features, kernel, y.features, *([] if residual is None else [residual])]
            self.bytes += sum(tensor.numel() * tensor.element_size() for tensor in moved)
            return y

        return run


@cache
def peak_tflops() -> float:
    """What a large float16 product reaches, the best of ten."""
    matrix = torch.randn(8192, 8192, device=DEVICE).half()
    return 2 * 8192**3 / best_s(lambda: matrix @ matrix) / 1e12


@cache
def peak_gb_per_s() -> float:
    """What a copy of 1 GiB moves, reads and writes counted."""
    source = torch.empty(2**30, dtype=torch.uint8, device=DEVICE)
    target = torch.empty_like(source)
    return 2 * 2**30 / best_s(lambda: target.copy_(source)) / 1e9


def best_s(run: Callable[[], object]) -> float:
    return min(times_s(run, 10))


def times_s(run: Callable[[], object], rounds: int) -> list[float]:
    """Seconds on the GPU, without the first run."""
    run()
    times = []
    for _ in range(rounds):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) / 1e3)
    return times


def roofline(ledger: Ledger, run: Callable[[], object]) -> str:
    """Achieved rates as shares of what this GPU reaches."""
    seconds = statistics.median(times_s(run, 20))
    tflops, gb_per_s = ledger.useful / seconds / 1e12, ledger.bytes / seconds / 1e9
    least_ms = 1e3 * max(ledger.useful / peak_tflops() / 1e12, ledger.bytes / peak_gb_per_s() / 1e9)
    return (
        f"{ledger.useful / 1e9:.1f} GFLOP (x {ledger.done / ledger.useful:.2f} in tiles), {ledger.bytes / 1e6:.0f} MB; "
        f"{tflops:.1f} TFLOP/s = {100 * tflops / peak_tflops():.0f} % of {peak_tflops():.0f}, {gb_per_s:.0f} GB/s = "
        f"{100 * gb_per_s / peak_gb_per_s():.0f} % of {peak_gb_per_s():.0f}; roofline {least_ms:.3f} ms"
    )


def finished(run: Callable[[], object]) -> Callable[[], None]:
    """``run`` until the GPU has done it."""

    def wait() -> None:
        run()
        torch.cuda.synchronize()

    return wait


def features(voxels: torch.Tensor, channels: int) -> torch.Tensor:
    generator = torch.Generator(DEVICE).manual_seed(0)
    return torch.randn(len(voxels), channels, device=DEVICE, generator=generator).half()


def assert_close(ours: torch.Tensor, theirs: torch.Tensor, tolerance: float) -> None:
    """Relative to the largest value: both round to float16 in their own way."""
    assert (ours.float() - theirs.float()).abs().max() <= tolerance * theirs.float().abs().max()


@pytest.mark.parametrize(
    ("channels", "out_channels", "size", "at_least"),
    [(3, 32, 5, 2.5), (32, 32, 3, 2.5), (96, 96, 3, 2.5), (128, 96, 3, 2.5), (96, 96, 1, None)],
)
def test_one_convolution(
    voxels: torch.Tensor,
    compare: Callable[..., None],
    channels: int,
    out_channels: int,
    size: int,
    at_least: float | None,
) -> None:
    x = SparseTensor.from_coordinates(voxels, features(voxels, channels))
    shape = (channels, out_channels) if size == 1 else (size**3, channels, out_channels)
    kernel = torch.randn(shape, device=DEVICE).mul(channels**-0.5 / 4).half()
    bias = torch.zeros(out_channels, device=DEVICE).half()
    ledger = Ledger(choose_engine("triton", DEVICE))
    counted = ledger.convolution(kernel, bias, Step(size), True)
    ours = ledger.engine.convolution(kernel, bias, Step(size), True)
    theirs = choose_engine("torch", DEVICE).convolution(kernel, bias, Step(size), True)
    assert_close(counted(x).features, theirs(x).features, 1e-2)
    compare(
        f"convolution {size}, {channels} to {out_channels}, {len(voxels)} voxels, float16, maps made",
        finished(lambda: ours(x)),
        "gather, mm, index_add",
        finished(lambda: theirs(x)),
        at_least=at_least,
        bound=roofline(ledger, lambda: ours(x)),
    )


def backbone(engine: Engine, dtype: torch.dtype = torch.float16) -> FoldedBackbone:
    torch.manual_seed(0)
    return FoldedBackbone(Res16UNet34C(Segment3DConfig.build({})).eval().to(DEVICE), engine, dtype)


def test_whole_backbone(voxels: torch.Tensor, compare: Callable[..., None]) -> None:
    x = SparseTensor.from_coordinates(voxels, features(voxels, 3))
    ledger = Ledger(choose_engine("triton", DEVICE))
    ours, theirs = backbone(ledger.engine), backbone(choose_engine("torch", DEVICE))
    for mine, other in zip(backbone(ledger)(x), theirs(x), strict=True):
        assert_close(mine.features, other.features, 5e-2)
    compare(
        f"Res16UNet34C, {len(voxels)} voxels, float16, maps made",
        finished(lambda: ours(x)),
        "gather, mm, index_add",
        finished(lambda: theirs(x)),
        at_least=2.5,
        bound=roofline(ledger, lambda: ours(x)),
    )


def test_maps(voxels: torch.Tensor, compare: Callable[..., None]) -> None:
    steps = [(1, Step(5)), *((stride, Step(3)) for stride in STRIDES)]
    steps += [(stride, Step(2, "down")) for stride in STRIDES[:-1]]
    steps += [(stride, Step(2, "up")) for stride in STRIDES[1:]]
    assert {stride_after(*step) for step in steps} == set(STRIDES)
    nothing = torch.zeros(len(voxels), 1, device=DEVICE)

    def made_by(name: str) -> Callable[[], None]:
        engine: Any = choose_engine(name, DEVICE)
        assert isinstance(engine, PreparesMaps)

        def make() -> None:
            x = SparseTensor(voxels, nothing, 1, CoordinateMaps(voxels))
            for stride in STRIDES[:-1]:
                x.maps.coarser(stride)
            engine.prepare(x, steps)

        return finished(make)

    compare(f"all maps of Res16UNet34C, {len(voxels)} voxels", made_by("triton"), "lists of pairs", made_by("torch"))
