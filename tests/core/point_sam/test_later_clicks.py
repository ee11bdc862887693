"""Calls are counted: the cloud is encoded once, and a later click only decodes, by the fused way."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from seg3d_core.point_sam import model as model_module  # noqa: E402
from seg3d_core.point_sam import predictor as predictor_module  # noqa: E402
from seg3d_core.point_sam import scene_crops as scene_crops_module  # noqa: E402
from seg3d_core.point_sam.fused import FusedPointNet, FusedUpscaling  # noqa: E402
from seg3d_core.point_sam.model import PointSamNetwork  # noqa: E402
from seg3d_core.point_sam.predictor import PointSam  # noqa: E402
from seg3d_core.point_sam.scene_crops import SceneCrops  # noqa: E402
from seg3d_core.point_sam_config import POINT_SAM_PRESETS, PointSamSettings, SceneCropConfig  # noqa: E402
from seg3d_core.types import Cloud, Prompt  # noqa: E402

CLOUD = Cloud(np.random.default_rng(0).uniform(-0.3, 0.3, (900, 3)).astype(np.float32))
ENCODING = ("group_points", "divide_into_cells", "nearest", "inverse_square_weights", "normalisation", "crop")
MODULES = ("encoder", "offsets")


@pytest.fixture(params=["nano", "nano_voronoi"])
def network(request):
    torch.manual_seed(0)
    return PointSamNetwork(POINT_SAM_PRESETS[request.param])


@pytest.fixture
def calls(network, monkeypatch):
    """How often each part has run."""
    counts = Counter()

    def count(owner, name, label):
        real = getattr(owner, name)

        def counted(*given, **named):
            counts[label] += 1
            return real(*given, **named)

        monkeypatch.setattr(owner, name, counted)

    for name in ENCODING[:4]:
        count(model_module, name, name)
    count(predictor_module.Normalisation, "of", "normalisation")
    count(scene_crops_module, "cut_out", "crop")
    count(network.pc_encoder, "forward", "encoder")
    count(network.mask_encoder, "encode_offsets", "offsets")
    count(network.mask_encoder, "forward", "mask")
    count(network.mask_decoder, "forward", "decoder")
    count(FusedPointNet, "__call__", "fused PointNet")
    count(FusedUpscaling, "__call__", "fused upscaling")
    return counts


def work_of_the_encoder(calls):
    return {name: calls[name] for name in (*ENCODING, *MODULES) if calls[name]}


@pytest.mark.parametrize("mode", ["alone", "whole", "crop"])
def test_a_later_click_does_no_work_of_the_encoder(network, calls, mode):
    model = PointSam(network, PointSamSettings.build({"device": "cpu", "patches": 40, "patch_size": 16}))
    if mode != "alone":
        # One crop is as large as crops get: whatever random weights say, it is not left.
        model = SceneCrops(model, SceneCropConfig.build({"mode": mode, "radius_m": 2.0, "max_radius_m": 2.0}))
    model.set_cloud(CLOUD)
    assert calls["encoder"] == (mode != "crop")
    prompt = Prompt.click(*CLOUD.points[0].tolist())
    found = model.predict(prompt)
    assert calls["encoder"] == 1
    cells = network.config.tokenizer == "voronoi"
    for number in range(1, 4):
        calls.clear()
        prompt = prompt.with_click(*CLOUD.points[number].tolist(), is_foreground=number != 2)
        found = model.predict(prompt, found.mask_logits[0])
        assert work_of_the_encoder(calls) == {}
        assert (calls["mask"], calls["decoder"]) == (1, 1)
        assert (calls["fused PointNet"], calls["fused upscaling"] > 0) == (0 if cells else 1, True)
    calls.clear()
    model.set_cloud(CLOUD)
    model.predict(Prompt.click(*CLOUD.points[0].tolist()))
    assert calls["encoder"] == calls["offsets"] == 1, "another cloud is encoded"
