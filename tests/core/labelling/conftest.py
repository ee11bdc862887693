"""Small scenes on disk."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

HEIGHT, WIDTH = 48, 64


def true_instances() -> np.ndarray:
    """Floor (1) below, wall (2) above, a box (3) in the middle, nothing in a corner."""
    ids = np.full((HEIGHT, WIDTH), 2, np.uint16)
    ids[24:] = 1
    ids[16:36, 20:44] = 3
    ids[:4, :4] = 0
    return ids


def write_scene(folder, frames=3, with_truth=True):
    """A scene folder with equal frames: what seg3d data writes, without a cloud."""
    for name in ("color", "depth", "pose", "instance", "part"):
        (folder / name).mkdir(parents=True)
    ids = true_instances()
    colours = np.array([[0, 0, 0], [120, 90, 60], [200, 200, 190], [30, 60, 200]], np.uint8)
    depth_mm = np.array([0, 1500, 2500, 1200], np.uint16)
    for index in range(frames):
        name = f"{index:06d}"
        Image.fromarray(colours[ids]).save(folder / "color" / f"{name}.png")
        Image.fromarray(depth_mm[ids]).save(folder / "depth" / f"{name}.png")
        np.savetxt(folder / "pose" / f"{name}.txt", np.eye(4))
        if with_truth:
            Image.fromarray(ids).save(folder / "instance" / f"{name}.png")
            # The box has a lid and a body.
            parts = ids + (ids == 3) * (np.arange(HEIGHT)[:, None] >= 22).astype(np.uint16)
            Image.fromarray(parts).save(folder / "part" / f"{name}.png")
    np.savetxt(folder / "intrinsics.txt", [[60, 0, 31.5], [0, 60, 23.5], [0, 0, 1]])
    description = {"format": 1, "name": folder.name, "source": "test", "layout": "plain", "frames": frames}
    (folder / "scene.json").write_text(json.dumps({**description, "structure_ids": [1, 2]}))
    return folder


@pytest.fixture
def scene(tmp_path):
    """A scene folder with three frames and their truth."""
    return write_scene(tmp_path / "scenes" / "room")


@pytest.fixture
def make_scene(tmp_path):
    """Writes a scene folder of that name."""
    return lambda name, frames=3, with_truth=True: write_scene(tmp_path / "scenes" / name, frames, with_truth)
