"""The fast convolutions against the readable ones."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the sparse engine needs PyTorch")

from seg3d_core.errors import ConfigError  # noqa: E402
from seg3d_core.sparse import functional, pair_tiles, reference  # noqa: E402
from seg3d_core.sparse.coordinates import CoordinateMaps  # noqa: E402
from seg3d_core.sparse.tensor import SparseTensor  # noqa: E402

FLOAT64 = {"rtol": 1e-12, "atol": 1e-12}


@dataclass(frozen=True)
class Case:
    voxels: torch.Tensor
    features: torch.Tensor
    table_cells: int

    def tensor(self) -> SparseTensor:
        return SparseTensor(self.voxels, self.features, 1, CoordinateMaps(self.voxels, self.table_cells))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Unsorted voxels around the origin or far from it, in batches with empty elements, tables or searches."""
    seed, count = draw(st.integers(0, 2**31)), draw(st.integers(0, 60))
    extent = draw(st.sampled_from([1, 3, 6, 2000]))
    shift = draw(st.sampled_from([0, -7, 400_000, -500_001]))
    batches = draw(st.sampled_from([[0], [0, 1], [0, 3], [2]]))
    generator = torch.Generator().manual_seed(seed)
    position = torch.randint(-extent, extent, (count, 3), generator=generator) + shift
    if draw(st.booleans()):
        position[:, draw(st.integers(0, 2))] = shift
    batch = torch.tensor(batches)[torch.randint(0, len(batches), (count, 1), generator=generator)]
    voxels = torch.unique(torch.cat([batch, position], 1), dim=0)
    voxels = voxels[torch.randperm(len(voxels), generator=generator)].int()
    features = torch.randn(len(voxels), 3, dtype=torch.float64, generator=generator)
    return Case(voxels, features, draw(st.sampled_from([0, 2**20])))


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


def at_stride(x: SparseTensor, stride: int) -> SparseTensor:
    while x.stride < stride:
        x = functional.average_pool(x)
    return x


@settings(max_examples=60)
@given(case=cases(), size=st.sampled_from([3, 5, 7]), stride=st.sampled_from([1, 2, 4]), wide=st.booleans())
def test_convolution(case: Case, size: int, stride: int, wide: bool) -> None:
    x = at_stride(case.tensor(), stride)
    if wide:
        x = x.replace(x.features.repeat(1, 4))
    kernel = random(size**3, x.features.shape[1], 4)
    y = functional.convolve(x, kernel)
    wanted = reference.convolve(x.features, kernel, x.coordinates, x.coordinates, stride)
    assert y.coordinates is x.coordinates and y.stride == stride
    torch.testing.assert_close(y.features, wanted, **FLOAT64)


@settings(max_examples=60)
@given(case=cases(), size=st.sampled_from([2, 3, 5]), stride=st.sampled_from([1, 2]))
def test_strided_convolution(case: Case, size: int, stride: int) -> None:
    x = at_stride(case.tensor(), stride)
    kernel = random(size**3, 3, 4)
    y = functional.convolve_down(x, kernel)
    assert y.stride == 2 * stride
    assert y.coordinates.equal(reference.coarser(x.coordinates, 2 * stride))
    wanted = reference.convolve(x.features, kernel, x.coordinates, y.coordinates, stride)
    torch.testing.assert_close(y.features, wanted, **FLOAT64)


@settings(max_examples=60)
@given(case=cases(), stride=st.sampled_from([1, 2]))
def test_transposed_convolution_returns_to_the_rows_it_came_from(case: Case, stride: int) -> None:
    fine = at_stride(case.tensor(), stride)
    coarse = functional.average_pool(fine)
    kernel = random(8, 3, 4)
    y = functional.convolve_up(coarse, kernel, like=fine)
    assert y.coordinates is fine.coordinates and y.stride == stride
    wanted = reference.transposed(coarse.features, kernel, coarse.coordinates, fine.coordinates, stride)
    torch.testing.assert_close(y.features, wanted, **FLOAT64)


@settings(max_examples=40)
@given(case=cases(), stride=st.sampled_from([1, 2]))
def test_average_pool(case: Case, stride: int) -> None:
    x = at_stride(case.tensor(), stride)
    y = functional.average_pool(x)
    wanted = reference.average(x.features, x.coordinates, y.coordinates, 2 * stride)
    torch.testing.assert_close(y.features, wanted, **FLOAT64)


@settings(max_examples=30)
@given(case=cases(), shift=st.tuples(*[st.integers(-5, 5)] * 3))
def test_moving_the_voxels_moves_nothing_else(case: Case, shift: tuple[int, int, int]) -> None:
    x = case.tensor()
    kernel = random(27, 3, 4)
    moved = SparseTensor.from_coordinates(x.coordinates + torch.tensor([0, *shift], dtype=torch.int32), x.features)
    torch.testing.assert_close(
        functional.convolve(moved, kernel).features, functional.convolve(x, kernel).features, **FLOAT64
    )


@settings(max_examples=30)
@given(case=cases())
def test_elements_of_a_batch_do_not_see_each_other(case: Case) -> None:
    x = case.tensor()
    kernel = random(27, 3, 4)
    together = functional.convolve(x, kernel).features
    for rows in x.batch_rows(4):
        alone = SparseTensor.from_coordinates(x.coordinates[rows], x.features[rows])
        torch.testing.assert_close(together[rows], functional.convolve(alone, kernel).features, **FLOAT64)


def grid(edge: int, channels: int, dtype: torch.dtype = torch.float64) -> SparseTensor:
    axis = torch.arange(-edge // 2, edge // 2, dtype=torch.int32)
    voxels = torch.cartesian_prod(axis[:1] * 0, axis, axis, axis)
    features = torch.randn(len(voxels), channels, dtype=dtype, generator=torch.Generator().manual_seed(1))
    return SparseTensor.from_coordinates(voxels, features)


@pytest.mark.parametrize("channels", [4, 16, 64])
def test_full_grids_equal_dense_convolution(channels: int) -> None:
    x = grid(22, channels, torch.float32)
    assert len(x) > 10 * pair_tiles.TILE_ROWS
    kernel = random(27, channels, 64).float() / channels
    volume = x.features.t().reshape(1, channels, 22, 22, 22)
    # A kernel row is x + 3 y + 9 z; a dense weight is [out, in, x, y, z].
    weight = kernel.reshape(3, 3, 3, channels, 64).permute(4, 3, 2, 1, 0)
    dense = torch.nn.functional.conv3d(volume, weight, padding=1).reshape(64, -1).t()
    with torch.inference_mode():
        torch.testing.assert_close(functional.convolve(x, kernel).features, dense, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(functional.convolve(x, kernel).features, dense, rtol=1e-4, atol=1e-4)


def small(channels: int = 2, seed: int = 0) -> SparseTensor:
    generator = torch.Generator().manual_seed(seed)
    voxels = torch.unique(torch.randint(-2, 2, (12, 4), generator=generator) * torch.tensor([0, 1, 1, 1]), dim=0).int()
    features = torch.randn(len(voxels), channels, dtype=torch.float64, generator=generator, requires_grad=True)
    return SparseTensor.from_coordinates(voxels, features)


@pytest.mark.parametrize("channels", [2, 9])
@pytest.mark.parametrize("operation", ["convolve", "convolve_down", "convolve_up", "strided_3", "pool", "matrix"])
def test_gradients(operation: str, channels: int) -> None:
    x = small(channels)
    coarse = functional.average_pool(x)
    rows = {"matrix": (), "convolve": (27,), "strided_3": (27,)}.get(operation, (8,))
    kernel = random(*rows, channels, 3).requires_grad_()
    bias = random(1, 3).requires_grad_()
    functions = {
        "convolve": lambda f, k, b: functional.convolve(x.replace(f), k, b),
        "matrix": lambda f, k, b: functional.convolve(x.replace(f), k, b),
        "convolve_down": lambda f, k, b: functional.convolve_down(x.replace(f), k, b),
        "strided_3": lambda f, k, b: functional.convolve_down(x.replace(f), k, b),
        "convolve_up": lambda f, k, b: functional.convolve_up(coarse.replace(f), k, 1, b),
        "pool": lambda f, k, b: functional.average_pool(x.replace(f)),
    }
    features = coarse.features.detach().requires_grad_() if operation == "convolve_up" else x.features
    assert torch.autograd.gradcheck(lambda *a: functions[operation](*a).features, (features, kernel, bias))


def test_what_was_run_in_inference_mode_does_not_hinder_training() -> None:
    x = small(9)
    kernel = random(27, 9, 3).requires_grad_()
    with torch.inference_mode():
        inferred = functional.convolve(x, kernel).features
    y = functional.convolve(x, kernel)
    y.features.sum().backward()
    assert kernel.grad is not None and x.features.grad is not None
    assert torch.equal(inferred, y.features.detach())


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((8, 2, 3), "kernel size is 2, at stride 1 it must be odd"),
        ((27, 5, 3), "kernel has 5 input channels, the tensor 2"),
        ((26, 2, 3), "kernel has 26 rows, not the cube of its size"),
        ((9**3, 2, 3), "a kernel looks 4 cells away, the limit is 3 cells"),
    ],
)
def test_kernels_that_do_not_fit(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        functional.convolve(small(), torch.zeros(shape, dtype=torch.float64))


def test_other_types_are_not_converted() -> None:
    with pytest.raises(ConfigError, match=r"kernel is torch.float32, the tensor torch.float64"):
        functional.convolve(small(), torch.zeros(27, 2, 3))


def test_levels_that_are_not_there() -> None:
    with pytest.raises(ConfigError, match=r"cannot go from stride 1 to 2; levels are \[1\]"):
        functional.convolve_up(small(), torch.zeros(8, 2, 3, dtype=torch.float64), like=2)
