"""The network as it is run against the network as it is trained, and against the original's recorded predictions."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from seg3d_core.errors import InputError  # noqa: E402
from seg3d_core.segment3d.inference import InferenceNetwork  # noqa: E402
from seg3d_core.segment3d.model import Segment3DNetwork  # noqa: E402
from seg3d_core.segment3d_config import SEGMENT3D_PRESETS, Segment3DConfig  # noqa: E402
from seg3d_core.sparse.engines.torch_engine import TorchEngine  # noqa: E402
from seg3d_core.sparse.tensor import SparseTensor  # noqa: E402


def _input(tiny, rows=slice(None)):
    coordinates = tiny["coords"][rows].clone()
    coordinates[:, 0] -= coordinates[0, 0].clone()
    x = SparseTensor.from_coordinates(coordinates, tiny["feats"][rows].double())
    return x, tiny["raw_coordinates"][rows].double()


@pytest.fixture
def recorded(tiny, tiny_config):
    network = Segment3DNetwork(tiny_config)
    network.load_state_dict({k.removeprefix("model."): v for k, v in tiny["state_dict"].items()})
    return network.double()


def _with_statistics(config, seed, dtype):
    """A network whose normalisations do something."""
    torch.manual_seed(seed)
    network = Segment3DNetwork(config).to(dtype)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            torch.nn.init.normal_(module.running_mean, std=0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.2)
    return network.eval()


def _assert_same(ours, expected, **tolerance):
    torch.testing.assert_close(ours.prediction.class_logits, expected.prediction.class_logits, **tolerance)
    torch.testing.assert_close(ours.prediction.mask_logits, expected.prediction.mask_logits, **tolerance)
    assert [rows.tolist() for rows in ours.query_voxels] == [rows.tolist() for rows in expected.query_voxels]


def test_a_batch_is_that_of_the_original(tiny, recorded):
    output = InferenceNetwork(recorded)(*_input(tiny))
    expected = tiny["outputs"]
    torch.testing.assert_close(output.prediction.class_logits, expected["pred_logits"], rtol=0, atol=1e-10)
    for ours, theirs in zip(output.prediction.mask_logits, expected["pred_masks"], strict=True):
        torch.testing.assert_close(ours, theirs.T.contiguous(), rtol=0, atol=1e-10)


def test_segment_mode_is_that_of_the_original(tiny, recorded):
    expected = tiny["outputs_segments_scene0"]
    x, xyz = _input(tiny, tiny["coords"][:, 0] == 0)
    output = InferenceNetwork(recorded, "torch")(x, xyz, voxel_to_segment=expected["point2segment"])
    torch.testing.assert_close(output.prediction.mask_logits[0].T, expected["pred_masks"][0], rtol=0, atol=1e-10)


@torch.no_grad()
@settings(max_examples=15)
@given(
    seed=st.integers(0, 1000),
    scenes=st.integers(1, 3),
    channels=st.lists(st.sampled_from([3, 8, 16, 20, 32]), min_size=8, max_size=8),
    blocks=st.lists(st.integers(1, 2), min_size=8, max_size=8),
    queries=st.integers(1, 9),
)
def test_any_network_on_any_batch(seed, scenes, channels, blocks, queries):
    config = Segment3DConfig(stage_channels=tuple(channels), stage_blocks=tuple(blocks), hidden_dim=16, heads=2)
    network = _with_statistics(config, seed, torch.float64)
    voxels = torch.randint(-9, 9, (60 * scenes, 3))
    coordinates = torch.cat([(torch.arange(len(voxels)) % scenes)[:, None], voxels], 1).unique(dim=0).int()
    coordinates = coordinates[torch.randperm(len(coordinates))]
    x = SparseTensor.from_coordinates(coordinates, torch.rand(len(coordinates), 3, dtype=torch.float64))
    xyz = coordinates[:, 1:] * 0.02
    output = InferenceNetwork(network)(x, xyz, num_queries=queries)
    _assert_same(output, network(x, xyz, num_queries=queries), rtol=0, atol=1e-10)


@torch.no_grad()
def test_single_precision_is_close():
    network = _with_statistics(SEGMENT3D_PRESETS["nano"], 5, torch.float32)
    grid = torch.cartesian_prod(torch.arange(1), torch.arange(30), torch.arange(20), torch.arange(2)).int()
    x = SparseTensor.from_coordinates(grid, torch.rand(len(grid), 3))
    xyz = grid[:, 1:] * 0.02
    _assert_same(InferenceNetwork(network)(x, xyz), network(x, xyz), rtol=1e-3, atol=1e-3)


def test_layers_may_have_another_type_than_the_decoder(tiny, recorded):
    output = InferenceNetwork(recorded, dtype=torch.float32)(*_input(tiny))
    assert output.prediction.class_logits.dtype == torch.float64
    torch.testing.assert_close(output.prediction.class_logits, tiny["outputs"]["pred_logits"], rtol=0, atol=1e-3)


def test_all_maps_are_made_before_the_first_layer(tiny, recorded, monkeypatch):
    """On CUDA making them waits for the device; the layers must not."""
    network = InferenceNetwork(recorded, TorchEngine(torch.device("cpu")))
    x, xyz = _input(tiny)
    held = {}

    def stop(*_args, **_kwargs):
        held.update(x.maps._derived)
        raise InterruptedError

    with monkeypatch.context() as patch, pytest.raises(InterruptedError):
        patch.setattr("seg3d_core.sparse.engines.torch_engine.sum_of_products", stop)
        network(x, xyz)
    network(x, xyz)
    assert held == x.maps._derived
    assert len(held) == 1 + 5 + 4 + 4 + 5


def test_no_gradient_is_recorded_and_the_network_is_left_alone(tiny, recorded):
    recorded.train()
    output = InferenceNetwork(recorded)(*_input(tiny))
    assert not output.prediction.class_logits.requires_grad
    assert recorded.training
    assert all(parameter.requires_grad for parameter in recorded.parameters())


def test_what_is_no_batch_of_scenes_is_refused(tiny, recorded):
    x, xyz = _input(tiny)
    with pytest.raises(InputError, match="1032 places for 1033 voxels"):
        InferenceNetwork(recorded)(x, xyz[1:])
