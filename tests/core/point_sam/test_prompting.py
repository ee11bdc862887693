"""Models that answer clicks, by name."""

from __future__ import annotations

import logging

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from safetensors.torch import save_file  # noqa: E402

from seg3d_core.errors import CheckpointError, ConfigError  # noqa: E402
from seg3d_core.interaction.model import PromptModel  # noqa: E402
from seg3d_core.point_sam.model import PointSamNetwork  # noqa: E402
from seg3d_core.point_sam_config import POINT_SAM_PRESETS, PromptModelConfig  # noqa: E402
from seg3d_core.prompting import make_prompt_model  # noqa: E402


def make(model, **scene):
    return make_prompt_model(PromptModelConfig.build({"model": model, "point_sam": {"device": "cpu"}, "scene": scene}))


def test_presets_have_random_weights_and_say_so(caplog):
    with caplog.at_level(logging.WARNING):
        model = make("tiny", mode="crop", radius_m=0.5)
    assert "Point-SAM tiny is untrained" in caplog.text
    assert isinstance(model, PromptModel)
    assert model.description.endswith("on cpu, crops of 0.5 m to 3 m")
    assert make("tiny", mode="whole").description.endswith("on cpu, whole clouds")


def test_files(tmp_path):
    file = tmp_path / "own.safetensors"
    torch.manual_seed(0)
    network = PointSamNetwork(POINT_SAM_PRESETS["nano"])
    save_file(network.state_dict(), file)
    assert make(str(file)).description.startswith("Point-SAM with ")
    file.write_bytes(b"no weights")
    with pytest.raises(CheckpointError):
        make(str(file))


def test_unknown_names(tmp_path):
    with pytest.raises(
        ConfigError,
        match=r"model = 'huge': neither one of nano, tiny, .*, giant, .*_voronoi nor a file",
    ):
        make("huge")
    with pytest.raises(ConfigError, match=r"unknown setting scene\.radius, did you mean scene\.radius_m"):
        make("tiny", radius=1)
