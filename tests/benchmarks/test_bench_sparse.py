"""Sparse convolution against the straightforward version: search each neighbour, gather, multiply, add up.

Both run the same layers on the same voxels in float32 on one thread, maps included where it says so.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the sparse engine needs PyTorch")

from seg3d_core.geometry.voxels import voxelize  # noqa: E402
from seg3d_core.sparse import functional, reference  # noqa: E402
from seg3d_core.sparse.coordinates import CoordinateMaps  # noqa: E402
from seg3d_core.sparse.matmul import onednn_linear  # noqa: E402
from seg3d_core.sparse.tensor import SparseTensor  # noqa: E402

VOXEL_SIZE_M = 0.02
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
def voxels(request: pytest.FixtureRequest) -> torch.Tensor:
    """Sorted voxels of walls, floor and boxes, turned against the axes, with 1 mm of noise: 50,000, or 2,000."""
    count = 50_000 if request.config.getoption("--bench") else 2_000
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


class OurLayers:
    def __init__(self, voxels: torch.Tensor) -> None:
        self.level = SparseTensor.from_coordinates(voxels, torch.zeros(len(voxels), 1))

    def convolve(self, features: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        return functional.convolve(self.level.replace(features), kernel).features

    def down(self, features: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        self.level = functional.convolve_down(self.level.replace(features), kernel)
        return self.level.features

    def up(self, features: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        self.level = functional.convolve_up(self.level.replace(features), kernel, self.level.stride // 2)
        return self.level.features


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

    def __call__(self, features: torch.Tensor, layers: StraightforwardLayers | OurLayers) -> torch.Tensor:
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


def multiply_adds(network: Network, voxels: torch.Tensor) -> float:
    """Floating-point operations of one run, from the pairs that exist."""
    maps = CoordinateMaps(voxels)
    for level in range(4):
        maps.coarser(2**level)
    total = maps.centred(1, 5).pair_count * network.stem[0].numel()
    for level, (step, blocks) in enumerate(zip(network.steps, network.blocks, strict=True)):
        stride = 2 ** (level + 1) if level < 4 else 2 ** (7 - level)
        total += maps.down(stride // 2 if level < 4 else stride).pair_count * step[0].numel()
        for first, second, shortcut in blocks:
            total += maps.centred(stride, 3).pair_count * (first[0].numel() + second[0].numel())
            total += 0 if shortcut is None else len(maps.coordinates(stride)) * shortcut.numel()
    return 2.0 * total


def peak_gflops() -> float:
    """What oneDNN (MKL where there is none) reaches on one large product, the best of five."""
    size = 1536
    matrix = torch.rand(size, size)
    linear = onednn_linear()
    times = []
    for _ in range(5):
        start = time.perf_counter()
        matrix @ matrix if linear is None else linear(matrix, matrix, None, "none", [], "")
        times.append(time.perf_counter() - start)
    return 2 * size**3 / min(times) / 1e9


@pytest.mark.parametrize(("size", "at_least"), [(3, 10), (5, 10)])
def test_kernel_map(voxels: torch.Tensor, compare: Callable[..., None], size: int, at_least: float) -> None:
    ours = CoordinateMaps(voxels).centred(1, size)
    assert ours.pair_count == sum(len(pair[0]) for pair in Straightforward({1: voxels}).pairs(1, size))
    compare(
        f"kernel map {size}, {len(voxels)} voxels",
        lambda: CoordinateMaps(voxels).centred(1, size),
        "searchsorted",
        lambda: Straightforward({1: voxels}).pairs(1, size),
        at_least=at_least,
        bound=f"{ours.pair_count / len(voxels):.1f} neighbours",
        rounds=7,
    )


@pytest.mark.parametrize("channels", [32, 96])
def test_one_convolution(voxels: torch.Tensor, compare: Callable[..., None], channels: int) -> None:
    features = torch.randn(len(voxels), channels)
    kernel = torch.randn(27, channels, channels) / channels
    ours, theirs = OurLayers(voxels), StraightforwardLayers(voxels)
    torch.testing.assert_close(ours.convolve(features, kernel), theirs.convolve(features, kernel), rtol=1e-4, atol=1e-4)
    gigaflops = 2e-9 * ours.level.maps.centred(1, 3).pair_count * channels**2
    compare(
        f"convolution 3, {channels} channels, maps made",
        lambda: ours.convolve(features, kernel),
        "gather, mm, index_add",
        lambda: theirs.convolve(features, kernel),
        at_least=1.3,
        bound=f"{gigaflops:.2f} GFLOP, {gigaflops / peak_gflops() * 1e3:.1f} ms at peak",
        rounds=7,
    )


def test_whole_network(voxels: torch.Tensor, compare: Callable[..., None]) -> None:
    features = torch.randn(len(voxels), 3)
    network = Network()
    ours = network(features, OurLayers(voxels))
    theirs = network(features, StraightforwardLayers(voxels))
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3 * float(theirs.abs().max()))
    gigaflops = multiply_adds(network, voxels) / 1e9
    compare(
        f"Res16UNet34C convolutions, {len(voxels)} voxels, maps included",
        lambda: network(features, OurLayers(voxels)),
        "searchsorted, gather, mm, index_add",
        lambda: network(features, StraightforwardLayers(voxels)),
        at_least=1.5,
        bound=f"{gigaflops:.1f} GFLOP, {gigaflops / peak_gflops() * 1e3:.0f} ms at peak",
        rounds=3,
    )
