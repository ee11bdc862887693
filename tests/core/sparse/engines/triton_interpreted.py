"""The kernels of the Triton engine run on the CPU by Triton's interpreter, against the plain PyTorch convolutions.

``test_triton_engine.py`` runs this file in a process of its own: TRITON_INTERPRET=1 must be set before Triton is
imported, and then nothing can be compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
import triton.language as tl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from triton.runtime import interpreter

from seg3d_core.errors import InputError
from seg3d_core.sparse import functional
from seg3d_core.sparse.engines import triton_kernels, triton_layers, triton_tiles
from seg3d_core.sparse.engines.interface import Engine, FusedConvolution, PreparesMaps, Step
from seg3d_core.sparse.engines.triton_engine import TritonEngine
from seg3d_core.sparse.tensor import SparseTensor

CPU = torch.device("cpu")
SIZES = {"same": (1, 3, 5), "down": (2, 3), "up": (2,)}
TOLERANCE = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}
SLOW = [HealthCheck.too_slow]


@pytest.fixture(autouse=True, scope="module")
def bfloat16_products() -> None:
    """Triton 3.7's interpreter multiplies the bits of bfloat16 as if they were integers."""
    multiply = interpreter.InterpreterBuilder.create_dot

    def as_float(handle: Any) -> Any:
        if handle.dtype.scalar != tl.bfloat16:
            return handle
        return interpreter.TensorHandle((handle.data.astype(np.uint32) << 16).view(np.float32), tl.float32)

    def create_dot(self: Any, a: Any, b: Any, *others: Any) -> Any:
        return multiply(self, as_float(a), as_float(b), *others)

    interpreter.InterpreterBuilder.create_dot = create_dot


@pytest.fixture(scope="module")
def engine() -> TritonEngine:
    return TritonEngine(CPU)


@dataclass(frozen=True)
class Case:
    """A layer and its input, in float32, exact in ``dtype``."""

    x: SparseTensor
    kernel: torch.Tensor
    bias: torch.Tensor | None
    residual: torch.Tensor | None
    step: Step
    relu: bool
    dtype: torch.dtype

    def wanted(self) -> torch.Tensor:
        x, kernel = self.x.replace(self.x.features.double()), self.kernel.double()
        result = convolved(x, kernel, self.step).features
        for added in (self.bias, self.residual):
            result = result if added is None else result + added
        return result.relu() if self.relu else result

    def tensors(self) -> list[torch.Tensor | None]:
        """Kernel, bias and residual in the type of the case."""
        return [None if t is None else t.to(self.dtype) for t in (self.kernel, self.bias, self.residual)]


def convolved(x: SparseTensor, kernel: torch.Tensor, step: Step) -> SparseTensor:
    if step.direction == "up":
        return functional.convolve_up(x, kernel, x.stride // 2)
    return (functional.convolve_down if step.direction == "down" else functional.convolve)(x, kernel)


def voxels(generator: torch.Generator, count: int, extent: int, shift: int = 0) -> torch.Tensor:
    position = torch.randint(-extent, extent, (count, 3), generator=generator) + shift
    batch = 2 * torch.randint(0, 2, (count, 1), generator=generator)
    unique = torch.unique(torch.cat([batch, position], 1), dim=0).int()
    return unique[torch.randperm(len(unique), generator=generator)]


def make_case(
    seed: int,
    count: int,
    channels: tuple[int, int],
    step: Step,
    dtype: torch.dtype = torch.float32,
    extras: tuple[bool, bool, bool] = (True, True, True),
    extent: int = 4,
    shift: int = 0,
) -> Case:
    """``extras``: bias, residual, ReLU."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator).to(dtype).float()

    coordinates = voxels(generator, count, extent, shift)
    x = SparseTensor.from_coordinates(coordinates, random(len(coordinates), channels[0]))
    if step.direction == "up":
        x = functional.average_pool(x)
        x = x.replace(random(len(x), channels[0]))
    rows = () if step.kernel_size == 1 else (step.kernel_size**3,)
    kernel = (random(*rows, *channels) / (4 * channels[0]) ** 0.5).to(dtype).float()
    count = len(convolved(x, kernel, step))
    has_bias, has_residual, relu = extras
    return Case(
        x,
        kernel,
        random(channels[1]) if has_bias else None,
        random(count, channels[1]) if has_residual else None,
        step,
        relu,
        dtype,
    )


def assert_right(case: Case, run: Callable[..., FusedConvolution]) -> None:
    kernel, bias, residual = case.tensors()
    y = run(kernel, bias, case.step, case.relu)(case.x.replace(case.x.features.to(case.dtype)), residual)
    assert y.features.dtype == case.dtype and y.maps is case.x.maps
    tolerance = TOLERANCE[case.dtype]
    torch.testing.assert_close(y.features.double(), case.wanted(), rtol=tolerance, atol=tolerance)


def test_it_is_an_engine(engine: TritonEngine) -> None:
    assert isinstance(engine, Engine)
    assert isinstance(engine, PreparesMaps)
    assert isinstance(engine.convolution(torch.zeros(27, 3, 4), None, Step(3)), FusedConvolution)


@settings(max_examples=15, suppress_health_check=SLOW)
@given(data=st.data())
def test_random_nets_of_few_channels(engine: TritonEngine, agreement: Callable[..., None], data: st.DataObject) -> None:
    agreement(engine, SIZES, torch.float32, 1e-5, data)


@settings(max_examples=40, suppress_health_check=SLOW)
@given(
    seed=st.integers(0, 2**31),
    count=st.sampled_from([0, 1, 5, 30, 64, 80]),
    channels=st.sampled_from([(16, 16), (17, 33), (32, 96), (48, 1), (64, 32), (100, 20), (3, 70)]),
    step=st.sampled_from([Step(1), Step(3), Step(2, "down"), Step(3, "down"), Step(2, "up")]),
    dtype=st.sampled_from(list(TOLERANCE)),
    extras=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    extent=st.sampled_from([2, 4, 300]),
    shift=st.sampled_from([0, -7, -500_001]),
)
def test_one_layer(engine: TritonEngine, **drawn: Any) -> None:
    assert_right(make_case(**drawn), engine.convolution)


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("step", [Step(5), Step(7), Step(5, "down")])
def test_large_kernels_of_the_first_layer(engine: TritonEngine, step: Step, dtype: torch.dtype) -> None:
    assert_right(make_case(1, 50, (3, 32), step, dtype), engine.convolution)


@pytest.mark.parametrize("processors", [1, 3, 10_000])
@pytest.mark.parametrize("channels", [(32, 192), (5, 192)])
def test_every_size_of_tile(channels: tuple[int, int], processors: int) -> None:
    case = make_case(2, 400, channels, Step(2, "down"), torch.float16, extent=8)
    launcher = triton_layers.Launcher(triton_kernels, CPU, processors, compiles=False)
    seen = []

    def run(kernel: torch.Tensor, bias: torch.Tensor, step: Step, relu: bool) -> FusedConvolution:
        return triton_layers.Layer(triton_layers.Weights.of(kernel, bias), step, 0.0 if relu else -1.0, launcher)

    with pytest.MonkeyPatch.context() as patch:
        choose = triton_layers.choose_tile
        patch.setattr(triton_layers, "choose_tile", lambda *a: seen.append(choose(*a)) or seen[-1])
        assert_right(case, run)
    assert [(tile.rows, tile.width) for tile in seen] == [{1: (128, 96), 3: (64, 96), 10_000: (64, 32)}[processors]]
    assert set(triton_tiles.ROWS) == {64, 128}


def test_features_that_are_a_view(engine: TritonEngine) -> None:
    case = make_case(3, 40, (16, 16), Step(3))
    wide = torch.cat([case.x.features] * 2, 1)[:, :16]
    assert not wide.is_contiguous()
    layer = engine.convolution(case.kernel, case.bias, case.step, case.relu)
    y = layer(case.x.replace(wide), case.residual.t().contiguous().t())
    torch.testing.assert_close(y.features.double(), case.wanted(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("relu", [False, True])
def test_nan_stays_nan_and_stays_where_it_is(engine: TritonEngine, relu: bool) -> None:
    x = SparseTensor.from_coordinates(torch.tensor([[0, 0, 0, 0], [0, 9, 9, 9]]).int(), torch.ones(2, 16))
    x.features[1, 3] = torch.nan
    y = engine.convolution(torch.ones(27, 16, 4), None, Step(3), relu)(x).features
    assert y[0].equal(torch.full((4,), 16.0)) and y[1].isnan().all()


def test_without_relu_infinity_may_be_negative(engine: TritonEngine) -> None:
    x = SparseTensor.from_coordinates(torch.zeros(1, 4).int(), torch.full((1, 16), -torch.inf))
    assert (engine.convolution(torch.ones(16, 2), None, Step(1))(x).features == -torch.inf).all()


def test_prepared_maps_are_those_of_the_layers(engine: TritonEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    x = make_case(4, 60, (16, 16), Step(3)).x
    x.maps.coarser(1)
    engine.prepare(x, [(1, Step(3)), (1, Step(2, "down")), (2, Step(3)), (2, Step(2, "up"))])
    monkeypatch.setattr("seg3d_core.sparse.engines.triton_maps.tiled_map", None)

    def layer(step: Step) -> FusedConvolution:
        rows = () if step.kernel_size == 1 else (step.kernel_size**3,)
        return engine.convolution(torch.zeros(*rows, 16, 16), None, step)

    for step in (Step(1), Step(3), Step(2, "down"), Step(1), Step(3), Step(2, "up")):
        x = layer(step)(x)
    assert x.stride == 1


def test_more_elements_than_can_be_counted(engine: TritonEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_layers, "_ELEMENTS", 100)
    case = make_case(5, 40, (16, 16), Step(1))
    elements = case.x.features.numel()
    with pytest.raises(InputError, match=f"a layer has {elements} elements, the limit is 100: use fewer voxels"):
        engine.convolution(case.kernel, None, case.step)(case.x)
