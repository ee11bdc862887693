"""The Triton engine where there is a GPU: results, determinism, and that nothing waits or compiles on the way."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the sparse engine needs PyTorch")
triton = pytest.importorskip("triton", reason="Triton is not installed (pip install triton==3.7.1, Linux)")

from seg3d_core.sparse.engines import triton_kernels  # noqa: E402
from seg3d_core.sparse.engines.interface import Step  # noqa: E402
from seg3d_core.sparse.engines.torch_engine import TorchEngine  # noqa: E402
from seg3d_core.sparse.engines.triton_engine import TritonEngine  # noqa: E402
from seg3d_core.sparse.tensor import SparseTensor  # noqa: E402

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

DEVICE = torch.device("cuda", 0)
TOLERANCE = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}
STEPS = [Step(1), Step(3), Step(5), Step(2, "down"), Step(3, "down"), Step(2, "up")]
CHANNELS = [(3, 32), (1, 5), (16, 16), (17, 33), (32, 96), (64, 128), (100, 20), (96, 96), (128, 192), (384, 256)]


@pytest.fixture(scope="module")
def engine() -> TritonEngine:
    return TritonEngine(DEVICE)


def cloud(seed: int, count: int, extent: int, channels: int, dtype: torch.dtype) -> SparseTensor:
    generator = torch.Generator().manual_seed(seed)
    position = torch.randint(-extent, extent, (count, 3), generator=generator)
    batch = 2 * torch.randint(0, 2, (count, 1), generator=generator)
    unique = torch.unique(torch.cat([batch, position], 1), dim=0).int()
    unique = unique[torch.randperm(len(unique), generator=generator)].to(DEVICE)
    features = torch.randn(len(unique), channels, generator=generator).to(DEVICE, dtype)
    return SparseTensor.from_coordinates(unique, features)


def kernel_of(step: Step, channels: tuple[int, int], dtype: torch.dtype) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    rows = () if step.kernel_size == 1 else (step.kernel_size**3,)
    return (torch.randn(*rows, *channels, generator=generator) / (4 * channels[0]) ** 0.5).to(DEVICE, dtype)


def at_input_of(step: Step, x: SparseTensor) -> SparseTensor:
    if step.direction != "up":
        return x
    coarse = x.maps.coarser(x.stride)
    return SparseTensor(coarse, x.features[: len(coarse)], 2 * x.stride, x.maps)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**31),
    count=st.sampled_from([0, 1, 63, 64, 65, 1000, 40_000]),
    extent=st.sampled_from([2, 20, 5000]),
    channels=st.sampled_from(CHANNELS),
    step=st.sampled_from(STEPS),
    dtype=st.sampled_from(list(TOLERANCE)),
    relu=st.booleans(),
    has_residual=st.booleans(),
)
def test_one_layer(
    engine: TritonEngine,
    seed: int,
    count: int,
    extent: int,
    channels: tuple[int, int],
    step: Step,
    dtype: torch.dtype,
    relu: bool,
    has_residual: bool,
) -> None:
    x = at_input_of(step, cloud(seed, count, extent, channels[0], dtype))
    kernel = kernel_of(step, channels, dtype)
    bias = torch.linspace(-1, 1, channels[1], device=DEVICE, dtype=dtype)
    exact = TorchEngine(DEVICE).convolution(kernel.double(), bias.double(), step, relu)
    rows = len(exact(x.replace(x.features.double())))
    residual = torch.ones(rows, channels[1], device=DEVICE, dtype=dtype).cumsum(1) / 10 if has_residual else None
    wanted = exact(x.replace(x.features.double()), None if residual is None else residual.double())
    result = engine.convolution(kernel, bias, step, relu)(x, residual)
    assert result.features.dtype == dtype and result.coordinates.equal(wanted.coordinates)
    tolerance = TOLERANCE[dtype]
    torch.testing.assert_close(result.features.double(), wanted.features, rtol=tolerance, atol=tolerance)


def layers(engine: TritonEngine) -> Callable[[SparseTensor], SparseTensor]:
    dtype = torch.float16
    steps = [(Step(5), (3, 32)), (Step(2, "down"), (32, 32)), (Step(3), (32, 64)), (Step(1), (64, 96))]
    steps += [(Step(2, "up"), (96, 96)), (Step(3), (96, 96))]
    made = [engine.convolution(kernel_of(step, channels, dtype), None, step, True) for step, channels in steps]
    last = made[-1]

    def run(x: SparseTensor) -> SparseTensor:
        for layer in made:
            x = layer(x)
        return last(x, x.features)

    return run


def test_with_its_maps_made_nothing_waits_for_the_gpu(engine: TritonEngine) -> None:
    run = layers(engine)
    x = cloud(0, 20_000, 30, 3, torch.float16)
    before = run(x).features
    torch.cuda.set_sync_debug_mode("error")
    try:
        after = run(x).features
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert after.equal(before)


def test_no_input_makes_the_compiler_run(engine: TritonEngine) -> None:
    def compiled() -> int:
        kernels = (triton_kernels.convolve_tiles, triton_kernels.convolve_few_channels)
        return sum(len(kernel.device_caches[DEVICE.index][0]) for kernel in kernels)

    run = layers(engine)
    count = compiled()
    for voxels in (1, 100, 3000, 60_000):
        run(cloud(1, voxels, 40, 3, torch.float16))
    assert compiled() == count


def test_another_device_may_be_current(engine: TritonEngine) -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("there is one CUDA device")
    run = layers(engine)
    x = cloud(2, 3000, 20, 3, torch.float16)
    wanted = run(x).features
    with torch.cuda.device(1):
        assert run(x).features.equal(wanted)
