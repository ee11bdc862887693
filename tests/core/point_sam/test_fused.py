"""What runs on a CPU without gradients against the plain modules that are trained."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch.nn import functional  # noqa: E402

from seg3d_core.point_sam import linear as linear_module  # noqa: E402
from seg3d_core.point_sam.linear import Linear, linear  # noqa: E402
from seg3d_core.point_sam.model import PointSamNetwork  # noqa: E402
from seg3d_core.point_sam.norm_kernels import norm_interpolated, norm_members, norm_patches  # noqa: E402
from seg3d_core.point_sam.patches import PatchPointNet  # noqa: E402
from seg3d_core.point_sam.prompts import MaskEncoder  # noqa: E402
from seg3d_core.point_sam_config import POINT_SAM_PRESETS  # noqa: E402

widths = st.sampled_from([1, 3, 16, 31, 128, 200])


def drawn(seed, *shape, scale=1.0):
    return torch.from_numpy(np.random.default_rng(seed).normal(scale=scale, size=shape).astype(np.float32))


def norm_gelu(x, scale, shift):
    return functional.gelu(functional.layer_norm(x, scale.shape, scale, shift, eps=1e-5))


def arrays(*tensors):
    return [tensor.numpy() for tensor in tensors]


@given(widths, st.integers(1, 20), st.sampled_from([1e-3, 1.0, 100.0]))
def test_norm_of_members(width, count, scale):
    rows, values, column = drawn(0, count, width, scale=scale), drawn(1, count), drawn(2, width)
    gamma, beta, out = 3 * drawn(3, width), 3 * drawn(4, width), torch.empty(count, width)
    norm_members(*arrays(rows, values, column, gamma, beta), np.float32(1e-5), out.numpy())
    torch.testing.assert_close(out, norm_gelu(rows + values[:, None] * column, gamma, beta), atol=2e-5, rtol=2e-5)


@given(widths, st.integers(1, 5), st.integers(1, 9))
def test_norm_of_members_that_know_their_patch(width, patches, size):
    rows, told, gamma, beta = (
        drawn(0, patches * size, width),
        drawn(1, patches, width),
        drawn(2, width),
        drawn(3, width),
    )
    expected = norm_gelu(rows + told.repeat_interleave(size, dim=0), gamma, beta)
    norm_patches(*arrays(rows, told, gamma, beta), np.float32(1e-5))
    torch.testing.assert_close(rows, expected, atol=2e-5, rtol=2e-5)


@given(widths, st.integers(3, 9), st.integers(1, 20))
def test_norm_of_points_between_patches(width, patches, count):
    features, gamma, beta = drawn(0, patches, width), drawn(1, width), drawn(2, width)
    near = torch.from_numpy(np.random.default_rng(3).integers(0, patches, (count, 3)))
    weights, out = drawn(4, count, 3).softmax(-1), torch.empty(count, width)
    norm_interpolated(*arrays(features, near, weights, gamma, beta), np.float32(1e-5), out.numpy())
    expected = norm_gelu((features[near] * weights[..., None]).sum(1), gamma, beta)
    torch.testing.assert_close(out, expected, atol=2e-5, rtol=2e-5)


def test_gelu_at_its_ends():
    """Far out it is 0, or the number itself."""
    wide = torch.tensor([[-1.0, 1.0]])
    out = torch.empty(1, 2)
    gamma, beta = torch.full((2,), 300.0), torch.zeros(2)
    norm_members(*arrays(wide, torch.zeros(1), beta, gamma, beta), np.float32(0), out.numpy())
    torch.testing.assert_close(out, torch.tensor([[0.0, 300.0]]), atol=3e-5, rtol=1e-6)


@pytest.fixture(params=["oneDNN", "without"])
def products(request, monkeypatch):
    """With the operator of oneDNN where this PyTorch has it, and without."""
    if request.param == "without":
        monkeypatch.setattr(linear_module, "onednn_linear", lambda: None)
        monkeypatch.setattr("seg3d_core.sparse.matmul.onednn_linear", lambda: None)


@pytest.mark.usefixtures("products")
@pytest.mark.parametrize("then", ["none", "relu", "gelu", "swish"])
@pytest.mark.parametrize("rows", [1, 7, 300])
def test_linear_layers_are_the_same_with_and_without_gradients(monkeypatch, then, rows):
    monkeypatch.setattr(linear_module, "_WORTHWHILE", 100)
    torch.manual_seed(0)
    layer = Linear(33, 47)
    x = torch.randn(2, rows, 33)
    plain = layer(x, then)
    with torch.no_grad():
        torch.testing.assert_close(layer(x, then), plain, atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(linear(x, layer.weight, None, then), linear(x, layer.weight, then=then).clone())
    assert plain.requires_grad


@pytest.mark.usefixtures("products")
@pytest.mark.parametrize(("patches", "size"), [(1, 1), (5, 7), (40, 64), (3, 900)])
@pytest.mark.parametrize("hidden", [(8, 24), (128, 512)])
def test_the_pointnet(patches, size, hidden):
    torch.manual_seed(0)
    net = PatchPointNet(6, hidden, 20)
    members = torch.randn(patches, size, 6)
    plain = net(members)
    with torch.no_grad():
        torch.testing.assert_close(net(members), plain, atol=2e-5, rtol=1e-4)


def test_several_masks_of_several_clouds():
    """Every mask shares the offsets of its cloud."""
    torch.manual_seed(0)
    encoder = MaskEncoder((16, 32), 24)
    offsets, logits = torch.randn(2, 5, 8, 16), torch.randn(2, 3, 5, 8)
    plain = encoder.patch_encoder.after_first(offsets[:, None], logits)
    assert plain.requires_grad and plain.shape == (2, 3, 5, 24)
    with torch.no_grad():
        torch.testing.assert_close(
            encoder.patch_encoder.after_first(offsets[:, None], logits), plain, atol=2e-5, rtol=0
        )


@pytest.mark.usefixtures("products")
@pytest.mark.parametrize("threads", [1, 2])
def test_the_whole_network(threads):
    """Blocks depend on the number of threads, answers do not."""
    torch.manual_seed(0)
    network = PointSamNetwork(POINT_SAM_PRESETS["nano"]).eval()
    xyz, rgb = torch.rand(1, 3000, 3) - 0.5, torch.rand(1, 3000, 3)
    given = (xyz[:, None, :2], torch.tensor([[[True, False]]]), torch.randn(1, 1, 3000))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        plain = network.decode(network.encode(xyz, rgb, 60, 40), *given, True)
        with torch.inference_mode():
            fused = network.decode(network.encode(xyz, rgb, 60, 40), *given, True)
    finally:
        torch.set_num_threads(before)
    assert plain.mask_logits.requires_grad
    torch.testing.assert_close(fused.mask_logits, plain.mask_logits, atol=5e-5, rtol=1e-4)
    torch.testing.assert_close(fused.iou_predictions, plain.iou_predictions, atol=2e-5, rtol=1e-4)


def test_weights_that_change_are_seen_at_once():
    """Nothing packed outlives a call."""
    torch.manual_seed(0)
    net, members = PatchPointNet(6, (8, 16), 4), torch.randn(3, 5, 6)
    with torch.no_grad():
        net(members)
        for parameter in net.parameters():
            parameter.mul_(1.5)
        found = net(members)
    torch.testing.assert_close(found, net(members), atol=2e-5, rtol=1e-4)
