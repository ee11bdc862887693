"""A Segment3D that knows the three boxes by heart: small, and trained within seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from boxes import boxes_cloud

from seg3d_core.config import SUPERPOINTS
from seg3d_core.geometry.superpoints import cloud_superpoints
from seg3d_core.learning.segment3d.processes import start_processes
from seg3d_core.learning.segment3d.samples import LabelTargets, TrainingCloud, plain_sample
from seg3d_core.learning.segment3d.settings import Segment3DTrainingConfig
from seg3d_core.learning.segment3d.trainer import Trainer
from seg3d_core.segment3d.saving import card_of, save_network

EDGE_M = 0.05
"""Coarse, since that is quick; masks are sharp for they consist of superpoints."""
QUERIES = 24
SPACING_M = 0.02
FOR_NODES = {"segment3d__device": "cpu", "segment3d__num_queries": QUERIES, "segment3d__score_threshold": 0.2}
"""Parameters of a scene_node that uses it."""


def train_on_boxes(path: Path, joined: dict[int, int] | None = None, steps: int = 40) -> None:
    """Write a network that finds the floor and the boxes; ``joined`` says which are one object to it."""
    cloud, labels = boxes_cloud(0, spacing_m=SPACING_M)
    for number, other in (joined or {}).items():
        labels = np.where(labels == number, other, labels)
    assert cloud.rgb is not None
    rgb = np.rint(255 * cloud.rgb).astype(np.uint8)
    patches = cloud_superpoints(cloud, SUPERPOINTS)
    sample = plain_sample(
        TrainingCloud(cloud.points, rgb, LabelTargets(labels.astype(np.int32)), "boxes", patches), EDGE_M
    )
    settings = {
        "preset": "nano",
        "num_queries": QUERIES,
        "device": "cpu",
        "threads": 1,
        "steps": steps,
        "clip": 1.0,
        "schedule": {"learning_rate": 3e-3, "decoder_factor": 0.3},
        "data": {"voxel_size_m": EDGE_M},
    }
    threads = torch.get_num_threads()
    config = Segment3DTrainingConfig.build(settings)
    trainer = Trainer(config, start_processes(config))
    for layer in trainer._learner.modules():
        if isinstance(layer, torch.nn.BatchNorm1d):
            layer.momentum = 0.3  # what is remembered of so few steps is what counts in use
    for _ in range(steps):
        trainer.learn([sample])
    torch.set_num_threads(threads)
    save_network(path, trainer.average, card_of(trainer.average, voxel_size_m=EDGE_M, superpoints=True))
