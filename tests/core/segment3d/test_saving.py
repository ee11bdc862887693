"""Our own files: tensors and a card that belong together."""

from __future__ import annotations

import hashlib
import json

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from safetensors.torch import load_file, save_file  # noqa: E402

from seg3d_core.checkpoints.cards import origin  # noqa: E402
from seg3d_core.errors import CheckpointError, ConfigError, InputError  # noqa: E402
from seg3d_core.segment3d.checkpoint import load_network  # noqa: E402
from seg3d_core.segment3d.model import Segment3DNetwork  # noqa: E402
from seg3d_core.segment3d.predictor import Segment3D  # noqa: E402
from seg3d_core.segment3d.saving import card_of, read_card, read_safetensors, save_network  # noqa: E402
from seg3d_core.segment3d_config import SEGMENT3D_PRESETS, Segment3DConfig, Segment3DSettings  # noqa: E402
from seg3d_core.sparse.tensor import SparseTensor  # noqa: E402


@pytest.fixture
def nano():
    return Segment3DNetwork(SEGMENT3D_PRESETS["nano"])


@pytest.fixture
def saved(tmp_path, nano):
    save_network(tmp_path / "nano.safetensors", nano, card_of(nano))
    return tmp_path / "nano.safetensors"


def rewritten(path, **changes):
    """The file with other words on its card."""
    card = json.loads(read_card(path).model_dump_json())
    network = {**card["network"], **changes.pop("network", {})}
    save_file(load_file(path), path, {"seg3d": json.dumps({**card, **changes, "network": network})})
    return path


def equal(one, other):
    return one.keys() == other.keys() and all(
        torch.equal(one[name], other[name]) and one[name].dtype == other[name].dtype for name in one
    )


@torch.no_grad()
def run(network):
    generator = torch.Generator().manual_seed(1)
    coordinates = torch.randint(-9, 9, (300, 3), generator=generator, dtype=torch.int32).unique(dim=0)
    batched = torch.cat([torch.zeros_like(coordinates[:, :1]), coordinates], dim=1)
    x = SparseTensor.from_coordinates(batched, torch.rand(len(coordinates), 3, generator=generator))
    return network.eval()(x, coordinates * 0.02, num_queries=10).prediction


def test_the_released_network_at_full_width_is_loaded_run_saved_and_loaded(tmp_path, released_keys):
    torch.manual_seed(0)
    state = {f"model.{name}": value for name, value in Segment3DNetwork(Segment3DConfig()).state_dict().items()}
    assert {name: tuple(value.shape) for name, value in state.items()} == released_keys
    released = tmp_path / "segment3d.ckpt"
    torch.save({"state_dict": state}, released)
    loaded = load_network(released)
    before = run(loaded)
    card = card_of(loaded, released)
    save_network(tmp_path / "segment3d.safetensors", loaded, card)
    again = load_network(tmp_path / "segment3d.safetensors")
    assert not again.training
    assert equal(again.state_dict(), {name.removeprefix("model."): value for name, value in state.items()})
    after = run(again)
    assert torch.equal(before.class_logits, after.class_logits)
    assert torch.equal(before.mask_logits[0], after.mask_logits[0])
    assert card.parameters == 39_614_390
    assert card.source == "segment3d.ckpt"
    assert card.source_sha256 == hashlib.sha256(released.read_bytes()).hexdigest()


def test_the_card_is_in_the_file_and_beside_it_and_keeps_what_tensors_do_not_show(saved, nano):
    card = read_card(saved)
    assert card == card_of(nano)
    assert json.loads(saved.with_suffix(".card.json").read_text()) == json.loads(card.model_dump_json())
    assert card.written_by.startswith("seg3d_ros ")
    assert load_network(saved).config == nano.config  # 4 heads, 100 queries
    assert saved.stat().st_mode == saved.with_suffix(".card.json").stat().st_mode
    assert sorted(path.name for path in saved.parent.iterdir()) == ["nano.card.json", "nano.safetensors"]


def test_settings_follow_the_network_and_another_voxel_size_is_said(tmp_path, saved, nano, caplog):
    assert read_card(saved).voxel_size_m == 0.02
    coarse = tmp_path / "coarse.safetensors"
    save_network(coarse, nano, card_of(nano, voxel_size_m=0.05, superpoints=True, max_voxels=16_000))
    assert card_of(nano, coarse) == read_card(coarse).model_copy(update=origin(coarse))

    def used(**values):
        settings = Segment3D.from_checkpoint(coarse, Segment3DSettings.build({"device": "cpu", **values})).settings
        return settings.voxel_edge_m, settings.masks, settings.tile_voxels

    assert used() == (0.05, "superpoints", 32_000)
    assert used(masks="voxels", max_voxels=20_000) == (0.05, "voxels", 20_000)
    assert "trained with voxels" not in caplog.text
    assert used(voxel_size_m=0.02) == (0.02, "superpoints", 32_000)
    assert "coarse.safetensors was trained with voxels of 0.05 m and is used with 0.02 m" in caplog.text
    plain = Segment3D.from_checkpoint(saved, Segment3DSettings.build({"device": "cpu"})).settings
    assert (plain.masks, plain.tile_voxels) == ("voxels", 300_000)
    with pytest.raises(ConfigError, match=r"voxel_size_m = 0\.0005 m: must be 0 or at least 0\.001 m"):
        Segment3DSettings.build({"voxel_size_m": 0.0005})
    with pytest.raises(ConfigError, match=r"voxel_size_m = 0\.0"):
        card_of(nano, voxel_size_m=0.0)


def test_files_of_other_programs_have_no_card_and_are_read_off(tmp_path, nano):
    save_file(nano.state_dict(), tmp_path / "plain.safetensors")
    assert read_card(tmp_path / "plain.safetensors") is None
    traceless = ("heads", "decoders", "num_queries", "query_content", "training_keys")
    defaults = {name: Segment3DConfig.model_fields[name].default for name in traceless}
    assert load_network(tmp_path / "plain.safetensors").config == nano.config.model_copy(update=defaults)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": {"hidden_dim": 128}}, "hidden_dim is 128 on the card, 64 in the tensors$"),
        (
            {"network": {"stem_channels": 16, "stage_blocks": [1, 1, 1, 1, 1, 1, 1, 2]}},
            r"stem_channels is 16 on the card, 8 in the tensors; stage_blocks is \(1, 1, 1, 1, 1, 1, 1, 2\) on the",
        ),
        ({"parameters": 7}, r"parameters is 7 on the card, \d+ in the tensors$"),
        ({"network": {"hidden": 1}}, "its card cannot be read: unknown setting network.hidden, did you mean"),
        ({"format": 2}, "its card cannot be read: format = 2"),
    ],
)
def test_a_card_that_contradicts_the_tensors_is_refused(saved, changes, message):
    with pytest.raises(CheckpointError, match=message):
        load_network(rewritten(saved, **changes))


def test_a_card_that_is_no_card_is_refused(saved):
    save_file(load_file(saved), saved, {"seg3d": "{"})
    with pytest.raises(CheckpointError, match=r"nano\.safetensors: its card cannot be read"):
        read_card(saved)


def test_misfits_are_listed_and_truncation_is_noticed(saved, tmp_path):
    tensors = load_file(saved)
    del tensors["decoder_norm.bias"]
    tensors["extra"] = torch.zeros(1)
    save_file(tensors, tmp_path / "odd.safetensors")
    with pytest.raises(
        CheckpointError, match=r"nothing was loaded:\n1 missing: decoder_norm\.bias\n1 unexpected: extra"
    ):
        load_network(tmp_path / "odd.safetensors")
    whole = saved.read_bytes()
    for share in (0, 0.001, 0.5, 0.999):
        (tmp_path / "half.safetensors").write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(CheckpointError, match=r"half\.safetensors is damaged, or no safetensors file"):
            load_network(tmp_path / "half.safetensors")
    with pytest.raises(CheckpointError, match=r"gone\.safetensors does not exist"):
        read_safetensors(tmp_path / "gone.safetensors")


def test_nothing_half_written_stays(tmp_path, nano, monkeypatch):
    path = tmp_path / "nano.safetensors"
    path.write_bytes(b"older")
    for target, message in [
        (tmp_path / "nano.pt", r"nano\.pt: unknown suffix '\.pt', networks are written as \.safetensors"),
        (tmp_path / "no" / "nano.safetensors", r"the folder \S*no does not exist"),
    ]:
        with pytest.raises(InputError, match=message):
            save_network(target, nano, card_of(nano))

    def full(*unused):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(InputError, match=r"cannot write \S*nano\.safetensors: No space left on device"):
        save_network(path, nano, card_of(nano))
    assert [file.name for file in tmp_path.iterdir()] == ["nano.safetensors"]
    assert path.read_bytes() == b"older"


def test_half_precision_rounds_what_was_trained_and_nothing_else(tmp_path, nano):
    path = tmp_path / "half.safetensors"
    save_network(path, nano, card_of(nano, precision="float16"))
    trained, loaded = dict(nano.named_parameters()), load_network(path).state_dict()
    for name, value in nano.state_dict().items():
        expected = value.detach().half().float() if name in trained else value
        assert torch.equal(loaded[name], expected) and loaded[name].dtype == value.dtype
    whole = tmp_path / "whole.safetensors"
    save_network(whole, nano, card_of(nano))
    assert path.stat().st_size < 0.6 * whole.stat().st_size


def test_numbers_too_large_for_half_precision_are_refused(tmp_path, nano):
    with torch.no_grad():
        nano.decoder_norm.bias[3] = 1e5
    path = tmp_path / "half.safetensors"
    with pytest.raises(CheckpointError, match=r"decoder_norm\.bias has values up to 100000, float16 ends at 65504"):
        save_network(path, nano, card_of(nano, precision="float16"))
    assert not path.exists()
