"""One step of training: clicks, losses, gradients; and all that the next step depends on."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seg3d_core.checkpoints.audit import load_weights
from seg3d_core.errors import CheckpointError
from seg3d_core.learning.averaging import RunningMean
from seg3d_core.learning.point_sam.batches import Batch
from seg3d_core.learning.point_sam.losses import RoundLoss, round_loss, total_loss
from seg3d_core.learning.point_sam.rounds import Clicks, play_rounds, refinement_rounds
from seg3d_core.learning.point_sam.settings import PointSamTrainingConfig
from seg3d_core.point_sam.checkpoint import read_weights
from seg3d_core.point_sam.decoder import MaskPrediction
from seg3d_core.point_sam.model import PointSamNetwork
from seg3d_core.point_sam_config import POINT_SAM_PRESETS

_WARM_UP_FROM, _COSINE_TO = 1e-3, 1e-2
"""Shares of the learning rate at the first and at the last step."""
_CLICKS_STREAM = 1
"""Keeps the random numbers of clicks apart from those of samples."""


@dataclass(frozen=True)
class StepLosses:
    """Of one step: the whole loss, and IoU after the first and the last round."""

    loss: float
    first_iou: float
    last_iou: float

    def words(self) -> str:
        """For people."""
        return f"loss {self.loss:.3f}, IoU {self.first_iou:.2f} to {self.last_iou:.2f}"


class Trainer:
    """A network, the running mean of its weights, its optimiser, and the number of the next step.

    Raises:
        CheckpointError: ``config.start_from`` cannot be read or does not fit.
    """

    def __init__(self, config: PointSamTrainingConfig, device: torch.device) -> None:
        self._config, self._device = config, device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.network = PointSamNetwork(POINT_SAM_PRESETS[config.preset])
        if config.start_from:
            load_weights(self.network, read_weights(config.start_from), config.start_from)
        self.network.to(device)
        self._mean = RunningMean(self.network, config.average)
        self._optimiser = torch.optim.AdamW(
            self.network.parameters(), config.learning_rate, weight_decay=config.weight_decay
        )
        self.step = 0
        self._since: list[StepLosses] = []

    @property
    def average(self) -> PointSamNetwork:
        """With the running mean of weights: what is judged and kept."""
        return self._mean.network

    def learn(self, batch: Batch) -> StepLosses:
        """One step on ``batch``."""
        config, step = self._config, self.step
        self.network.train()
        for group in self._optimiser.param_groups:
            group["lr"] = config.learning_rate * rate_share(step, config)
        rounds = self._play(batch)
        loss = total_loss(rounds, config.iou_weight, config.first_weight)
        self._optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), config.clip)
        self._optimiser.step()
        self._mean.update(self.step)
        self.step += 1
        losses = StepLosses(float(loss.detach()), float(rounds[0].iou.mean()), float(rounds[-1].iou.mean()))
        self._since.append(losses)
        return losses

    def recent(self) -> dict[str, float]:
        """Means since this was asked last, and the learning rate."""
        names = ("loss", "first_iou", "last_iou")
        since, self._since = self._since, []
        means = {name: float(np.mean([getattr(one, name) for one in since])) if since else math.nan for name in names}
        return {
            "loss": means["loss"],
            "train_first": means["first_iou"],
            "train_last": means["last_iou"],
            "learning_rate": self._optimiser.param_groups[0]["lr"],
        }

    def state(self, best: float) -> dict[str, Any]:
        """All that the next step depends on, and the best figure so far."""
        return {
            "step": self.step,
            "best": best,
            "config": self._config.model_dump(mode="json"),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
        }

    def restore(self, state: dict[str, Any] | None) -> float:
        """Go on from ``state``; the best figure so far, -1 where there is none.

        Raises:
            CheckpointError: it is of another network.
        """
        if state is None:
            return -1.0
        try:
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self._optimiser.load_state_dict(state["optimiser"])
            self.step = int(state["step"])
            return float(state["best"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise CheckpointError(f"the last checkpoint does not fit this training: {error}") from error

    def _play(self, batch: Batch) -> list[RoundLoss]:
        config, device = self._config, self._device
        rng = np.random.default_rng((config.seed, self.step, _CLICKS_STREAM))
        clicks = Clicks(batch.xyz.numpy(), batch.masks.numpy(), config.random_clicks, rng)
        refinements = refinement_rounds(config.rounds, rng)
        truth = batch.masks.to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=config.bfloat16):
            cloud = self.network.encode(batch.xyz.to(device), batch.rgb.to(device), batch.patches, batch.patch_size)
            answers = play_rounds(
                self.network, cloud, clicks, config.rounds, refinements, corrected=config.sample.corrected
            )
        return [self._loss(_in_float32(answer), truth) for answer in answers]

    def _loss(self, answer: MaskPrediction, truth: Tensor) -> RoundLoss:
        asked = answer.mask_logits.shape[1]
        return round_loss(answer, truth[:, :asked], self._config.judge_all, self._config.all_candidates)


def rate_share(step: int, config: PointSamTrainingConfig) -> float:
    """Share of the learning rate at a step: linear warm-up, then half a cosine."""
    if step < config.warm_up:
        return _WARM_UP_FROM + (1 - _WARM_UP_FROM) * step / config.warm_up
    done = (step - config.warm_up) / max(1, config.steps - config.warm_up)
    return _COSINE_TO + (1 - _COSINE_TO) * (1 + math.cos(math.pi * min(1.0, done))) / 2


def _in_float32(answer: MaskPrediction) -> MaskPrediction:
    return replace(answer, mask_logits=answer.mask_logits.float(), iou_predictions=answer.iou_predictions.float())
