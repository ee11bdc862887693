"""What Point-SAM is trained to make small: focal and dice loss of masks, and the error of predicted overlaps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from seg3d_core.point_sam.decoder import MaskPrediction

FOCUSING = 2.0
"""Exponent of the focal loss (gamma)."""
DICE_WEIGHT = 2.0
_SMOOTHING = 1e-3


@dataclass(frozen=True, eq=False)
class RoundLoss:
    """Of one round of clicks on B·M objects, averaged over them.

    Attributes:
        of_masks: focal plus twice dice loss of the candidate that has least of it, some of the others' with it perhaps.
        of_ious: squared error of that candidate's predicted IoU, or of all candidates'.
        iou: (B, M) its actual IoU.
    """

    of_masks: Float[Tensor, ""]
    of_ious: Float[Tensor, ""]
    iou: Float[Tensor, "B M"]


def round_loss(
    prediction: MaskPrediction, truth: Bool[Tensor, "B M N"], judge_all: bool = False, all_candidates: float = 0.0
) -> RoundLoss:
    """The published loss of one round: only the best of several candidates learns, and only its predicted overlap.

    Args:
        prediction: of the network.
        truth: what was meant.
        judge_all: the predicted overlaps of all candidates learn: those that are not meant learn that they are not.
        all_candidates: 0..1, share of the candidates' mean in the loss of masks: what is chosen wrongly is less wrong.
    """
    logits, target = prediction.mask_logits, truth[:, :, None].to(prediction.mask_logits.dtype)
    per_candidate = focal_loss(logits, target) + DICE_WEIGHT * dice_loss(logits, target)
    least, best = per_candidate.min(dim=2)
    chosen = best[..., None]
    ious = hard_iou(logits.detach() > 0, truth[:, :, None]).to(logits.dtype)
    of_ious = (prediction.iou_predictions - ious).square()
    judged = of_ious if judge_all else of_ious.gather(2, chosen)
    of_masks = torch.lerp(least.mean(), per_candidate.mean(), all_candidates)
    return RoundLoss(of_masks, judged.mean(), ious.gather(2, chosen)[..., 0])


def total_loss(rounds: list[RoundLoss], iou_weight: float = 1.0, first_weight: float = 1.0) -> Float[Tensor, ""]:
    """Mean over the rounds of both losses; the weights are those of predicted overlaps and of the first round."""
    totals = torch.stack([one.of_masks + iou_weight * one.of_ious for one in rounds])
    weights = totals.new_tensor([first_weight] + [1.0] * (len(rounds) - 1))
    return (totals * weights).sum() / weights.sum()


def focal_loss(logits: Float[Tensor, "*B N"], target: Float[Tensor, "*#B N"]) -> Float[Tensor, "*B"]:
    """Mean over points of the cross entropy, weighted by how wrong the point is; without class weights."""
    target = target.expand_as(logits)
    entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    wrong = torch.where(target > 0, (-logits).sigmoid(), logits.sigmoid())
    return (entropy * wrong**FOCUSING).mean(dim=-1)


def dice_loss(logits: Float[Tensor, "*B N"], target: Float[Tensor, "*#B N"]) -> Float[Tensor, "*B"]:
    """One minus the overlap of soft masks, with squares in the denominator."""
    p = logits.sigmoid()
    shared = 2 * (p * target).sum(dim=-1) + _SMOOTHING
    return 1 - shared / (p.square().sum(dim=-1) + target.sum(dim=-1) + _SMOOTHING)


def hard_iou(masks: Bool[Tensor, "*B N"], truth: Bool[Tensor, "*#B N"]) -> Float[Tensor, "*B"]:
    """Points in both over points in either."""
    return (masks & truth).sum(dim=-1) / (masks | truth).sum(dim=-1).clamp(min=1)
