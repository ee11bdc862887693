"""Released checkpoint files: their layout, their misfits, and what they must not do."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections import OrderedDict

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from seg3d_core.checkpoints.audit import audit, load_weights  # noqa: E402
from seg3d_core.errors import CheckpointError  # noqa: E402
from seg3d_core.segment3d.checkpoint import load_network, read_weights  # noqa: E402
from seg3d_core.segment3d.model import Segment3DNetwork  # noqa: E402
from seg3d_core.segment3d_config import Segment3DConfig  # noqa: E402
from seg3d_core.sparse.tensor import SparseTensor  # noqa: E402


class Settings:
    """Stands for the settings that a trainer pickles along: state set item by item, and by ``__setstate__``."""

    def __init__(self, values):
        self.__dict__.update(values)

    def __setstate__(self, state):
        raise AssertionError("a class named in a checkpoint was used")


class Command:
    """Pickles as a call of ``os.system``."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def _save(path, network, **others):
    state = OrderedDict((f"model.{name}", value) for name, value in network.state_dict().items())
    state["criterion.empty_weight"] = torch.tensor([1.0, 0.1])
    torch.save({"epoch": 3, "state_dict": state, "pytorch-lightning_version": "1.7.2", **others}, path)
    return path


def _randomised(config):
    torch.manual_seed(5)
    network = Segment3DNetwork(config).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            module.num_batches_tracked.fill_(7)
    return network


@torch.no_grad()
def _run(network):
    generator = torch.Generator().manual_seed(1)
    coordinates = torch.randint(-9, 9, (300, 3), generator=generator, dtype=torch.int32).unique(dim=0)
    batched = torch.cat([torch.zeros_like(coordinates[:, :1]), coordinates], dim=1)
    colours = torch.rand(len(coordinates), 3, generator=generator)
    return network(SparseTensor.from_coordinates(batched, colours), coordinates * 0.02, num_queries=20).prediction


def test_the_released_layout_at_full_width_round_trips(tmp_path, released_keys):
    network = _randomised(Segment3DConfig())
    path = _save(tmp_path / "segment3d.ckpt", network, hyper_parameters=Settings({"a": [1, {"b": Settings({})}]}))
    saved = read_weights(path)
    assert {f"model.{name}" for name in saved} == set(released_keys)
    loaded = load_network(path)
    assert loaded.config == network.config
    assert not loaded.training
    for name, value in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    expected, got = _run(network), _run(loaded)
    assert torch.equal(got.class_logits, expected.class_logits)
    assert torch.equal(got.mask_logits[0], expected.mask_logits[0])
    again = read_weights(_save(tmp_path / "again.ckpt", loaded))
    assert all(torch.equal(again[name], value) for name, value in saved.items())


def test_a_plain_state_dict_and_widths_of_its_own(tmp_path, tiny, tiny_config):
    path = tmp_path / "tiny.pt"
    torch.save(
        {name: torch.nn.Parameter(v) if v.is_floating_point() else v for name, v in tiny["state_dict"].items()}, path
    )
    weights = read_weights(path)
    assert all(torch.equal(weights[k.removeprefix("model.")], v) for k, v in tiny["state_dict"].items())
    untraceable = {"heads": 8, "num_queries": 150}
    assert load_network(path).config == tiny_config.model_copy(update=untraceable)
    assert load_network(path, tiny_config).config == tiny_config


def test_views_that_share_their_numbers(tmp_path):
    base = torch.arange(24.0)
    views = {"a": base[:6].reshape(2, 3).T, "b": base[4:], "c": torch.empty(0, 3), "d": torch.tensor(5)}
    torch.save(views, tmp_path / "views.pt")
    read = read_weights(tmp_path / "views.pt")
    assert all(torch.equal(read[name], value) and read[name].dtype == value.dtype for name, value in views.items())


@pytest.mark.parametrize("where", ["hyper_parameters", "state_dict", "anything"])
def test_nothing_in_a_file_is_executed(tmp_path, tiny_config, where):
    touched = tmp_path / "touched"
    path = tmp_path / "bad.ckpt"
    network = Segment3DNetwork(tiny_config)
    if where == "state_dict":
        torch.save({"state_dict": {"model.x": Command(touched)}}, path)
        with pytest.raises(CheckpointError, match=r"holds no state dict: model\.x are no tensors"):
            load_network(path)
    else:
        _save(path, network, **{where: [Command(touched), {"deep": Command(touched)}]})
        load_network(path, tiny_config)
    assert not touched.exists()


@pytest.mark.parametrize(
    "code",
    [
        b'cbuiltins\neval\n(S\'__import__("pathlib").Path("touched").touch()\'\ntR.',
        b"cos\nsystem\n(S'touch touched'\ntR.",
        b"cbuiltins\ngetattr\n(cbuiltins\n__import__\n(S'os'\ntRS'system'\ntR(S'touch touched'\ntR.",
        b"(S'touch touched'\nios\nsystem\n.",
        b"ctorch._utils\n_rebuild_tensor_v2\n(I1\nI2\nI3\nI4\ntR.",
        b"ccollections\nOrderedDict\n}S'x'\nI1\nsb.",
    ],
)
def test_hand_made_pickles_are_refused(tmp_path, monkeypatch, code):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bad.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("bad/data.pkl", code)
    with pytest.raises(CheckpointError):
        load_network(path)
    assert [file.name for file in tmp_path.iterdir()] == ["bad.pt"]


def test_arrangements_beyond_the_numbers_are_refused(tmp_path):
    path = tmp_path / "beyond.pt"
    torch.save({"x": torch.zeros(4)}, path)
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    pickled = next(name for name in files if name.endswith("data.pkl"))
    files[pickled] = files[pickled].replace(b"K\x04\x85", b"K\x7f\x85")
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    with pytest.raises(CheckpointError, match=r"beyond\.pt is damaged"):
        read_weights(path)


def test_misfits_are_listed_and_nothing_is_loaded(tiny, tiny_config):
    weights = {k.removeprefix("model."): v for k, v in tiny["state_dict"].items()}
    weights["extra.weight"] = torch.zeros(1)
    weights["decoder_norm.bias"] = torch.zeros(3)
    del weights["mask_embed_head.0.weight"]
    network = Segment3DNetwork(tiny_config)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = audit(network, weights)
    assert (found.missing, found.unexpected) == (["mask_embed_head.0.weight"], ["extra.weight"])
    with pytest.raises(CheckpointError) as raised:
        load_weights(network, weights, "room.ckpt")
    assert str(raised.value).splitlines() == [
        "room.ckpt does not fit the network, nothing was loaded:",
        "1 missing: mask_embed_head.0.weight",
        "1 unexpected: extra.weight",
        "1 mis-shaped: decoder_norm.bias: (3,) instead of (16,)",
    ]
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_long_lists_of_misfits_are_cut_short(tiny_config):
    with pytest.raises(CheckpointError, match=r"457 missing: mask_features_head\.kernel, .* and 449 more$"):
        load_weights(Segment3DNetwork(tiny_config), {})


def test_other_networks_and_other_files_are_refused(tmp_path):
    path = tmp_path / "other.pt"
    with pytest.raises(CheckpointError, match=r"other\.pt does not exist"):
        load_network(path)
    torch.save(torch.nn.Linear(3, 4).state_dict(), path)
    with pytest.raises(CheckpointError, match=r"no Segment3D network: it lacks backbone\.conv0p1s1\.kernel"):
        load_network(path)
    torch.save([1, 2], path)
    with pytest.raises(CheckpointError, match=r"other\.pt holds no state dict"):
        load_network(path)
    path.write_bytes(pickle.dumps({"state_dict": {}}))
    with pytest.raises(CheckpointError, match=r"other\.pt is damaged, or not written by torch\.save"):
        load_network(path)
    with pytest.raises(CheckpointError, match="is damaged, or not written"):
        load_network(tmp_path)


def test_every_truncation_is_noticed(tmp_path, tiny_config):
    whole = _save(tmp_path / "whole.ckpt", Segment3DNetwork(tiny_config)).read_bytes()
    path = tmp_path / "half.ckpt"
    for share in (0, 0.1, 0.5, 0.9, 0.999):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(CheckpointError):
            load_network(path)
