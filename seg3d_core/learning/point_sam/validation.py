"""How good the masks are after each click, on rooms and shapes that are never learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64

from seg3d_core.errors import ConfigError
from seg3d_core.learning.point_sam.batches import batch_of
from seg3d_core.learning.point_sam.cache import read_views
from seg3d_core.learning.point_sam.losses import hard_iou
from seg3d_core.learning.point_sam.rounds import Clicks, handed_on, play_rounds
from seg3d_core.learning.point_sam.samples import FEWEST_MASK_POINTS, Sample, plain_sample
from seg3d_core.learning.point_sam.settings import ValidationConfig
from seg3d_core.learning.point_sam.shapes import shapes_view
from seg3d_core.learning.point_sam.views import View
from seg3d_core.point_sam.model import PointSamNetwork

_MOST_OBJECTS = 8
"""Of one cloud that are clicked on."""
_SEED = 4711


@dataclass(frozen=True, eq=False)
class Score:
    """Mean IoU over objects.

    Attributes:
        of_rooms: (clicks,) after each click; NaN without rooms.
        of_shapes: (clicks,) likewise; NaN without shapes.
    """

    of_rooms: Float64[np.ndarray, " K"]
    of_shapes: Float64[np.ndarray, " K"]

    @property
    def figure(self) -> float:
        """What checkpoints are ranked by: the mean over clicks and over rooms and shapes."""
        return float(np.nanmean(np.stack([self.of_rooms, self.of_shapes])))

    def columns(self) -> dict[str, float]:
        """IoU after 1, 3 and 5 clicks, as far as there are as many."""
        kinds = (("rooms", self.of_rooms), ("shapes", self.of_shapes))
        return {f"{kind}_iou{k}": float(ious[k - 1]) for kind, ious in kinds for k in (1, 3, 5) if k <= len(ious)}


class Validation:
    """Fixed samples, drawn once.

    Raises:
        InputError: a file of the held-out rooms is missing or damaged.
        ConfigError: there is no object in any of them, nor a shape.
    """

    def __init__(self, config: ValidationConfig, rooms: Path) -> None:
        self._config, rng = config, np.random.default_rng(_SEED)
        views = [view for seed in held_out(config) for view in read_views(rooms, seed)]
        chosen = [views[row] for row in rng.permutation(len(views))]
        self._of_rooms = _usable(chosen, config.clouds, config.points, rng)
        shapes = [shapes_view(rng, 4 * config.points) for _ in range(2 * config.shapes)]
        self._of_shapes = _usable(shapes, config.shapes, config.points, rng)
        if not (self._of_rooms or self._of_shapes):
            raise ConfigError(
                f"nothing to validate on: validation.rooms = {config.rooms} and validation.shapes = {config.shapes}"
                f" show no object of {FEWEST_MASK_POINTS} of {config.points} points"
            )

    def score(self, network: PointSamNetwork) -> Score:
        """Click on every object of every sample."""
        return Score(self._ious(network, self._of_rooms), self._ious(network, self._of_shapes))

    @torch.no_grad()
    def _ious(self, network: PointSamNetwork, samples: Sequence[Sample]) -> Float64[np.ndarray, " K"]:
        network.eval()
        config, found = self._config, [np.full((0, self._config.clicks), np.nan)]
        device = next(network.parameters()).device
        for sample in samples:
            batch = batch_of([sample], config.patches, config.patch_size)
            truth = batch.masks.to(device)
            cloud = network.encode(batch.xyz.to(device), batch.rgb.to(device), batch.patches, batch.patch_size)
            answers = play_rounds(network, cloud, Clicks(sample.xyz[None], sample.masks[None]), config.clicks)
            found.append(np.stack([hard_iou(handed_on(one) > 0, truth)[0].cpu().numpy() for one in answers], axis=1))
        joined = np.concatenate(found)
        return joined.mean(axis=0) if len(joined) else np.full(config.clicks, np.nan)


def held_out(config: ValidationConfig) -> range:
    """Seeds of the rooms."""
    return range(config.first_room, config.first_room + config.rooms)


def _usable(views: Sequence[View], count: int, points: int, rng: np.random.Generator) -> list[Sample]:
    samples: list[Sample] = []
    for view in views:
        sample = plain_sample(view, points, rng) if len(view.points) >= points // 2 else None
        if sample is not None and len(samples) < count:
            rows = rng.permutation(len(sample.masks))[:_MOST_OBJECTS]
            samples.append(Sample(sample.xyz, sample.rgb, sample.masks[rows]))
    return samples
