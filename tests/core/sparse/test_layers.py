from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the sparse engine needs PyTorch")

from seg3d_core.errors import ConfigError  # noqa: E402
from seg3d_core.sparse import functional  # noqa: E402
from seg3d_core.sparse.layers import BatchNorm, Convolution, TransposedConvolution  # noqa: E402
from seg3d_core.sparse.tensor import SparseTensor  # noqa: E402


def shapes(layer: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in layer.state_dict().items()}


def cube(channels: int) -> SparseTensor:
    axis = torch.arange(-2, 2, dtype=torch.int32)
    voxels = torch.cartesian_prod(axis[:1] * 0, axis, axis, axis)
    return SparseTensor.from_coordinates(voxels, torch.randn(64, channels))


def test_parameters_are_named_and_shaped_as_in_released_weights() -> None:
    assert shapes(Convolution(3, 32, 5)) == {"kernel": (125, 3, 32)}
    assert shapes(Convolution(96, 20, 1, bias=True)) == {"kernel": (96, 20), "bias": (1, 20)}
    assert shapes(Convolution(32, 32, 2, stride=2)) == {"kernel": (8, 32, 32)}
    assert shapes(TransposedConvolution(256, 128)) == {"kernel": (8, 256, 128)}
    names = ("weight", "bias", "running_mean", "running_var")
    assert shapes(BatchNorm(4)) == {**{f"bn.{name}": (4,) for name in names}, "bn.num_batches_tracked": ()}


def test_initial_values_fill_the_range_that_the_fan_gives() -> None:
    torch.manual_seed(0)
    for layer, fan in [
        (Convolution(16, 64, 3), 16 * 27),
        (Convolution(64, 16, 1), 64),
        (TransposedConvolution(16, 64), 64 * 8),
    ]:
        largest = layer.kernel.abs().max() * fan**0.5
        assert 0.95 < largest <= 1


def test_down_and_up_again() -> None:
    x = cube(3)
    down, up = Convolution(3, 8, 2, stride=2, bias=True), TransposedConvolution(8, 5, bias=True)
    coarse = down(x)
    fine = up(coarse)
    assert (coarse.stride, len(coarse), fine.stride) == (2, 8, 1)
    assert fine.coordinates is x.coordinates and fine.features.shape == (64, 5)
    torch.testing.assert_close(coarse.features, functional.convolve_down(x, down.kernel, down.bias).features)


def test_batch_norm_normalises_over_all_voxels() -> None:
    x = cube(4)
    y = BatchNorm(4, momentum=0.02)(x.replace(3 * x.features + 7))
    torch.testing.assert_close(y.features.mean(0), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.features.var(0, correction=0), torch.ones(4), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("size", "stride"), [(2, 1), (4, 1), (1, 2), (9, 1), (3, 3)])
def test_layers_that_do_not_exist(size: int, stride: int) -> None:
    with pytest.raises(ConfigError, match=f"no convolution of size {size} and stride {stride}"):
        Convolution(3, 4, size, stride)
