"""Both ways of multiplying: compiled tiles on a CPU, lists and PyTorch's own operations elsewhere."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the sparse engine needs PyTorch")

from seg3d_core.sparse.compiled_products import PackedKernel, kernel_gradient, sum_of_products  # noqa: E402
from seg3d_core.sparse.kernel_maps import KernelMap  # noqa: E402
from seg3d_core.sparse.matmul import onednn_linear  # noqa: E402
from seg3d_core.sparse.pair_tiles import TILE_ROWS, PairTiles  # noqa: E402
from seg3d_core.sparse.products import convolve_pairs  # noqa: E402

EXACT = {torch.float32: {"rtol": 1e-4, "atol": 1e-4}, torch.float64: {"rtol": 1e-12, "atol": 1e-12}}


@st.composite
def maps(draw: st.DrawFn) -> KernelMap:
    """Random lists, also empty and very unequal ones, over none, a few or several tiles of rows."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    inputs, outputs = (draw(st.sampled_from([0, 1, 5, 40, TILE_ROWS, 2 * TILE_ROWS + 3])) for _ in range(2))
    volume = draw(st.sampled_from([1, 3, 8]))
    input_rows, output_rows = [], []
    for _ in range(volume):
        length = draw(st.integers(0, min(inputs, outputs, 30)))
        output_rows.append(torch.randperm(outputs, generator=generator)[:length])
        input_rows.append(torch.randperm(inputs, generator=generator)[:length])
    if inputs == outputs and draw(st.booleans()):
        input_rows[0] = output_rows[0] = torch.zeros(0, dtype=torch.int64)
        return KernelMap(input_rows, output_rows, inputs, outputs, identity=0)
    return KernelMap(input_rows, output_rows, inputs, outputs)


def obvious(features: torch.Tensor, kernel: torch.Tensor, pairs: KernelMap) -> torch.Tensor:
    result = features.new_zeros(pairs.output_count, kernel.shape[2])
    for k, (inputs, outputs) in enumerate(zip(pairs.input_rows, pairs.output_rows, strict=True)):
        for i, o in zip(inputs.tolist(), outputs.tolist(), strict=True):
            result[o] += features[i] @ kernel[k]
    return result if pairs.identity is None else result + features @ kernel[pairs.identity]


@settings(max_examples=60)
@given(
    pairs=maps(),
    width=st.sampled_from([1, 3, 6, 7, 16]),
    channels=st.sampled_from([1, 8, 24, 32, 40]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    added=st.booleans(),
    relu=st.booleans(),
)
def test_tiles_and_lists(pairs, width, channels, dtype, added, relu) -> None:
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(pairs.input_count, width, generator=generator, dtype=dtype)
    kernel = torch.randn(len(pairs.input_rows), width, channels, generator=generator, dtype=dtype)
    bias = torch.randn(channels, generator=generator, dtype=dtype) if added else None
    residual = torch.randn(pairs.output_count, channels, generator=generator, dtype=dtype) if added else None
    wanted = obvious(features, kernel, pairs)
    tiles = PairTiles.of(pairs)
    assert tiles.pair_count == pairs.pair_count
    torch.testing.assert_close(convolve_pairs(features, kernel, pairs), wanted, **EXACT[dtype])
    torch.testing.assert_close(convolve_pairs(features, kernel, tiles), wanted, **EXACT[dtype])
    if added:
        wanted = wanted + bias + residual
    result = sum_of_products(features, PackedKernel.of(kernel), tiles, bias, residual, relu)
    torch.testing.assert_close(result, wanted.relu() if relu else wanted, **EXACT[dtype])


@settings(max_examples=40)
@given(pairs=maps(), width=st.sampled_from([1, 6, 7, 16]), channels=st.sampled_from([1, 8, 24, 32, 40]))
def test_gradients_of_tiles_and_lists(pairs, width, channels) -> None:
    generator = torch.Generator().manual_seed(2)
    gradient = torch.randn(pairs.output_count, channels, generator=generator, dtype=torch.float64)
    gradients = []
    for own in (pairs, PairTiles.of(pairs)):
        generator = torch.Generator().manual_seed(3)
        features = torch.randn(pairs.input_count, width, generator=generator, dtype=torch.float64, requires_grad=True)
        kernel = torch.randn(len(pairs.input_rows), width, channels, generator=generator, dtype=torch.float64)
        kernel.requires_grad_()
        convolve_pairs(features, kernel, own).backward(gradient)
        gradients.append((features.grad, kernel.grad))
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-12, atol=1e-12)


def _large() -> tuple[torch.Tensor, torch.Tensor, PairTiles]:
    rows = torch.randperm(3000, generator=torch.Generator().manual_seed(1))
    pairs = PairTiles.of(KernelMap([rows, rows.flip(0)], [torch.arange(3000)] * 2, 3000, 3000))
    generator = torch.Generator().manual_seed(2)
    return torch.randn(3000, 16, generator=generator), torch.randn(2, 16, 40, generator=generator), pairs


@pytest.mark.parametrize("threads", [2, 5, 50])
def test_threads_change_nothing(threads: int) -> None:
    features, kernel, pairs = _large()
    gradient = torch.ones(3000, 40)
    alone = convolve_pairs(features, kernel, pairs), kernel_gradient(features, gradient, pairs)
    torch.set_num_threads(threads)
    assert torch.equal(convolve_pairs(features, kernel, pairs), alone[0])
    assert torch.equal(kernel_gradient(features, gradient, pairs), alone[1])


@pytest.mark.parametrize("tiled", [True, False])
def test_callers_on_many_threads_do_not_disturb_each_other(tiled: bool) -> None:
    features, kernel, pairs = _large()
    rows = torch.randperm(3000, generator=torch.Generator().manual_seed(1))
    own = pairs if tiled else KernelMap([rows, rows.flip(0)], [torch.arange(3000)] * 2, 3000, 3000)
    inputs = [features + i for i in range(16)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda x: convolve_pairs(x, kernel, own), inputs))
    for x, result in zip(inputs, together, strict=True):
        assert torch.equal(result, convolve_pairs(x, kernel, own))


def test_the_product_that_others_are_measured_by_is_exact() -> None:
    linear = onednn_linear()
    if linear is None:
        pytest.skip("this PyTorch has no oneDNN")
    left, right = torch.randn(2, 50, 70, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(linear(left, right, None, "none", [], ""), left @ right.t(), rtol=1e-4, atol=1e-4)
