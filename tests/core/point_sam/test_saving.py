"""Converted files: what is kept, what is dropped, and the card."""

from __future__ import annotations

import hashlib
import json

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from safetensors.torch import load_file, save_file  # noqa: E402

from seg3d_core.checkpoints.cards import read_card  # noqa: E402
from seg3d_core.cli import main  # noqa: E402
from seg3d_core.errors import CheckpointError, InputError  # noqa: E402
from seg3d_core.point_sam.card import PointSamCard  # noqa: E402
from seg3d_core.point_sam.checkpoint import UNUSED, load_network  # noqa: E402
from seg3d_core.point_sam.model import PointSamNetwork  # noqa: E402
from seg3d_core.point_sam.saving import KEPT_EXACT, convert, is_point_sam  # noqa: E402
from seg3d_core.point_sam_config import PointSamConfig  # noqa: E402

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
def released(tmp_path):
    """As the authors' program saves it: with tensors that nothing uses."""
    torch.manual_seed(0)
    tensors = PointSamNetwork(SMALL).state_dict() | {name: torch.ones(3) for name in UNUSED}
    path = tmp_path / "model.safetensors"
    save_file(tensors, path, {"format": "pt"})
    return path


def test_the_network_stays_and_what_nothing_uses_goes(released, tmp_path):
    audit, card, beside = convert(released, tmp_path / "out.safetensors", "float32")
    kept = load_file(tmp_path / "out.safetensors")
    original = load_file(released)
    assert set(kept) == set(original) - set(UNUSED)
    assert all(torch.equal(value, original[name]) for name, value in kept.items())
    assert str(audit) == (
        f"{len(original)} tensors: {len(kept)} used, none missing, none unexpected; 6 of the image transformer that "
        f"nothing computes with dropped (18 numbers): {', '.join(UNUSED)}"
    )
    assert card.network == SMALL
    assert card.source == "model.safetensors"
    assert card.source_sha256 == hashlib.sha256(released.read_bytes()).hexdigest()
    assert beside == tmp_path / "out.card.json"
    assert json.loads(beside.read_text()) == card.model_dump(mode="json")
    assert read_card(tmp_path / "out.safetensors", PointSamCard) == card


def test_half_precision_rounds_all_but_positions(released, tmp_path):
    out = tmp_path / "half.safetensors"
    convert(released, out, "float16")
    stored = load_file(out)
    assert {value.dtype for name, value in stored.items() if name != KEPT_EXACT} == {torch.float16}
    original, loaded = load_file(released), load_network(out).state_dict()
    assert torch.equal(loaded[KEPT_EXACT], original[KEPT_EXACT])
    assert {value.dtype for value in loaded.values()} == {torch.float32}
    for name, value in loaded.items():
        assert torch.allclose(value, original[name], rtol=1e-3, atol=1e-7), name
    # What was converted is converted again.
    again, card, _ = convert(out, tmp_path / "again.safetensors", "float32")
    assert not again.dropped
    assert card.source == "half.safetensors"


def test_numbers_that_half_precision_does_not_have(released, tmp_path):
    tensors = load_file(released)
    tensors["pc_encoder.out_proj.bias"][3] = 7e4
    save_file(tensors, released)
    with pytest.raises(
        CheckpointError, match=r"pc_encoder\.out_proj\.bias has values up to 70000, float16 ends at 65504"
    ):
        convert(released, tmp_path / "out.safetensors", "float16")
    assert not (tmp_path / "out.safetensors").exists()


def test_what_leaves_no_trace_in_tensors_is_taken_from_the_card(released, tmp_path):
    out = tmp_path / "out.safetensors"
    convert(released, out, "float32")
    card = json.loads(read_card(out, PointSamCard).model_dump_json())
    card["network"]["decoder_heads"] = 4
    save_file(load_file(out), out, {"seg3d": json.dumps(card)})
    assert load_network(out).config.decoder_heads == 4
    card["network"]["hidden_dim"] = 64
    save_file(load_file(out), out, {"seg3d": json.dumps(card)})
    with pytest.raises(CheckpointError, match="does not fit the network"):
        load_network(out)
    save_file(load_file(out), out, {"seg3d": "{"})
    with pytest.raises(CheckpointError, match="its card cannot be read"):
        load_network(out)


def test_which_family_a_file_is_of(released, tmp_path):
    assert is_point_sam(released)
    save_file({"backbone.conv0p1s1.kernel": torch.zeros(1)}, tmp_path / "other.safetensors")
    assert not is_point_sam(tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="networks are written as"):
        convert(released, tmp_path / "out.pt", "float32")


def test_the_command(released, tmp_path, capsys):
    out = tmp_path / "half.safetensors"
    assert main(["convert", str(released), "-o", str(out), "--precision", "float16"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("Point-SAM, 202 tensors: 196 used")
    assert "6 of the image transformer that nothing computes with dropped (18 numbers)" in said[0]
    assert said[1] == f"0.4 M parameters, float16: {out}, card: {tmp_path / 'half.card.json'}"
    assert main(["convert", str(released), "-o", str(out), "--voxel-size-m", "0.02"]) == 2
    assert "is of Point-SAM, which has no voxels" in capsys.readouterr().err
    tensors = load_file(released)
    del tensors["mask_decoder.iou_token.weight"]
    save_file(tensors, released)
    out.unlink()
    assert main(["convert", str(released), "-o", str(out)]) == 2
    assert "1 missing: mask_decoder.iou_token.weight" in capsys.readouterr().err
    assert not out.exists()
