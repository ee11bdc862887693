"""Scene folders as scenes: truth, parts, masks."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from seg3d_core.errors import ConfigError, InputError
from seg3d_core.evaluation.models import CloudModel, MaskMerger, make_model
from seg3d_core.evaluation.scenes import find_scenes
from seg3d_core.evaluation_config import EvaluationConfig, Sam3dConfig


def silent(share: float, words: str) -> None:
    assert 0 <= share <= 1


def test_a_folder_of_scenes_is_its_scenes(tmp_path: Path, make_scene) -> None:
    for name in ("b", "a"):
        make_scene(tmp_path / name)
    (tmp_path / "begun").mkdir()
    names = [str(tmp_path / "a"), str(tmp_path / "b")]
    assert [scene.name for scene in find_scenes([str(tmp_path)])] == names
    assert [scene.name for scene in find_scenes([f"scene:{tmp_path}"])] == names
    assert [scene.name for scene in find_scenes([str(tmp_path / "b")])] == names[1:]


def test_truth_is_the_instances_and_structure_is_background(tmp_path: Path, make_scene) -> None:
    make_scene(tmp_path / "a")
    (scene,) = find_scenes([str(tmp_path / "a")])
    truth = scene.load(silent)
    assert np.unique(truth.labelled.instance_id).tolist() == [1, 2, 3, 9]
    assert truth.background == {9}
    assert truth.up == (0, 0, 1)
    assert truth.labelled.names[2] == "b"


def test_things_without_parts_are_one_part(tmp_path: Path, make_scene) -> None:
    make_scene(tmp_path / "a")
    (scene,) = find_scenes([str(tmp_path / "a")], level="part")
    truth = scene.load(silent)
    # Parts 1 and 2 are thing 2; things 1 and 3 and the floor come after the parts.
    assert np.unique(truth.labelled.instance_id).tolist() == [1, 2, 3, 5, 11]
    assert truth.background == {11}
    assert {number: truth.labelled.names[number] for number in (1, 2, 3, 5)} == {1: "left", 2: "right", 3: "a", 5: "c"}
    (things,) = find_scenes([str(tmp_path / "a")])
    assert (scene.name == things.name, scene.fingerprint() == things.fingerprint()) == (False, False)


def test_scenes_without_truth_are_refused_when_they_are_loaded(tmp_path: Path, make_scene) -> None:
    make_scene(tmp_path / "a", truth=False, parts=False)
    (scene,) = find_scenes([str(tmp_path / "a")])
    with pytest.raises(InputError, match="no true instances"):
        scene.load(silent)
    make_scene(tmp_path / "b", parts=False)
    (scene,) = find_scenes([str(tmp_path / "b")], level="part")
    with pytest.raises(InputError, match="no true parts"):
        scene.load(silent)


def test_what_is_no_scene_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"and no scene folder in this folder"):
        find_scenes([str(tmp_path / "empty")])
    with pytest.raises(ConfigError, match="holds no finished scene"):
        find_scenes([f"scene:{tmp_path / 'empty'}"])
    with pytest.raises(ConfigError, match="not there, expected a folder of scenes"):
        find_scenes([f"scene:{tmp_path / 'gone'}"])


def test_perfect_masks_give_perfect_boards(tmp_path: Path, make_scene) -> None:
    make_scene(tmp_path / "a")
    (scene,) = find_scenes([str(tmp_path / "a")])
    truth = scene.load(silent)
    model = make_model(EvaluationConfig.build({"model": "sam3d", "sam3d": {"voxel_size_m": 0.02}}))
    assert isinstance(model, MaskMerger)
    model.warm_up(truth.labelled.cloud, truth.views)
    found = model.segment(truth.labelled.cloud, truth.views)
    ids = truth.labelled.instance_id
    for number in (1, 2, 3):
        overlaps = [((ids == number) & mask).sum() / ((ids == number) | mask).sum() for mask in found.masks]
        # Voxels of 2 cm at the edges of boards 50 cm wide.
        assert max(overlaps) > 0.9


def test_masks_that_are_not_there(tmp_path: Path, make_scene) -> None:
    scene = make_scene(tmp_path / "a", masks=False)
    (source,) = find_scenes([str(tmp_path / "a")])
    truth, model = source.load(silent), MaskMerger(Sam3dConfig.build({}))
    before = model.fingerprint(source.views())
    with pytest.raises(InputError, match="none of its frames has 2-D masks of 'graph': seg3d label frames makes them"):
        model.segment(truth.labelled.cloud, truth.views)
    with pytest.raises(InputError, match="needs the images of the scene"):
        model.segment(truth.labelled.cloud, None)
    model.warm_up(truth.labelled.cloud, None)
    make_scene(tmp_path / "b")
    os.renames(tmp_path / "b" / "masks", tmp_path / "a" / "masks")
    assert model.fingerprint(source.views()) != before
    assert len(model.segment(truth.labelled.cloud, truth.views)) > 0
    # One frame without masks is left out.
    scene.mask_path("graph", 1).unlink()
    assert len(model.segment(truth.labelled.cloud, truth.views)) > 0


def test_other_models_take_the_cloud_alone() -> None:
    model = make_model(EvaluationConfig.build({}))
    assert isinstance(model, CloudModel)
    assert model.fingerprint(None) == ""
    assert model.device is None
