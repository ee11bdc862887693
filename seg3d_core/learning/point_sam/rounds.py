"""Rounds of simulated clicks: every round adds one, or only refines, and hands its mask to the next."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor

from seg3d_core.learning.clicks import SimulatedClick, next_click
from seg3d_core.point_sam.decoder import MaskPrediction
from seg3d_core.point_sam.model import EncodedCloud, PointSamNetwork


class Clicks:
    """The clicks on B·M objects so far, as many on each.

    Args:
        xyz: normalised clouds, on the CPU.
        truth: the objects.
        random_share: of clicks that are made anywhere in the object (round 0) or the error, instead of at its deepest
            point; 0 is the original's rule.
        rng: draws those.
    """

    def __init__(
        self,
        xyz: Float32[np.ndarray, "B N 3"],
        truth: Bool[np.ndarray, "B M N"],
        random_share: float = 0.0,
        rng: np.random.Generator | None = None,
    ) -> None:
        self._xyz, self._truth, self._random_share = xyz, truth, random_share
        self._rng = rng or np.random.default_rng(0)
        self.rows = np.zeros((*truth.shape[:2], 0), np.int64)
        self.labels = np.zeros((*truth.shape[:2], 0), bool)

    def add(self, predicted: Bool[np.ndarray, "B M N"] | None) -> None:
        """One more click on each object, where ``predicted`` is wrong; without it the first."""
        batch, sets, _ = self._truth.shape
        rows, labels = np.zeros((batch, sets, 1), np.int64), np.zeros((batch, sets, 1), bool)
        for b, m in np.ndindex(batch, sets):
            click = self._next(self._xyz[b], self._truth[b, m], None if predicted is None else predicted[b, m])
            rows[b, m], labels[b, m] = click.row, click.is_foreground
        self.rows, self.labels = np.concatenate([self.rows, rows], 2), np.concatenate([self.labels, labels], 2)

    def keep(self, count: int) -> None:
        """Forget all but the first ``count`` objects of each cloud."""
        self._truth, self.rows, self.labels = (values[:, :count] for values in (self._truth, self.rows, self.labels))

    @property
    def points(self) -> Float32[np.ndarray, "B M P 3"]:
        """Where they are."""
        points: Float32[np.ndarray, "B M P 3"] = self._xyz[np.arange(len(self._xyz))[:, None, None], self.rows]
        return points

    def _next(
        self,
        xyz: Float32[np.ndarray, "N 3"],
        truth: Bool[np.ndarray, " N"],
        predicted: Bool[np.ndarray, " N"] | None,
    ) -> SimulatedClick:
        wrong = truth if predicted is None else truth ^ predicted
        if wrong.any() and self._rng.uniform() < self._random_share:
            row = int(self._rng.choice(np.flatnonzero(wrong)))
            return SimulatedClick(row, bool(truth[row]))
        return next_click(xyz, truth, predicted)


def refinement_rounds(rounds: int, rng: np.random.Generator) -> frozenset[int]:
    """Which of a training's rounds add no click: the last one, and any but the first; the same one perhaps."""
    return frozenset({rounds - 1, int(rng.integers(1, rounds))}) if rounds > 1 else frozenset()


def play_rounds(
    network: PointSamNetwork,
    cloud: EncodedCloud,
    clicks: Clicks,
    rounds: int,
    refinements: frozenset[int] = frozenset(),
    prompts: Sequence[Float[Tensor, "B M N"] | None] | None = None,
    corrected: int = 0,
) -> list[MaskPrediction]:
    """The answers of all rounds: three candidates first, then one mask that starts from the one before.

    What is handed on is the candidate that the network thinks best, in training, too. ``prompts`` takes its place
    where given, for comparison with recordings. After the first round only the first ``corrected`` objects of each
    cloud go on, where that is not 0.
    """
    logits, answers = None, []
    device = cloud.embeddings.device
    for number in range(rounds):
        if prompts is not None:
            logits = prompts[number]
        if number not in refinements:
            clicks.add(None if logits is None else (logits > 0).cpu().numpy())
        points, labels = (torch.from_numpy(values).to(device) for values in (clicks.points, clicks.labels))
        answer = network.decode(cloud, points, labels, logits, multimask=number == 0)
        answers.append(answer)
        logits = handed_on(answer)
        if corrected and number == 0:
            clicks.keep(corrected)
            logits = logits[:, :corrected]
    return answers


def handed_on(answer: MaskPrediction) -> Float[Tensor, "B M N"]:
    """Logits of the candidate with the best predicted overlap, in float32; no gradient flows through them."""
    best = answer.iou_predictions.detach().argmax(dim=2)[..., None, None]
    logits = answer.mask_logits.detach()
    return logits.gather(2, best.expand(-1, -1, 1, logits.shape[-1]))[:, :, 0].float()
