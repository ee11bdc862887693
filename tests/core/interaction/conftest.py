"""A small world of three boxes on a floor, and a model that knows it: answers follow from the prompt alone."""

from __future__ import annotations

import numpy as np
import pytest

from seg3d_core.errors import InputError
from seg3d_core.interaction.candidates import MaskCandidates
from seg3d_core.types import Cloud

BOXES = (((0, 0, 0), (0.4, 0.4, 0.4)), ((1, 0, 0), (1.4, 0.3, 0.8)), ((1, 1, 0.7), (1.6, 1.6, 0.75)))
"""Low and high corners, m: a cube, a tall box, and a table top in the air."""


def box_surface(low, high, spacing_m=0.02):
    axes = [np.arange(a, b + spacing_m / 2, spacing_m) for a, b in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return grid[((grid < np.add(low, 1e-6)) | (grid > np.subtract(high, spacing_m / 2))).any(axis=1)]


def make_world(stamp_ns=1, frame_id="map", seed=0):
    """Cloud and label of every point: 0 is the floor, then the boxes."""
    random = np.random.default_rng(seed)
    x, y = np.meshgrid(np.arange(-1, 2.5, 0.04), np.arange(-1, 2.5, 0.04))
    floor = np.stack([x.ravel(), y.ravel(), random.normal(0, 0.004, x.size)], axis=1)
    parts = [floor, *(box_surface(low, high) for low, high in BOXES)]
    labels = np.concatenate([np.full(len(part), label) for label, part in enumerate(parts)])
    return Cloud(np.concatenate(parts).astype(np.float32), frame_id=frame_id, stamp_ns=stamp_ns), labels


class Oracle:
    """Knows the label of every point: means the clicked labels, without those clicked beside.

    Attributes:
        asked: (prompt, mask_input, multimask) of every call.
        encoded: every cloud that was set.
    """

    description = "an oracle"

    def __init__(self, labels_of):
        self.asked, self.encoded = [], []
        self._labels_of = labels_of

    def set_cloud(self, cloud):
        if len(cloud) < 3:
            raise InputError(f"the cloud has {len(cloud)} points, 3 are needed")
        self._cloud = cloud
        self.encoded.append(cloud)

    def predict(self, prompt, mask_input=None, multimask=None):
        self.asked.append((prompt, mask_input, multimask))
        labels = self._labels_of(self._cloud)
        rows = [int(np.abs(self._cloud.points - point).sum(axis=1).argmin()) for point in prompt.points]
        meant = set(labels[rows][prompt.is_foreground]) - set(labels[rows][~prompt.is_foreground])
        logits = np.where(np.isin(labels, list(meant)), 3.0, -3.0).astype(np.float32)
        if mask_input is not None:
            logits += mask_input / np.float32(4)
        # What the clicks have in common, the first click's neighbourhood, and everything.
        near = np.linalg.norm(self._cloud.points - prompt.points[:1], axis=1) if len(prompt.points) else logits
        many = np.stack([logits, np.where(near < 0.1, 2, -2).astype(np.float32), np.ones_like(logits)])
        few = many if multimask else many[:1]
        scores = np.array([0.9, 0.5, 0.1], np.float32)[: len(few)]
        return MaskCandidates(self._cloud, few, scores, scores[::-1].copy())


@pytest.fixture(scope="session")
def world():
    return make_world()


@pytest.fixture(scope="session")
def oracle_class():
    return Oracle


@pytest.fixture
def oracle(world):
    """Knows the world, and clouds of its size."""
    return Oracle(lambda cloud: world[1] if len(cloud) == len(world[0]) else np.zeros(len(cloud), int))
