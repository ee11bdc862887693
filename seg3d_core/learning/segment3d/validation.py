"""How good the masks are on samples that are never learned from: average precision, and pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Int32
from PIL import Image

from seg3d_core.data.atomic import atomic_path
from seg3d_core.errors import ConfigError, InputError
from seg3d_core.learning.metrics import ApProtocol, Overlaps, average_precision
from seg3d_core.learning.segment3d.batches import batch_of
from seg3d_core.learning.segment3d.data_settings import DataConfig
from seg3d_core.learning.segment3d.loading import FEWEST_VOXELS
from seg3d_core.learning.segment3d.samples import VoxelSample, plain_sample
from seg3d_core.learning.segment3d.settings import ValidationConfig
from seg3d_core.learning.segment3d.sources import CloudSource
from seg3d_core.pictures import Column, side_by_side
from seg3d_core.segment3d.inference import InferenceNetwork
from seg3d_core.segment3d.model import Segment3DNetwork
from seg3d_core.segment3d.postprocess import propose
from seg3d_core.segment3d.proposals import Proposals
from seg3d_core.segment3d.voxel_input import COLOUR_STATISTICS
from seg3d_core.segment3d_config import PostprocessConfig
from seg3d_core.sparse.tensor import SparseTensor
from seg3d_core.types import Cloud

_EPS_VOXELS = 2.5
"""Voxels nearer to each other than this many edges are neighbours: the released 5 cm for its voxels of 2 cm."""


@dataclass(frozen=True)
class Score:
    """Over all samples, 0..1; NaN where no sample has a mask that counts."""

    ap: float
    ap50: float
    ap25: float

    @property
    def figure(self) -> float:
        """What checkpoints are ranked by."""
        return self.ap

    def columns(self) -> dict[str, float]:
        """For the log."""
        return {"ap": self.ap, "ap50": self.ap50, "ap25": self.ap25}


class Validation:
    """Fixed samples, as they are measured: nothing is changed or cut.

    Args:
        config: how many, and what counts.
        data: how clouds become samples.
        source: of clouds that are not learned from.

    Raises:
        ConfigError: none of them can be used, or none has a mask that counts.
    """

    def __init__(self, config: ValidationConfig, data: DataConfig, source: CloudSource) -> None:
        self._config, self._samples = config, list[VoxelSample]()
        self._rule = rule(data.voxel_size_m)
        chosen = np.linspace(0, len(source) - 1, min(config.samples, len(source))).round().astype(int)
        for index in chosen.tolist():
            try:
                sample = plain_sample(source.read(index), data.voxel_size_m, data.fewest_voxels)
            except InputError:
                continue
            if len(sample) >= FEWEST_VOXELS:
                self._samples.append(sample)
        if not self._samples:
            raise ConfigError(f"none of {len(chosen)} held-out samples can be used to validate on")
        # Otherwise every figure would be NaN, and none ever the best.
        if not any((sample.masks.sum(axis=1) >= config.fewest_voxels).any() for sample in self._samples):
            raise ConfigError(
                f"none of {len(self._samples)} held-out samples has a mask of at least {config.fewest_voxels} voxels: "
                "see held_out, validation.targets and validation.fewest_voxels"
            )

    def score(self, network: Segment3DNetwork, pictures: Path | None = None) -> Score:
        """Of ``network``; the first samples are drawn into the folder ``pictures``."""
        device = next(network.parameters()).device
        # By name: the choice of another one would be said each time.
        inference = InferenceNetwork(network.eval(), "torch" if device.type == "cpu" else "auto")
        overlaps = []
        for number, sample in enumerate(self._samples):
            found = find_masks(inference, sample, device, self._rule)
            overlaps.append(_overlaps(sample.masks, found))
            if pictures is not None and number < self._config.pictures:
                _draw(pictures / f"{number:03d}.png", sample, found)
        result = average_precision(overlaps, ApProtocol(min_region=self._config.fewest_voxels))
        return Score(result.ap, result.ap50, result.ap25)


def rule(voxel_size_m: float) -> PostprocessConfig:
    """Masks are split and scored as released; all are kept, since average precision ranks them."""
    eps_m = _EPS_VOXELS * voxel_size_m
    return PostprocessConfig.build({"split": "before_scoring", "keep_fraction": 1.0, "smooth": False, "eps_m": eps_m})


def find_masks(
    network: InferenceNetwork, sample: VoxelSample, device: torch.device, rule: PostprocessConfig
) -> Proposals:
    """All masks that ``network``, which is on ``device``, finds in a sample, best first."""
    batch = batch_of([sample], device)
    x = SparseTensor.from_coordinates(batch.coordinates, batch.colours)
    output = network(x, batch.xyz, batch.segments)
    class_logits, mask_logits = output.prediction.class_logits[0], output.prediction.mask_logits[0]
    segments = None if batch.segments is None else batch.segments.cpu().numpy()
    return propose(class_logits.float().cpu().numpy(), mask_logits.float().cpu().numpy(), sample.xyz, rule, segments)


def _overlaps(truth: Bool[np.ndarray, "M V"], found: Proposals) -> Overlaps:
    shared = np.zeros((len(truth), len(found)), np.int64)
    for number in range(len(found)):
        members = found.members[found.offsets[number] : found.offsets[number + 1]]
        shared[:, number] = truth[:, members].sum(1)
    return Overlaps(shared, truth.sum(1, dtype=np.int64), found.sizes, found.scores.astype(np.float64))


def _draw(path: Path, sample: VoxelSample, found: Proposals) -> None:
    """True colours, what is wanted, what is found."""
    mean, deviation = (np.array(values, np.float32) for values in COLOUR_STATISTICS["imagenet"])
    cloud = Cloud(sample.xyz, np.clip(sample.colours * deviation + mean, 0, 1))
    sure = found.select(found.scores > 0.5)
    columns = [
        Column("colour"),
        Column(f"{len(sample.masks)} wanted", _painted(sample.masks)),
        Column(f"{len(sure)} found, confidence above 0.5", _painted(sure.masks)),
    ]
    with atomic_path(path) as partial:
        Image.fromarray(side_by_side(cloud, columns)).save(partial)


def _painted(masks: Bool[np.ndarray, "M V"]) -> Int32[np.ndarray, " V"]:
    """Number of the smallest mask at each voxel, from 1; 0 for none."""
    ids = np.zeros(masks.shape[1], np.int32)
    for number in np.argsort(-masks.sum(1), kind="stable").tolist():
        ids[masks[number]] = number + 1
    return ids
