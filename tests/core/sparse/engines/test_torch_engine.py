from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the sparse engine needs PyTorch")

from seg3d_core.errors import ConfigError  # noqa: E402
from seg3d_core.sparse import functional  # noqa: E402
from seg3d_core.sparse.engines.interface import Step  # noqa: E402
from seg3d_core.sparse.engines.torch_engine import TorchEngine  # noqa: E402
from seg3d_core.sparse.tensor import SparseTensor  # noqa: E402

ENGINE = TorchEngine(torch.device("cpu"))


STEPS = [
    (Step(1), (6, 5), functional.convolve),
    (Step(3), (27, 6, 5), functional.convolve),
    (Step(5), (125, 6, 5), functional.convolve),
    (Step(2, "down"), (8, 6, 5), functional.convolve_down),
    (Step(3, "down"), (27, 6, 5), functional.convolve_down),
    (Step(2, "up"), (8, 6, 5), lambda x, kernel: functional.convolve_up(x, kernel, x.stride // 2)),
]


@pytest.fixture
def x() -> SparseTensor:
    """Stride 2, six channels, two scenes."""
    generator = torch.Generator().manual_seed(0)
    voxels = torch.randint(-6, 6, (300, 4), generator=generator, dtype=torch.int32)
    voxels[:, 0] %= 2
    coordinates = voxels.unique(dim=0)
    coarse = functional.average_pool(SparseTensor.from_coordinates(coordinates, torch.zeros(len(coordinates), 1)))
    return coarse.replace(torch.randn(len(coarse), 6, generator=generator, dtype=torch.float64))


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize(("step", "shape", "plain"), STEPS)
def test_a_layer_is_a_convolution_and_what_follows_it(step, shape, plain, relu: bool, x: SparseTensor) -> None:
    generator = torch.Generator().manual_seed(1)
    kernel = torch.randn(*shape, generator=generator, dtype=torch.float64)
    bias = torch.randn(5, generator=generator, dtype=torch.float64)
    expected = plain(x, kernel)
    residual = torch.randn(expected.features.shape, generator=generator, dtype=torch.float64)
    before = x.features.clone(), residual.clone()
    for b, r in ((None, None), (bias, None), (None, residual), (bias, residual)):
        total = expected.features + (0 if b is None else b) + (0 if r is None else r)
        result = ENGINE.convolution(kernel, b, step, relu)(x, r)
        torch.testing.assert_close(result.features, total.relu() if relu else total, rtol=0, atol=1e-12)
        assert result.stride == expected.stride
        assert result.maps is x.maps
        assert torch.equal(result.coordinates, expected.coordinates)
    assert torch.equal(x.features, before[0])
    assert torch.equal(residual, before[1])


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="the kernel has size 3, its step 5"):
        ENGINE.convolution(torch.zeros(27, 4, 4), None, Step(5))
    with pytest.raises(ConfigError, match="float16 is for CUDA devices; a CPU computes in float32 or float64"):
        ENGINE.convolution(torch.zeros(27, 4, 4, dtype=torch.float16), None, Step(3))
    with pytest.raises(ConfigError, match="the kernel is on meta, the engine on cpu"):
        ENGINE.convolution(torch.zeros(27, 4, 4, device="meta"), None, Step(3))
