from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

torch = pytest.importorskip("torch", reason="the sparse engine needs PyTorch")

from seg3d_core.sparse import matmul  # noqa: E402
from seg3d_core.sparse.kernel_maps import KernelMap  # noqa: E402
from seg3d_core.sparse.products import convolve_pairs  # noqa: E402


@pytest.mark.parametrize("channels", [(8, 16), (64, 64), (96, 128)])
@pytest.mark.parametrize("has_onednn", [True, False])
def test_both_products_are_the_plain_one(
    monkeypatch: pytest.MonkeyPatch, channels: tuple[int, int], has_onednn: bool
) -> None:
    if not has_onednn:
        monkeypatch.setattr(matmul, "onednn_linear", lambda: None)
    generator = torch.Generator().manual_seed(0)
    kernel = torch.randn(8, *channels, generator=generator)
    rows = torch.randn(50, channels[0], generator=generator)
    with torch.no_grad():
        multiply = matmul.Multiplier(kernel, longest=60)
        for kernel_row in (0, 7):
            wanted = rows.double() @ kernel[kernel_row].double()
            torch.testing.assert_close(multiply(rows, kernel_row).double(), wanted, rtol=1e-4, atol=1e-4)


def test_threads_do_not_share_scratch() -> None:
    rows = torch.randperm(3000, generator=torch.Generator().manual_seed(1))
    pairs = KernelMap([rows, rows.flip(0)], [torch.arange(3000)] * 2, 3000, 3000)
    kernel = torch.randn(2, 16, 16, generator=torch.Generator().manual_seed(2))
    inputs = [torch.full((3000, 16), float(i)) for i in range(16)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda x: convolve_pairs(x, kernel, pairs), inputs))
    for x, result in zip(inputs, together, strict=True):
        assert torch.equal(result, convolve_pairs(x, kernel, pairs))
