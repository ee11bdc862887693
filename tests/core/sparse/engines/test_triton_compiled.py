"""The Triton engine's kernels compiled ahead of time for GPUs that are not here."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the sparse engine needs PyTorch")
triton = pytest.importorskip("triton", reason="Triton is not installed (pip install triton==3.7.1, Linux)")

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.runtime import driver  # noqa: E402

from seg3d_core.sparse.engines import triton_kernels, triton_layers  # noqa: E402
from seg3d_core.sparse.engines.interface import Step  # noqa: E402
from seg3d_core.sparse.engines.triton_layers import Launcher, Layer, Weights  # noqa: E402
from seg3d_core.sparse.engines.triton_tiles import possible_widths  # noqa: E402
from seg3d_core.sparse.tensor import SparseTensor  # noqa: E402

CPU = torch.device("cpu")
SHARED_MEMORY = 99 * 1024
"""The least that a program may have on any GPU since 2020 (compute capability 8.6, 8.9, 12.0)."""

WIDE, STEM = (27, 96, 96), (125, 3, 32)
INSTRUCTIONS = {80: "mma.sync", 87: "mma.sync", 90: "wgmma.mma_async", 100: "tcgen05.mma", 120: "mma.sync"}
"""Products of tensor cores by compute capability: A100, Orin, H100, B200, RTX 50."""


@dataclass(frozen=True)
class AbsentGpu:
    """What Triton asks of a driver in order to compile; the number of the device is its capability."""

    capability: int

    def get_current_device(self) -> int:
        return self.capability

    def get_current_stream(self, device: int) -> int:
        return 0

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", self.capability, 32)


class LauncherForAbsentGpu(Launcher):
    def _current(self) -> AbstractContextManager[Any]:
        return nullcontext()


Compile = Callable[..., list[Any]]


def kept(capability: int) -> dict[Any, Any]:
    """All that has been compiled for a GPU in this process."""
    kernels = (triton_kernels.convolve_tiles, triton_kernels.convolve_few_channels)
    return {key: kernel for k in kernels for key, kernel in k.device_caches[capability][0].items()}


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> Compile:
    """``compiled(90, (27, 96, 96), torch.float16)``: all variants that the engine makes for such a layer.

    With ``only_largest`` the one that needs most registers and shared memory.
    """

    def run(capability: int, shape: tuple[int, int, int], dtype: torch.dtype, only_largest: bool = True) -> list[Any]:
        if only_largest:
            monkeypatch.setattr(triton_layers, "ROWS", triton_layers.ROWS[-1:])
            monkeypatch.setattr(triton_layers, "possible_widths", lambda *layer: possible_widths(*layer)[-1:])
        monkeypatch.setattr(driver, "_active", AbsentGpu(capability))
        for kernel in (triton_kernels.convolve_tiles, triton_kernels.convolve_few_channels):
            kernel.device_caches.pop(capability, None)
        launcher = LauncherForAbsentGpu(triton_kernels, CPU, 132, compiles=True)
        launcher.compile(Weights.of(torch.zeros(shape, dtype=dtype), None))
        return list(kept(capability).values())

    return run


def loads_in_flight(ptx: str) -> int:
    """Groups of asynchronous copies that are still under way when a product begins."""
    return max(int(count) for count in re.findall(r"cp\.async\.wait_group\s+(\d+)", ptx))


@pytest.mark.parametrize("capability", INSTRUCTIONS)
@pytest.mark.parametrize("shape", [STEM, WIDE])
def test_tensor_cores_and_shared_memory(compiled: Compile, capability: int, shape: tuple[int, int, int]) -> None:
    (variant,) = compiled(capability, shape, torch.float16)
    assert INSTRUCTIONS[capability] in variant.asm["ptx"]
    assert variant.metadata.shared <= SHARED_MEMORY
    assert shape == STEM or loads_in_flight(variant.asm["ptx"]) >= 2


@pytest.mark.parametrize(("shape", "count"), [(STEM, 2), (WIDE, 6), ((27, 64, 128), 8)])
def test_all_tiles_of_a_layer_on_hopper(compiled: Compile, shape: tuple[int, int, int], count: int) -> None:
    variants = compiled(90, shape, torch.float16, only_largest=False)
    assert len(variants) == count
    for variant in variants:
        assert "wgmma.mma_async" in variant.asm["ptx"]
        assert variant.metadata.shared <= SHARED_MEMORY
        assert shape == STEM or loads_in_flight(variant.asm["ptx"]) >= 2


def test_bfloat16_on_orin(compiled: Compile) -> None:
    (variant,) = compiled(87, (27, 32, 32), torch.bfloat16)
    assert re.search(r"mma\.sync\S+f32\.bf16\.bf16\.f32", variant.asm["ptx"])


@pytest.mark.parametrize("shape", [STEM, (27, 32, 64)])
def test_float32_is_never_rounded(compiled: Compile, shape: tuple[int, int, int]) -> None:
    (variant,) = compiled(80, shape, torch.float32)
    assert not re.search(r"mma|tf32", variant.asm["ptx"])
    assert "fma.rn.f32" in variant.asm["ptx"]
    assert variant.metadata.shared <= SHARED_MEMORY


class Unlaunched:
    """A kernel that is compiled for its arguments instead of launched."""

    def __init__(self, kernel: Any) -> None:
        self.kernel = kernel
        self.grids: list[tuple[int, int]] = []
        self.warmup = kernel.warmup

    def __getitem__(self, grid: tuple[int, int]) -> Callable[..., object]:
        self.grids.append(grid)
        return lambda *args, **sizes: self.kernel.warmup(*args, grid=grid, **sizes)


@pytest.fixture
def launcher(monkeypatch: pytest.MonkeyPatch) -> LauncherForAbsentGpu:
    monkeypatch.setattr(driver, "_active", AbsentGpu(80))
    kernels = SimpleNamespace(
        convolve_tiles=Unlaunched(triton_kernels.convolve_tiles),
        convolve_few_channels=Unlaunched(triton_kernels.convolve_few_channels),
    )
    return LauncherForAbsentGpu(kernels, CPU, 2, compiles=True)


def cloud(count: int, channels: int) -> SparseTensor:
    side = torch.arange(count)
    coordinates = torch.stack([torch.zeros_like(side), side % 40, side // 40, torch.zeros_like(side)], 1).int()
    return SparseTensor.from_coordinates(coordinates, torch.zeros(count, channels, dtype=torch.float16))


@pytest.mark.parametrize("shape", [STEM, (27, 32, 32), (1, 20, 32)])
def test_no_input_makes_the_compiler_run(launcher: LauncherForAbsentGpu, shape: tuple[int, int, int]) -> None:
    """Whatever the number of voxels, with and without residual and ReLU: what the layer was made with is enough."""
    volume, channels, _ = shape
    weights = Weights.of(torch.zeros(shape, dtype=torch.float16), None)
    launcher.compile(weights)
    before = set(kept(80))
    step = Step(round(volume ** (1 / 3)))
    for count in (1, 15, 16, 64, 65, 600):
        x = cloud(count, channels)
        Layer(weights, step, 0.0, launcher)(x)
        Layer(weights, step, -torch.inf, launcher)(x, torch.zeros(count, weights.out_channels, dtype=torch.float16))
    assert set(kept(80)) == before
    kernels = launcher.kernels
    grids = kernels.convolve_few_channels.grids if shape == STEM else kernels.convolve_tiles.grids
    assert grids == [(tiles, 1) for tiles in (1, 1, 1, 1, 2, 5) for _ in range(2)]


class Operators(TorchDispatchMode):
    """Names of the operators that run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(function.name())
        return function(*args, **(kwargs or {}))


def test_with_its_maps_made_a_layer_only_allocates_and_launches(launcher: LauncherForAbsentGpu) -> None:
    """No operator runs that could wait for a GPU."""
    x = cloud(300, 32)
    layers = [
        Layer(Weights.of(torch.zeros(27, 32, 32, dtype=torch.float16), None), Step(3), 0.0, launcher),
        Layer(Weights.of(torch.zeros(8, 32, 32, dtype=torch.float16), None), Step(2, "down"), 0.0, launcher),
        Layer(Weights.of(torch.zeros(27, 32, 32, dtype=torch.float16), None), Step(3), 0.0, launcher),
        Layer(Weights.of(torch.zeros(8, 32, 32, dtype=torch.float16), None), Step(2, "up"), 0.0, launcher),
    ]

    def run() -> None:
        y = x
        for layer in layers:
            y = layer(y)
        layers[0](y, y.features)

    run()
    with Operators() as operators:
        run()
    assert operators.names == {"aten::new_empty"}
