from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")

from seg3d_core.errors import InputError  # noqa: E402
from seg3d_core.point_ops.interpolation import interpolate, inverse_square_weights, three_nearest  # noqa: E402


def slowly(features, indices, weights):
    """One batch element, one point and one neighbour after the other."""
    *batch, channels = (*features.shape[:-2], features.shape[-1])
    table = (*batch, *indices.shape[-2:])
    indices, weights = indices.expand(table), weights.expand(table)
    mixed = torch.zeros(*table[:-1], channels, dtype=features.dtype)
    for place in np.ndindex(*table[:-1]):
        for k in range(table[-1]):
            mixed[place] += weights[(*place, k)] * features[(*place[:-1], int(indices[(*place, k)]))]
    return mixed


def test_weights_by_hand():
    # 1, 2 and 2 away: 1 : 1/4 : 1/4. On a centre: all of it, as far as the floor lets it.
    weights = inverse_square_weights(torch.tensor([[1.0, 2, 2], [0, 1, 1], [0, 0, 0]]))
    torch.testing.assert_close(weights[0], torch.tensor([4.0, 1, 1]) / 6)
    torch.testing.assert_close(weights[1], torch.tensor([1 - 2e-8, 1e-8, 1e-8]))
    torch.testing.assert_close(weights[2], torch.ones(3) / 3)


def test_between_three_centres():
    centres = torch.tensor([[5.0, 5, 5], [0, 0, 0], [2, 0, 0], [0, 2, 0]])
    indices, weights = three_nearest(torch.tensor([[0.0, 0, 0], [1, 1, 0]]), centres)
    assert indices.tolist() == [[1, 2, 3], [1, 2, 3]]
    mixed = interpolate(torch.tensor([[99.0], [3], [6], [9]]), indices, weights)
    torch.testing.assert_close(mixed, torch.tensor([[3.0], [6.0]]))


@pytest.mark.parametrize("batch", [(), (1,), (3,), (2, 3)])
@pytest.mark.parametrize("shared", [False, True])
@given(seed=st.integers(0, 2**31))
def test_equals_the_slow_version(batch, shared, seed):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(*batch, 6, 5, generator=generator)
    table = (1,) * len(batch) if shared else batch
    indices = torch.randint(0, 6, (*table, 9, 3), generator=generator)
    weights = torch.rand(*table, 9, 3, generator=generator)
    torch.testing.assert_close(interpolate(features, indices, weights), slowly(features, indices, weights))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types(dtype):
    features = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)).to(dtype)
    weights = torch.full((4, 3), 1 / 3, dtype=dtype)
    mixed = interpolate(features, torch.arange(12).reshape(4, 3) % 6, weights)
    assert mixed.dtype == dtype
    torch.testing.assert_close(mixed, slowly(features, torch.arange(12).reshape(4, 3) % 6, weights), atol=1e-2, rtol=0)


def test_gradients_of_features_and_weights():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 5, 4, dtype=torch.float64, generator=generator, requires_grad=True)
    weights = torch.rand(2, 7, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    indices = torch.randint(0, 5, (2, 7, 3), generator=generator)
    assert torch.autograd.gradcheck(lambda f, w: interpolate(f, indices, w), (features, weights))


def test_bad_input_is_refused_in_words():
    features, indices, weights = torch.rand(2, 6, 5), torch.zeros(4, 3, dtype=torch.int64), torch.rand(4, 3)
    plain = interpolate.__wrapped__
    with pytest.raises(InputError, match=r"indices have shape \(4, 3\), weights \(4, 2\); must be the same"):
        plain(features, indices, weights[:, :2])
    with pytest.raises(InputError, match="features are on cpu, indices on meta"):
        plain(features, indices.to("meta"), weights)
    with pytest.raises(InputError, match=r"features are torch.float32, weights torch.float64"):
        plain(features, indices, weights.double())
    with pytest.raises(InputError, match=r"a table of batch \(3,\) does not serve features of batch \(2,\)"):
        plain(features, indices.expand(3, 4, 3), weights.expand(3, 4, 3))
    with pytest.raises(InputError, match="3 nearest neighbours were asked of 2 points"):
        three_nearest(torch.zeros(4, 3), torch.zeros(2, 3))
