"""Random nets, run layer by layer by an engine and by the readable reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the sparse engine needs PyTorch")

from seg3d_core.sparse import reference  # noqa: E402
from seg3d_core.sparse.engines.interface import Engine, Step  # noqa: E402
from seg3d_core.sparse.tensor import SparseTensor  # noqa: E402

Sizes = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Layer:
    step: Step
    channels: int
    has_bias: bool
    has_residual: bool
    relu: bool


@dataclass(frozen=True)
class Net:
    """An input and layers for it; weights follow from the seed."""

    voxels: torch.Tensor
    layers: list[Layer]
    seed: int


@st.composite
def nets(draw: st.DrawFn, sizes: Sizes) -> Net:
    """Up to five layers on unsorted voxels around the origin or far from it, in batches with empty elements."""
    seed, count = draw(st.integers(0, 2**31)), draw(st.integers(0, 40))
    extent = draw(st.sampled_from([1, 3, 6, 300]))
    shift = draw(st.sampled_from([0, -7, 400_000, -500_001]))
    batches = draw(st.sampled_from([[0], [0, 1], [0, 3], [2]]))
    generator = torch.Generator().manual_seed(seed)
    position = torch.randint(-extent, extent, (count, 3), generator=generator) + shift
    batch = torch.tensor(batches)[torch.randint(0, len(batches), (count, 1), generator=generator)]
    voxels = torch.unique(torch.cat([batch, position], 1), dim=0)
    voxels = voxels[torch.randperm(len(voxels), generator=generator)].int()
    layers, depth = [], 0
    for _ in range(draw(st.integers(1, 5))):
        directions = [name for name in sizes if (name != "up" or depth > 0) and (name != "down" or depth < 3)]
        direction = draw(st.sampled_from(directions))
        depth += {"same": 0, "down": 1, "up": -1}[direction]
        step = Step(draw(st.sampled_from(sizes[direction])), direction)
        layers.append(Layer(step, draw(st.integers(1, 9)), *(draw(st.booleans()) for _ in range(3))))
    return Net(voxels, layers, seed)


def readable(x: SparseTensor, kernel: torch.Tensor, step: Step) -> tuple[torch.Tensor, torch.Tensor]:
    """Voxels and features after a step, by dictionaries and loops."""
    if step.direction == "same":
        table = kernel if kernel.ndim == 3 else kernel[None]
        return x.coordinates, reference.convolve(x.features, table, x.coordinates, x.coordinates, x.stride)
    if step.direction == "down":
        coarse = reference.coarser(x.coordinates, 2 * x.stride)
        return coarse, reference.convolve(x.features, kernel, x.coordinates, coarse, x.stride)
    fine = x.maps.coordinates(x.stride // 2)
    return fine, reference.transposed(x.features, kernel, x.coordinates, fine, x.stride // 2)


def assert_agrees(engine: Engine, net: Net, dtype: torch.dtype, tolerance: float) -> None:
    """Each layer of the engine gives what the reference makes of the same input, row by row."""
    generator = torch.Generator().manual_seed(net.seed)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=generator).to(dtype)

    x = SparseTensor.from_coordinates(net.voxels, random(len(net.voxels), 3))
    for layer in net.layers:
        rows = () if layer.step.kernel_size == 1 else (layer.step.kernel_size**3,)
        kernel = random(*rows, x.features.shape[1], layer.channels) / x.features.shape[1]
        coordinates, wanted = readable(x.replace(x.features.double()), kernel.double(), layer.step)
        bias = random(layer.channels) if layer.has_bias else None
        residual = random(len(coordinates), layer.channels) if layer.has_residual else None
        for added in (bias, residual):
            wanted = wanted if added is None else wanted + added
        before = [None if tensor is None else tensor.clone() for tensor in (x.features, bias, residual)]
        y = engine.convolution(kernel, bias, layer.step, layer.relu)(x, residual)
        assert y.coordinates.equal(coordinates) and y.maps is x.maps and y.features.dtype == dtype
        torch.testing.assert_close(
            y.features.double(), wanted.relu() if layer.relu else wanted, rtol=tolerance, atol=tolerance
        )
        for tensor, copy in zip((x.features, bias, residual), before, strict=True):
            assert tensor is None or tensor.equal(copy)
        x = y


@pytest.fixture(scope="session")
def agreement() -> Callable[..., None]:
    """``agreement(engine, sizes, dtype, tolerance, data)``: a net drawn from hypothesis' ``data`` gives the same."""

    def check(engine: Engine, sizes: Sizes, dtype: torch.dtype, tolerance: float, data: st.DataObject) -> None:
        assert_agrees(engine, data.draw(nets(sizes)), dtype, tolerance)

    return check
