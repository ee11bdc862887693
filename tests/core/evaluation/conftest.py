"""Models that need no network."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture
def ball_model():
    """The class of ``ball_model.py``."""
    spec = importlib.util.spec_from_file_location("ball_model", Path(__file__).with_name("ball_model.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.BallModel


@pytest.fixture
def make_scene():
    """The function of ``scene_folders.py``: writes a small scene folder."""
    spec = importlib.util.spec_from_file_location("scene_folders", Path(__file__).with_name("scene_folders.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.make_scene
