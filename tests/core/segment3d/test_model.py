"""The whole network against the recorded predictions of the original."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from seg3d_core.errors import ConfigError, InputError  # noqa: E402
from seg3d_core.segment3d.model import Segment3DNetwork  # noqa: E402
from seg3d_core.segment3d_config import SEGMENT3D_PRESETS, Segment3DConfig  # noqa: E402
from seg3d_core.sparse.tensor import SparseTensor  # noqa: E402

EXACT = {"rtol": 0, "atol": 1e-10}


def _network(tiny, config, dtype=torch.float64):
    network = Segment3DNetwork(config)
    network.load_state_dict({k.removeprefix("model."): v for k, v in tiny["state_dict"].items()})
    return network.to(dtype).eval()


@pytest.fixture
def network(tiny, tiny_config):
    return _network(tiny, tiny_config)


def _input(tiny, rows=slice(None), dtype=torch.float64):
    coordinates = tiny["coords"][rows].clone()
    coordinates[:, 0] -= coordinates[0, 0].clone()
    x = SparseTensor.from_coordinates(coordinates, tiny["feats"][rows].to(dtype))
    return x, tiny["raw_coordinates"][rows].to(dtype)


def _assert_recorded(output, recorded, **tolerance):
    torch.testing.assert_close(output.prediction.class_logits, recorded["pred_logits"], **tolerance)
    assert [rows.tolist() for rows in output.query_voxels] == [rows.tolist() for rows in recorded["fps_idx"]]
    for ours, theirs in zip(output.prediction.mask_logits, recorded["pred_masks"], strict=True):
        torch.testing.assert_close(ours, theirs.T.contiguous(), **tolerance)


@torch.no_grad()
@pytest.mark.parametrize(("ties", "key"), [("released", "outputs"), ("lowest_index", "outputs_argmax_fps")])
def test_a_batch_is_that_of_the_original(tiny, tiny_config, ties, key):
    network = _network(tiny, tiny_config.model_copy(update={"farthest_point_ties": ties}))
    _assert_recorded(network(*_input(tiny)), tiny[key], **EXACT)


@torch.no_grad()
def test_single_scenes_are_those_of_the_batch(tiny, network):
    for scene in (0, 1):
        output = network(*_input(tiny, tiny["coords"][:, 0] == scene))
        recorded = {name: values[scene : scene + 1] for name, values in tiny["outputs"].items()}
        _assert_recorded(output, recorded, **EXACT)


@torch.no_grad()
def test_segment_mode_is_that_of_the_original(tiny, network):
    recorded = tiny["outputs_segments_scene0"]
    x, xyz = _input(tiny, tiny["coords"][:, 0] == 0)
    output = network(x, xyz, voxel_to_segment=recorded["point2segment"])
    _assert_recorded(output, recorded, **EXACT)


@torch.no_grad()
def test_segments_of_a_batch_are_those_of_its_scenes(tiny, network):
    segments = tiny["outputs_segments_scene0"]["point2segment"]
    second = torch.arange(len(tiny["coords"]) - len(segments)) // 7
    output = network(*_input(tiny), voxel_to_segment=torch.cat([segments, second]))
    alone = network(*_input(tiny, tiny["coords"][:, 0] == 1), voxel_to_segment=second)
    torch.testing.assert_close(
        output.prediction.mask_logits[0].T, tiny["outputs_segments_scene0"]["pred_masks"][0], **EXACT
    )
    torch.testing.assert_close(output.prediction.mask_logits[1], alone.prediction.mask_logits[0], **EXACT)


@torch.no_grad()
def test_single_precision_is_close(tiny, tiny_config):
    output = _network(tiny, tiny_config, torch.float32)(*_input(tiny, dtype=torch.float32))
    recorded = {"fps_idx": tiny["outputs"]["fps_idx"]}
    recorded["pred_logits"] = tiny["outputs"]["pred_logits"].float()
    recorded["pred_masks"] = [masks.float() for masks in tiny["outputs"]["pred_masks"]]
    _assert_recorded(output, recorded, rtol=0, atol=1e-3)


@torch.no_grad()
def test_auxiliary_predictions_are_the_results_of_shorter_decoders(tiny, tiny_config, network):
    before = network(*_input(tiny), auxiliary=True).auxiliary
    assert len(before) == 12
    for decoders in (1, 2):
        shorter = _network(tiny, tiny_config.model_copy(update={"decoders": decoders}))(*_input(tiny))
        assert shorter.auxiliary == []
        expected = shorter.prediction
        torch.testing.assert_close(before[4 * decoders].class_logits, expected.class_logits, **EXACT)
        torch.testing.assert_close(before[4 * decoders].mask_logits, expected.mask_logits, **EXACT)


@torch.no_grad()
def test_moving_the_world_by_whole_coarse_voxels_changes_nothing(tiny, network):
    x, xyz = _input(tiny)
    moved = x.coordinates + torch.tensor([0, 1600, -3200, 160], dtype=torch.int32)
    output = network(SparseTensor.from_coordinates(moved, x.features), xyz + torch.tensor([32.0, -64.0, 3.2]))
    _assert_recorded(output, tiny["outputs"], rtol=0, atol=1e-9)


def test_training_looks_at_a_sample_of_the_voxels(tiny, tiny_config):
    enough = _network(tiny, tiny_config).train()
    enough.backbone.eval()
    output = enough(*_input(tiny))
    assert len(output.auxiliary) == 12
    _assert_recorded(output, tiny["outputs"], **EXACT)
    few = _network(tiny, tiny_config.model_copy(update={"training_keys": (8, 8, 8, 8)})).train()
    few.backbone.eval()
    masks = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        masks.append(few(*_input(tiny)).prediction.mask_logits[0])
    assert torch.equal(masks[0], masks[1])
    assert not torch.allclose(masks[0], masks[2])


def test_every_parameter_that_is_used_learns(tiny, tiny_config):
    network = _network(tiny, tiny_config).train()
    output = network(*_input(tiny))
    predictions = [*output.auxiliary, output.prediction]
    loss = sum(p.class_logits.square().sum() + sum(m.square().mean() for m in p.mask_logits) for p in predictions)
    loss.backward()
    unused = {name for name, parameter in network.named_parameters() if parameter.grad is None}
    assert unused == {"backbone.final.kernel", "backbone.final.bias"}
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)


@torch.no_grad()
@pytest.mark.parametrize(
    "voxels",
    [
        [[0, 0, 0]],
        [[5, -3, 2]],
        [[0, 0, 0], [1, 0, 0]],
        [[x, y, 4] for x in range(9) for y in range(-4, 5)],
        [[x, 0, 0] for x in range(3)],
    ],
    ids=["origin", "one voxel", "two voxels", "plane", "line"],
)
def test_degenerate_scenes_are_finite(voxels):
    torch.manual_seed(0)
    network = Segment3DNetwork(SEGMENT3D_PRESETS["nano"]).eval()
    coordinates = torch.tensor([[0, *voxel] for voxel in voxels], dtype=torch.int32)
    x = SparseTensor.from_coordinates(coordinates, torch.rand(len(voxels), 3))
    prediction = network(x, coordinates[:, 1:] * 0.02).prediction
    assert prediction.class_logits.shape == (1, 100, 2)
    assert prediction.mask_logits[0].shape == (100, len(voxels))
    assert prediction.class_logits.isfinite().all()
    assert prediction.mask_logits[0].isfinite().all()


@torch.no_grad()
def test_any_number_of_queries(tiny, network):
    more = network(*_input(tiny), num_queries=700)
    assert [tuple(masks.shape) for masks in more.prediction.mask_logits] == [(700, 597), (700, 436)]
    assert network(*_input(tiny), num_queries=1).prediction.class_logits.shape == (2, 1, 2)


def test_what_is_no_batch_of_scenes_is_refused(tiny, network):
    x, xyz = _input(tiny)
    with pytest.raises(InputError, match="1032 places for 1033 voxels"):
        network(x, xyz[1:])
    with pytest.raises(InputError, match="0 voxels, a scene needs at least 1"):
        network(SparseTensor.from_coordinates(x.coordinates[:0], x.features[:0]), xyz[:0])
    gap = x.coordinates * torch.tensor([2, 1, 1, 1], dtype=torch.int32)
    with pytest.raises(InputError, match=r"scenes \[1\] of a batch of 3 have 0 voxels"):
        network(SparseTensor.from_coordinates(gap, x.features), xyz)


def test_segments_that_are_not_dense_are_refused(tiny, network):
    x, xyz = _input(tiny)
    numbers = torch.zeros(len(x), dtype=torch.int64)
    with pytest.raises(InputError, match="3 segment numbers for 1033 voxels"):
        network(x, xyz, voxel_to_segment=numbers[:3])
    with pytest.raises(InputError, match="segment 0 of 2 has 0 voxels"):
        network(x, xyz, voxel_to_segment=numbers + 1)
    with pytest.raises(InputError, match="segment number -1, they count from 0"):
        network(x, xyz, voxel_to_segment=numbers - 1)


def test_parameters_are_named_and_sized_as_released(released_keys):
    network = Segment3DNetwork(Segment3DConfig.build({}))
    assert {f"model.{name}": tuple(value.shape) for name, value in network.state_dict().items()} == released_keys
    assert len(released_keys) == 469
    assert sum(p.numel() for p in network.parameters()) == 39_614_390


def test_heads_must_share_the_hidden_channels():
    with pytest.raises(ConfigError, match="hidden_dim = 100: must be even and a multiple of heads = 8"):
        Segment3DConfig.build({"hidden_dim": 100})
