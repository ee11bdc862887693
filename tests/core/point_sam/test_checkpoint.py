"""The layout of the released checkpoint, and what does not fit it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from safetensors.torch import save_file  # noqa: E402

from seg3d_core.checkpoints.audit import audit  # noqa: E402
from seg3d_core.errors import CheckpointError  # noqa: E402
from seg3d_core.point_sam.checkpoint import UNUSED, config_of, load_network  # noqa: E402
from seg3d_core.point_sam.model import PointSamNetwork  # noqa: E402
from seg3d_core.point_sam_config import POINT_SAM_PRESETS, PointSamConfig  # noqa: E402

KEYS = Path(__file__).resolve().parents[2] / "golden" / "point_sam_state_dict_keys_large.txt"
UNUSED_ELEMENTS = {"large": 2_678_760, "giant": 4_493_928}


@pytest.fixture(scope="module")
def released():
    """The tensors of the released checkpoint, without memory."""
    lines = (line.split("\t") for line in KEYS.read_text().splitlines())
    return {name: torch.empty(ast.literal_eval(shape), device="meta") for name, shape in lines}


def on_meta(config):
    with torch.device("meta"):
        return PointSamNetwork(config)


def test_the_released_layout_at_full_width(released):
    assert len(released) == 620
    assert sum(value.numel() for value in released.values()) == 311_042_732
    kept = {name: value for name, value in released.items() if name not in UNUSED}
    assert len(kept) == 614
    assert config_of(kept) == POINT_SAM_PRESETS["large"] == PointSamConfig()
    found = audit(on_meta(config_of(kept)), kept)
    assert found.fits, found.report()


def test_the_names_of_unused_tensors_are_exactly_those_that_do_not_fit(released):
    found = audit(on_meta(PointSamConfig()), released)
    assert sorted(found.unexpected) == sorted(UNUSED)
    assert not found.missing
    assert not found.misshaped


@pytest.mark.parametrize(("name", "total"), [("large", 311_042_348), ("giant", 1_020_754_412)])
def test_numbers_of_parameters(name, total):
    network = on_meta(POINT_SAM_PRESETS[name])
    assert sum(parameter.numel() for parameter in network.parameters()) == total - UNUSED_ELEMENTS[name]
    prompts = [network.point_encoder, network.mask_encoder, network.mask_decoder]
    assert [sum(parameter.numel() for parameter in part.parameters()) for part in prompts] == [512, 281_600, 4_346_756]


@pytest.mark.parametrize("name", POINT_SAM_PRESETS)
def test_widths_are_read_off(name):
    config = POINT_SAM_PRESETS[name]
    assert config_of(on_meta(config).state_dict()) == config


SMALL = PointSamConfig.build(
    {
        "patch_channels": 24,
        "encoder_dim": 64,
        "encoder_depth": 2,
        "encoder_heads": 1,
        "encoder_feedforward_dim": 48,
        "hidden_dim": 32,
        "decoder_feedforward_dim": 40,
        "iou_hidden_dim": 16,
    }
)


@pytest.fixture
def saved():
    """Tensors as the authors' program saves them: with those that nothing uses."""
    tensors = PointSamNetwork(SMALL).state_dict()
    return tensors | {name: torch.zeros(3) for name in UNUSED}


def test_a_file_loads_into_the_same_network(tmp_path, saved):
    path = tmp_path / "model.safetensors"
    save_file(saved, path, {"format": "pt"})
    network = load_network(path)
    assert network.config == SMALL
    assert not network.training
    own = network.state_dict()
    assert len(own) == len(saved) - len(UNUSED)
    assert all(torch.equal(value, saved[name]) for name, value in own.items())
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_unused_tensors_may_be_left_out_and_half_precision_is_widened(tmp_path, saved):
    path = tmp_path / "model.safetensors"
    save_file({name: value.half() for name, value in saved.items() if name not in UNUSED}, path)
    network = load_network(path)
    assert {value.dtype for value in network.state_dict().values()} == {torch.float32}


def test_settings_that_leave_no_trace_are_given(tmp_path, saved):
    path = tmp_path / "model.safetensors"
    save_file(saved, path)
    given = SMALL.model_copy(update={"decoder_heads": 4, "encoder_heads": 4})
    assert load_network(path, given).config == given


def test_every_misfit_is_listed(tmp_path, saved):
    del saved["mask_decoder.iou_token.weight"]
    saved["mask_decoder.mask_tokens.weight"] = torch.zeros(3, 32)
    saved["pc_encoder.transformer.rope.freqs"] = torch.zeros(2)
    path = tmp_path / "model.safetensors"
    save_file(saved, path)
    with pytest.raises(CheckpointError) as error:
        load_network(path)
    assert str(error.value) == (
        f"{path} does not fit the network, nothing was loaded:\n"
        "1 missing: mask_decoder.iou_token.weight\n"
        "1 unexpected: pc_encoder.transformer.rope.freqs\n"
        "1 mis-shaped: mask_decoder.mask_tokens.weight: (3, 32) instead of (4, 32)"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pc_encoder.out_proj.weight": None}, "is of no Point-SAM network: it lacks pc_encoder.out_proj.weight"),
        ({"pc_encoder.out_proj.weight": torch.zeros(32)}, "is of no Point-SAM network: "),
        ({"pc_encoder.out_proj.weight": torch.zeros(30, 64)}, "hidden_dim = 30: must be a multiple of twice"),
    ],
)
def test_other_networks_are_refused(tmp_path, saved, change, message):
    tensors = {name: value for name, value in (saved | change).items() if value is not None}
    path = tmp_path / "model.safetensors"
    save_file(tensors, path)
    with pytest.raises(CheckpointError, match=message):
        load_network(path)


def test_missing_and_damaged_files(tmp_path, saved):
    with pytest.raises(CheckpointError, match="does not exist"):
        load_network(tmp_path / "none.safetensors")
    path = tmp_path / "model.safetensors"
    save_file(saved, path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="is damaged, or no safetensors file"):
        load_network(path)
