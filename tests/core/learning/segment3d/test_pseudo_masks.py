"""Pseudo masks: found, written, read, learned from."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from table_scene import write_table_scene

from seg3d_core.cli import main
from seg3d_core.errors import ConfigError, InputError
from seg3d_core.learning.segment3d.data_settings import DataConfig
from seg3d_core.learning.segment3d.loading import load_samples
from seg3d_core.learning.segment3d.pseudo_files import PseudoMasks, made_by, read_pseudo_masks, write_pseudo_masks
from seg3d_core.learning.segment3d.pseudo_masks import confident_masks, label_scenes, labelling_settings, teacher
from seg3d_core.learning.segment3d.samples import plain_sample
from seg3d_core.learning.segment3d.sources import cloud_source
from seg3d_core.segment3d.model import Segment3DNetwork
from seg3d_core.segment3d.postprocess import postprocess
from seg3d_core.segment3d.predictor import Segment3D
from seg3d_core.segment3d.proposals import Proposals
from seg3d_core.segment3d.saving import card_of, save_network
from seg3d_core.segment3d.voxel_input import voxel_input
from seg3d_core.segment3d_config import SEGMENT3D_PRESETS, Segment3DSettings
from seg3d_core.types import Cloud


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Untrained, but it finds something: the first seed that does."""
    cloud = write_table_scene(tmp_path_factory.mktemp("scene") / "one", frames=2).cloud().cloud
    settings = labelling_settings(Segment3DSettings.build({"device": "cpu", "score_threshold": 0.01}))
    for seed in range(20):
        model = Segment3D.from_preset("nano", settings, seed)
        if len(model.segment(cloud)) > 3:
            return model
    raise AssertionError("none of 20 untrained networks finds anything")


@pytest.fixture
def scenes(tmp_path):
    return [write_table_scene(tmp_path / name, frames=2) for name in ("one", "two", "three")]


def a_cloud(points, seed=0):
    return Cloud(np.random.default_rng(seed).normal(size=(points, 3)).astype(np.float32))


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_files_give_back_the_masks(tmp_path_factory, seed):
    rng = np.random.default_rng(seed)
    dense = rng.random((int(rng.integers(6)), int(rng.integers(1, 50)))) < 0.5
    found = Proposals.from_masks(dense, np.sort(rng.random(len(dense), np.float32))[::-1].copy())
    path, cloud = tmp_path_factory.mktemp("masks") / "pseudo" / "a.npz", a_cloud(dense.shape[1])
    write_pseudo_masks(path, PseudoMasks(found, "me"), cloud)
    read = read_pseudo_masks(path, cloud)
    np.testing.assert_array_equal(read.proposals.masks, found.masks)
    np.testing.assert_array_equal(read.proposals.scores, found.scores)
    assert read.made_by == made_by(path) == "me"


def test_members_in_any_order_are_written(tmp_path):
    found = Proposals(np.ones(2, np.float32), np.array([0, 3, 5]), np.array([4, 0, 2, 3, 1], np.int32), 5)
    write_pseudo_masks(tmp_path / "a.npz", PseudoMasks(found, ""), a_cloud(5))
    read = read_pseudo_masks(tmp_path / "a.npz", a_cloud(5)).proposals
    assert read.members.tolist() == [0, 2, 4, 1, 3] and read.offsets.tolist() == [0, 3, 5]


def test_confidence_and_rank():
    found = Proposals.from_masks(np.ones((4, 3), bool), np.array([0.9, 0.8, 0.6, 0.2], np.float32))
    masks = PseudoMasks(found, "")
    assert masks.best(0.6, 150).scores.tolist() == pytest.approx([0.9, 0.8])
    assert masks.best(0.1, 3).scores.tolist() == pytest.approx([0.9, 0.8, 0.6])


def test_files_of_another_cloud_or_damaged_ones(tmp_path):
    path, cloud = tmp_path / "a.npz", a_cloud(5)
    found = Proposals.from_masks(np.ones((1, 5), bool), np.ones(1, np.float32))
    write_pseudo_masks(path, PseudoMasks(found, ""), cloud)
    for other in (a_cloud(5, seed=1), a_cloud(6)):
        with pytest.raises(InputError, match=f"masks of another cloud, of 5 points, the scene has {len(other)}"):
            read_pseudo_masks(path, other)
    with pytest.raises(InputError, match="masks of 5 points for a cloud of 6"):
        write_pseudo_masks(path, PseudoMasks(found, ""), a_cloud(6))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    for read in (lambda: read_pseudo_masks(path, cloud), lambda: made_by(path)):
        with pytest.raises(InputError, match="no pseudo masks"):
            read()
    np.savez(path, points=5, check=0, scores=np.ones(1), sizes=np.array([2]), steps=np.array([5, 4]))
    with pytest.raises(InputError, match="a mask has point 8, the cloud has points 0 to 4"):
        read_pseudo_masks(path, cloud)


def test_masks_are_split_scored_and_expanded_by_the_rules(model, scenes):
    """What the network says, put through the rules by hand."""
    cloud = scenes[0].cloud().cloud
    found = confident_masks(model, cloud)
    assert len(found) > 0 and found.num_rows == len(cloud)
    voxels = voxel_input(cloud, model.settings)
    output = model._network(
        voxels.tensor(np.arange(len(voxels)), model.device), torch.from_numpy(voxels.xyz), None, 150
    ).prediction
    expected = postprocess(
        output.class_logits[0].numpy(), output.mask_logits[0].numpy(), voxels.xyz, model._rule, voxels.point_to_voxel
    )
    np.testing.assert_array_equal(found.masks, expected.masks)
    np.testing.assert_allclose(found.scores, expected.scores)
    assert len(found) <= 150 and (np.diff(found.scores) <= 0).all() and found.scores.min() > 0.01


def test_settings_of_labelling():
    settings = labelling_settings(Segment3DSettings.build({"score_threshold": 0.4}))
    assert (settings.postprocess, settings.num_queries, settings.score_threshold) == ("pseudo_masks", 150, 0.4)
    assert labelling_settings(Segment3DSettings.build({"num_queries": 80})).num_queries == 80


def test_teachers_differ_in_weights_and_rules_alone(tmp_path):
    (tmp_path / "a.pt").write_bytes(b"weights")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "a.pt").write_bytes(b"others")
    settings = labelling_settings(Segment3DSettings.build({}))
    name = teacher(tmp_path / "a.pt", settings)
    assert name.startswith("a.pt sha256:") and "num_queries=150" in name
    assert teacher(tmp_path / "a.pt", settings.model_copy(update={"device": "cuda"})) == name
    assert teacher(tmp_path / "a.pt", settings.model_copy(update={"score_threshold": 0.5})) != name
    assert teacher(tmp_path / "b" / "a.pt", settings) != name


def test_labelling_goes_on_where_it_stopped(model, scenes, caplog):
    stream = io.StringIO()
    first = label_scenes(scenes[:1], model, "masks", "nano", stream)
    assert (first.labelled, first.kept, first.failed) == (1, 0, ()) and first.masks > 0
    before = scenes[0].pseudo_path("masks").stat().st_mtime_ns
    (scenes[1].path / "cloud.npz").write_bytes(b"torn")
    second = label_scenes(scenes, model, "masks", "nano", stream)
    assert (second.labelled, second.kept) == (1, 1)
    assert [name for name, _ in second.failed] == ["two"] and "two is left out" in caplog.text
    assert scenes[0].pseudo_path("masks").stat().st_mtime_ns == before
    assert "scenes [" in stream.getvalue() and "2/2" in stream.getvalue()
    assert not list(scenes[1].path.glob("pseudo/*"))
    with pytest.raises(InputError, match=r"masks\.npz was made by nano, not by small: take another name"):
        label_scenes(scenes, model, "masks", "small", stream)


def test_pseudo_masks_are_learned_from(model, scenes):
    label_scenes(scenes, model, "masks", "nano", io.StringIO())
    config = DataConfig.build({"kind": "scenes", "targets": "masks", "min_score": 0.01, "max_masks": 5, "workers": 0})
    cloud = cloud_source(scenes, config).read(0)
    plain = plain_sample(cloud, 0.02)
    assert 0 < len(plain.masks) <= 5
    [(_, samples)] = load_samples(config, scenes, 0, 1, 0)
    assert len(samples) == 8 and all(len(sample.masks) <= 5 for sample in samples)
    none = DataConfig.build({"kind": "scenes", "targets": "masks", "min_score": 1.0, "workers": 0})
    with pytest.raises(ConfigError, match=r"'masks' of 3 scenes has a confidence above 1 \(data.min_score\), the best"):
        cloud_source(scenes, none)


@pytest.mark.parametrize("name", ["instance", "part", "", "..", "a/b"])
def test_names_that_masks_cannot_have(model, name):
    with pytest.raises(ConfigError, match=f"masks cannot be called '{name}'"):
        label_scenes([], model, name, "nano", io.StringIO())


def test_the_command(scenes, tmp_path, capsys):
    checkpoint = tmp_path / "nano.safetensors"
    network = Segment3DNetwork(SEGMENT3D_PRESETS["nano"])
    save_network(checkpoint, network, card_of(network))
    command = ["label", "scenes", str(tmp_path), "--checkpoint", str(checkpoint), "--set", "score_threshold=0.01"]
    assert main([*command, "--set", "device=cpu"]) == 0
    assert capsys.readouterr().out.startswith("3 scenes labelled with ")
    assert all(scene.pseudo_path("stage1").is_file() for scene in scenes)
    assert main(command) == 0
    assert capsys.readouterr().out == "0 scenes labelled with 0 masks, 3 had masks before\n"
    assert main([*command, "--name", "sure", "--set", "score_threshold=1", "--set", "device=cpu"]) == 0
    assert "with 0 masks, 0 had masks before: the network is sure of none" in capsys.readouterr().out
    assert main([*command, "--set", "num_queries=20"]) == 2
    assert "take another name, or delete it" in capsys.readouterr().err
    scenes[1].pseudo_path("stage1").unlink()
    (scenes[1].path / "cloud.npz").write_bytes(b"torn")
    assert main(command) == 1
