"""Against what MinkowskiEngine computed: single layers, recorded in float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the sparse engine needs PyTorch")

from seg3d_core.sparse import functional, reference  # noqa: E402
from seg3d_core.sparse.tensor import SparseTensor  # noqa: E402

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "segment3d_reference_ops.pt"
FLOAT32 = 2e-6
"""The recorded outputs are sums of up to 125 x 3 float32 products of order 1."""


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    return torch.load(GOLDEN, weights_only=True)


def run(name: str, operation: dict[str, Any], maps: SparseTensor, dtype: torch.dtype) -> SparseTensor:
    stride = 2 if name in ("conv_k3s1_at_stride2", "conv_k2s2_level2", "convtr_k2s2") else 1
    coordinates = maps.maps.coordinates(stride)
    order = rows_of(coordinates, operation["in_coords"])
    x = SparseTensor(coordinates, operation["in_feats"][order].to(dtype), stride, maps.maps)
    if name == "avgpool_k2s2":
        return functional.average_pool(x)
    kernel = operation["kernel"].to(dtype)
    bias = None if operation["bias"] is None else operation["bias"].to(dtype)
    if name == "convtr_k2s2":
        return functional.convolve_up(x, kernel, 1, bias)
    down = operation["tensor_stride"][0] != stride
    return (functional.convolve_down if down else functional.convolve)(x, kernel, bias)


def rows_of(wanted: torch.Tensor, coordinates: torch.Tensor) -> list[int]:
    rows = reference.row_of_coordinate(coordinates)
    return [rows[tuple(coordinate)] for coordinate in wanted.tolist()]


NAMES = [
    "conv_k3s1", "conv_k5s1", "conv_k1s1", "conv_k2s2", "conv_k2s2_level2", "conv_k3s1_at_stride2", "convtr_k2s2",
    "avgpool_k2s2", "conv_k3s2",
]  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", NAMES)
def test_layers_equal_the_recorded_ones(recorded: dict[str, Any], name: str, dtype: torch.dtype) -> None:
    coordinates = recorded["coords"]
    x = SparseTensor.from_coordinates(coordinates, recorded["feats"])
    x.maps.coarser(1)
    operation = recorded["ops"][name]
    y = run(name, operation, x, dtype)
    assert len(y) == len(operation["out_coords"])
    wanted = operation["out_feats"][rows_of(y.coordinates, operation["out_coords"])]
    assert y.features.dtype == dtype
    torch.testing.assert_close(y.features.double(), wanted.double(), rtol=FLOAT32, atol=FLOAT32)


def test_every_recorded_layer_is_tested(recorded: dict[str, Any]) -> None:
    assert set(recorded["ops"]) == set(NAMES)


def test_the_readable_reference_equals_the_recorded_layers(recorded: dict[str, Any]) -> None:
    for name in ("conv_k3s1", "conv_k5s1", "conv_k2s2", "conv_k3s2", "conv_k3s1_at_stride2"):
        operation = recorded["ops"][name]
        stride = 2 if name.endswith("at_stride2") else 1
        y = reference.convolve(
            operation["in_feats"].double(),
            operation["kernel"].double(),
            operation["in_coords"],
            operation["out_coords"],
            stride,
        )
        torch.testing.assert_close(y, operation["out_feats"].double(), rtol=FLOAT32, atol=FLOAT32)
    operation = recorded["ops"]["convtr_k2s2"]
    y = reference.transposed(
        operation["in_feats"].double(),
        operation["kernel"].double(),
        operation["in_coords"],
        operation["out_coords"],
        1,
    )
    torch.testing.assert_close(y, operation["out_feats"].double(), rtol=FLOAT32, atol=FLOAT32)


def test_offsets_equal_the_recorded_ones(recorded: dict[str, Any]) -> None:
    for size, offsets in recorded["kernel_offsets"].items():
        assert torch.tensor(reference.offsets(size)).equal(offsets)
