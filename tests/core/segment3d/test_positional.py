"""Fourier encodings of positions."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from seg3d_core.segment3d.positional import FourierEncoding  # noqa: E402


def test_the_projection_is_part_of_the_checkpoint():
    assert FourierEncoding(16).state_dict()["gauss_B"].shape == (3, 8)


def test_sines_then_cosines_of_the_place_in_the_box():
    encoding = FourierEncoding(4)
    encoding.gauss_B[:] = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    box = torch.tensor([0.0, 0.0, 0.0]), torch.tensor([4.0, 8.0, 1.0])
    encoded = encoding(torch.tensor([[1.0, 1.0, 0.5]]), *box)
    quarter, eighth = math.pi / 2, math.pi / 4
    expected = [math.sin(quarter), math.sin(eighth), math.cos(quarter), math.cos(eighth)]
    torch.testing.assert_close(encoded, torch.tensor([expected]))


def test_unit_and_place_of_the_world_do_not_matter():
    torch.manual_seed(0)
    encoding = FourierEncoding(32).double()
    points = torch.rand(50, 3, dtype=torch.float64)
    moved = points * torch.tensor([3.0, 0.5, 7.0]) + torch.tensor([100.0, -20.0, 3.0])
    expected = encoding(points, points.amin(0), points.amax(0))
    torch.testing.assert_close(encoding(moved, moved.amin(0), moved.amax(0)), expected)


@pytest.mark.parametrize("flat", [[0], [2], [0, 1], [0, 1, 2]])
def test_axes_without_extent_are_finite(flat):
    points = torch.rand(20, 3)
    points[:, flat] = 1.25
    encoded = FourierEncoding(16)(points, points.amin(0), points.amax(0))
    assert encoded.isfinite().all()
