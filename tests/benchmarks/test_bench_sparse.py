"""Sparse convolution against the straightforward version: search each neighbour, gather, multiply, add up.

Both run the same layers on the same voxels in float32, on one thread (its own time is counted) where it does not say
another number, maps included where it says so.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the sparse engine needs PyTorch")

from seg3d_core.segment3d.backbone import u_net  # noqa: E402
from seg3d_core.sparse import reference  # noqa: E402
from seg3d_core.sparse.coordinates import CoordinateMaps  # noqa: E402
from seg3d_core.sparse.engines.interface import FusedConvolution, Step  # noqa: E402
from seg3d_core.sparse.engines.torch_engine import TorchEngine  # noqa: E402
from seg3d_core.sparse.matmul import onednn_linear  # noqa: E402
from seg3d_core.sparse.tensor import SparseTensor  # noqa: E402

ENGINE = TorchEngine(torch.device("cpu"))
PLANES = (32, 64, 128, 256, 256, 128, 96, 96)
BLOCKS = (2, 3, 4, 6, 2, 2, 2, 2)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.inference_mode():
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def voxels(request: pytest.FixtureRequest, room_voxels: Callable[[int], np.ndarray]) -> torch.Tensor:
    """50,000 voxels of a room, or 2,000 where nothing is timed."""
    return torch.from_numpy(room_voxels(50_000 if request.config.getoption("--bench") else 2_000))


@dataclass
class Straightforward:
    """Coordinates and maps as one would first write them; maps are kept per stride, as ours are."""

    levels: dict[int, torch.Tensor]
    kernel_maps: dict[tuple[int, int], list[tuple[torch.Tensor, torch.Tensor]]] = field(default_factory=dict)
    down_maps: dict[int, list[tuple[torch.Tensor, torch.Tensor]]] = field(default_factory=dict)

    @staticmethod
    def keys(coordinates: torch.Tensor) -> torch.Tensor:
        batch, x, y, z = (coordinates.long() + torch.tensor([0, 2**19, 2**19, 2**19])).unbind(1)
        return (batch << 60) | (x << 40) | (y << 20) | z

    def pairs(self, stride: int, size: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        if (stride, size) not in self.kernel_maps:
            ordered, order = self.keys(self.levels[stride]).sort()
            pairs = []
            for offset in reference.offsets(size):
                wanted = self.keys(self.levels[stride] + torch.tensor([0, *offset], dtype=torch.int32) * stride)
                place = torch.searchsorted(ordered, wanted).clamp(max=len(ordered) - 1)
                hits = (ordered[place] == wanted).nonzero()[:, 0]
                pairs.append((order[place[hits]], hits))
            self.kernel_maps[stride, size] = pairs
        return self.kernel_maps[stride, size]

    def down(self, stride: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        if stride not in self.down_maps:
            fine = self.levels[stride]
            steps = torch.tensor([1, 2 * stride, 2 * stride, 2 * stride], dtype=torch.int32)
            parents = fine.div(steps, rounding_mode="floor") * steps
            self.levels[2 * stride], rows = torch.unique(parents, dim=0, return_inverse=True)
            slots = ((fine - parents)[:, 1:] // stride) @ torch.tensor([1, 2, 4], dtype=torch.int32)
            children = [(slots == slot).nonzero()[:, 0] for slot in range(8)]
            self.down_maps[stride] = [(rows_of, rows[rows_of]) for rows_of in children]
        return self.down_maps[stride]


def gather_multiply_add(
    features: torch.Tensor, kernel: torch.Tensor, pairs: list[tuple[torch.Tensor, torch.Tensor]], count: int
) -> torch.Tensor:
    result = features.new_zeros(count, kernel.shape[2])
    for weights, (inputs, outputs) in zip(kernel, pairs, strict=True):
        result.index_add_(0, outputs, features[inputs] @ weights)
    return result


class StraightforwardLayers:
    def __init__(self, voxels: torch.Tensor) -> None:
        self.maps = Straightforward({1: voxels})
        self.stride = 1

    def convolve(self, features: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        if kernel.ndim == 2:
            return features @ kernel
        pairs = self.maps.pairs(self.stride, round(math.pow(len(kernel), 1 / 3)))
        return gather_multiply_add(features, kernel, pairs, len(features))

    def down(self, features: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        pairs = self.maps.down(self.stride)
        self.stride *= 2
        return gather_multiply_add(features, kernel, pairs, len(self.maps.levels[self.stride]))

    def up(self, features: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        self.stride //= 2
        pairs = [(coarse, fine) for fine, coarse in self.maps.down(self.stride)]
        return gather_multiply_add(features, kernel, pairs, len(self.maps.levels[self.stride]))


class Network:
    """The convolutions, sums and ReLUs of Res16UNet34C; its normalisations are taken to be folded into the kernels."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)

        def kernel(*shape: int) -> torch.Tensor:
            return torch.randn(*shape, generator=generator) / math.sqrt(shape[-2] * (0.4 * len(shape[:-2]) * 27 + 1))

        self.stem = kernel(125, 3, 32)
        self.steps: list[torch.Tensor] = []
        self.blocks: list[list[tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]]] = []
        width, skips = 32, [32, *PLANES[:3]]
        for level, (plane, count) in enumerate(zip(PLANES, BLOCKS, strict=True)):
            self.steps.append(kernel(8, width, width if level < 4 else plane))
            width = width if level < 4 else plane + skips[7 - level]
            blocks = []
            for _ in range(count):
                shortcut = kernel(width, plane) if width != plane else None
                blocks.append((kernel(27, width, plane), kernel(27, plane, plane), shortcut))
                width = plane
            self.blocks.append(blocks)

    def __call__(self, features: torch.Tensor, layers: StraightforwardLayers) -> torch.Tensor:
        x = layers.convolve(features, self.stem).relu_()
        skips = []
        for level, (step, blocks) in enumerate(zip(self.steps, self.blocks, strict=True)):
            if level < 4:
                skips.append(x)
                x = layers.down(x, step).relu_()
            else:
                x = torch.cat([layers.up(x, step).relu_(), skips.pop()], 1)
            for first, second, shortcut in blocks:
                residual = x if shortcut is None else layers.convolve(x, shortcut)
                x = layers.convolve(layers.convolve(x, first).relu_(), second).add_(residual).relu_()
        return x


class OurNetwork:
    """The same by the default engine."""

    def __init__(self, network: Network) -> None:
        make = ENGINE.convolution
        self.stem = make(network.stem, None, Step(5), relu=True)
        directions = [Step(2, "down")] * 4 + [Step(2, "up")] * 4
        self.steps = [
            make(kernel, None, step, relu=True) for kernel, step in zip(network.steps, directions, strict=True)
        ]
        self.blocks = [partial(self._run, [self._block(*kernels) for kernels in level]) for level in network.blocks]

    @staticmethod
    def _block(first: torch.Tensor, second: torch.Tensor, shortcut: torch.Tensor | None) -> list[FusedConvolution]:
        layers = [ENGINE.convolution(kernel, None, Step(3), relu=True) for kernel in (first, second)]
        return layers if shortcut is None else [*layers, ENGINE.convolution(shortcut, None, Step(1))]

    @staticmethod
    def _run(blocks: list[list[FusedConvolution]], x: SparseTensor) -> SparseTensor:
        for first, second, *shortcut in blocks:
            residual = shortcut[0](x) if shortcut else x
            x = second(first(x), residual.features)
        return x

    def __call__(self, features: torch.Tensor, voxels: torch.Tensor) -> torch.Tensor:
        x = SparseTensor.from_coordinates(voxels, features)
        return u_net(self.stem(x), self.steps, self.blocks)[-1].features


def all_maps(voxels: torch.Tensor) -> CoordinateMaps:
    """Every level and map that the network needs."""
    maps = CoordinateMaps(voxels)
    maps.tiles(1, 1, 5)
    for stride in (1, 2, 4, 8, 16):
        if stride < 16:
            maps.tiles(stride, 2 * stride, 2)
            maps.tiles(2 * stride, stride, 2)
        maps.tiles(stride, stride, 3)
        maps.tiles(stride, stride, 1)
    return maps


def multiply_adds(network: Network, voxels: torch.Tensor) -> float:
    """Floating-point operations of one run, from the pairs that exist."""
    maps = all_maps(voxels)
    total = maps.tiles(1, 1, 5).pair_count * network.stem[0].numel()
    for level, (step, blocks) in enumerate(zip(network.steps, network.blocks, strict=True)):
        stride = 2 ** (level + 1) if level < 4 else 2 ** (7 - level)
        total += len(maps.coordinates(stride // 2 if level < 4 else stride)) * step[0].numel()
        for first, second, shortcut in blocks:
            total += maps.tiles(stride, stride, 3).pair_count * (first[0].numel() + second[0].numel())
            total += 0 if shortcut is None else len(maps.coordinates(stride)) * shortcut.numel()
    return 2.0 * total


def dense_products(operations: float) -> None:
    """About so many floating-point operations in large matrix products by oneDNN (MKL where there is none)."""
    size = 1024
    matrix = torch.rand(size, size)
    linear = onednn_linear()
    for _ in range(max(1, round(operations / (2 * size**3)))):
        matrix @ matrix if linear is None else linear(matrix, matrix, None, "none", [], "")


@pytest.mark.parametrize("size", [3, 5])
def test_kernel_map(voxels: torch.Tensor, compare: Callable[..., None], size: int) -> None:
    ours = CoordinateMaps(voxels).tiles(1, 1, size)
    assert ours.pair_count == sum(len(pair[0]) for pair in Straightforward({1: voxels}).pairs(1, size))
    compare(
        f"kernel map {size}, {len(voxels)} voxels",
        lambda: CoordinateMaps(voxels).tiles(1, 1, size),
        "searchsorted",
        lambda: Straightforward({1: voxels}).pairs(1, size),
        at_least=10,
        bound=f"{ours.pair_count / len(voxels):.1f} neighbours",
        rounds=7,
        clock=time.thread_time,
    )


@pytest.mark.parametrize("channels", [32, 96])
def test_one_convolution(voxels: torch.Tensor, compare: Callable[..., None], channels: int) -> None:
    x = SparseTensor.from_coordinates(voxels, torch.randn(len(voxels), channels))
    kernel = torch.randn(27, channels, channels) / channels
    ours, theirs = ENGINE.convolution(kernel, None, Step(3)), StraightforwardLayers(voxels)
    torch.testing.assert_close(ours(x).features, theirs.convolve(x.features, kernel), rtol=1e-4, atol=1e-4)
    gigaflops = 2e-9 * x.maps.tiles(1, 1, 3).pair_count * channels**2
    compare(
        f"convolution 3, {channels} channels, maps made",
        lambda: ours(x),
        "gather, mm, index_add",
        lambda: theirs.convolve(x.features, kernel),
        at_least=2,
        bound=f"{gigaflops:.2f} GFLOP",
        rounds=7,
        clock=time.thread_time,
    )


@pytest.mark.parametrize(("thousands", "threads"), [(50, 1), (150, 1), (50, 2)])
def test_whole_network(
    room_voxels: Callable[[int], np.ndarray],
    compare: Callable[..., None],
    request: pytest.FixtureRequest,
    thousands: int,
    threads: int,
) -> None:
    timed = request.config.getoption("--bench")
    voxels = torch.from_numpy(room_voxels(thousands * (1000 if timed else 20)))
    torch.set_num_threads(threads if timed else 1)
    features = torch.randn(len(voxels), 3)
    network = Network()
    ours = OurNetwork(network)
    expected = network(features, StraightforwardLayers(voxels))
    torch.testing.assert_close(ours(features, voxels), expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))
    operations = multiply_adds(network, voxels)
    name = f"Res16UNet34C, {len(voxels)} voxels, maps included, {threads} threads"
    forward = partial(ours, features, voxels)
    options = {
        "bound": f"{operations / 1e9:.1f} GFLOP",
        "rounds": 3 if thousands == 50 else 1,
        "clock": time.thread_time if threads == 1 else time.perf_counter,
    }
    compare(
        name,
        forward,
        "searchsorted, gather, mm, index_add",
        lambda: network(features, StraightforwardLayers(voxels)),
        at_least=2,
        **options,
    )
    compare(
        name,
        forward,
        "as many operations in large products",
        partial(dense_products, operations),
        at_least=0.45,
        **options,
    )
    compare(f"maps of {name}", partial(all_maps, voxels), "whole forward", forward, at_least=1 / 0.06, **options)
