"""Weights that come with the package: found by name, whole, and installed with it."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="torch is not installed")

import torch

from seg3d_core.checkpoints.shipped import shipped
from seg3d_core.errors import ConfigError
from seg3d_core.point_sam.checkpoint import load_network
from seg3d_core.point_sam_config import POINT_SAM_PRESETS
from seg3d_core.segment3d import checkpoint as segment3d_checkpoint
from seg3d_core.segment3d.saving import read_card
from seg3d_core.segment3d_config import SEGMENT3D_PRESETS


def test_nano_is_there_and_fits_its_preset():
    path = shipped("point_sam_nano")
    assert path.stat().st_size <= 8e6
    assert path.with_suffix(".md").is_file()
    network = load_network(path)
    assert network.config == POINT_SAM_PRESETS["nano"]
    assert all(torch.isfinite(value).all() for value in network.state_dict().values())


@pytest.mark.parametrize("name", ["segment3d_nano", "segment3d_nano_stage1", "segment3d_nano_stage2"])
def test_scene_segmenters_are_there_and_say_what_they_were_trained_with(name):
    path = shipped(name)
    assert path.stat().st_size <= 4e6
    assert path.with_suffix(".md").is_file()
    network, card = segment3d_checkpoint.load_network(path), read_card(path)
    assert network.config == SEGMENT3D_PRESETS["nano"].model_copy(update={"num_queries": network.config.num_queries})
    assert card is not None and card.superpoints and card.max_voxels and card.voxel_size_m == 0.02
    assert all(torch.isfinite(value).all() for value in network.state_dict().values())


def test_other_names_are_refused():
    with pytest.raises(ConfigError, match=r"no weights named 'point_sam_huge' come with .* there are .*point_sam_nano"):
        shipped("point_sam_huge")
