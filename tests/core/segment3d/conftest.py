"""The original's recorded network with small widths: its configuration, its weights, its two scenes, its outputs."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from seg3d_core.segment3d_config import Segment3DConfig

GOLDEN = Path(__file__).resolve().parents[2] / "golden"

if importlib.util.find_spec("torch"):
    import torch

    # The networks of these tests are too small to share among threads.
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny() -> dict[str, Any]:
    return torch.load(GOLDEN / "segment3d_reference_tiny.pt", weights_only=True)


@pytest.fixture(scope="session")
def tiny_config(tiny: dict[str, Any]) -> Segment3DConfig:
    recorded = tiny["config"]
    return Segment3DConfig(
        stem_channels=tiny["init_dim"],
        stage_channels=tiny["planes"],
        stage_blocks=tiny["layers"],
        unused_classes=recorded["config"]["backbone"]["out_channels"],
        hidden_dim=recorded["hidden_dim"],
        heads=recorded["num_heads"],
        feedforward_dim=recorded["dim_feedforward"],
        decoders=recorded["num_decoders"],
        num_queries=recorded["num_queries"],
    )


@pytest.fixture(scope="session")
def released_keys() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the parameters in a released checkpoint."""
    shapes = {}
    for line in (GOLDEN / "segment3d_state_dict_keys.txt").read_text(encoding="utf-8").splitlines():
        name, shape, _ = line.split("\t")
        shapes[name] = tuple(int(n) for n in shape.strip("[]").split(",") if n.strip())
    return shapes
