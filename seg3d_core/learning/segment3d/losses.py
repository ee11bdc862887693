"""What Segment3D is trained to make small: cross entropy and dice loss of masks, cross entropy of classes.

Masks are compared as products of matrices, never element by element for all pairs. Q queries, M true masks, V voxels,
C channels, R predicted masks that each have a true one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

_SMOOTHING = 1.0
"""In numerator and denominator of the dice loss."""

_ELEMENTS_AT_A_TIME = 2**19
"""Of masks that are in work together: they stay in a cache."""

_FACTORS = 64
"""Sigmoids in one product: each is at least a half, so that the product is far from underflow."""


@dataclass(frozen=True, eq=False)
class MaskLosses:
    """Of R predicted masks.

    Attributes:
        total: weighted sum of both; it alone has gradients.
        entropy: (R,) cross entropy, mean over the voxels.
        dice: (R,) 1 - (2 shared + 1) / (sum of the sizes + 1).
    """

    total: Float[Tensor, ""]
    entropy: Float[Tensor, " R"]
    dice: Float[Tensor, " R"]


def mask_losses(
    embeddings: Float[Tensor, "R C"],
    features: Float[Tensor, "V C"],
    truth: Float[Tensor, "M V"],
    rows: Int64[Tensor, " R"],
    entropy_weight: float,
    dice_weight: float,
) -> MaskLosses:
    """Losses of the masks whose logits are ``embeddings @ features.T``. Differentiable once.

    Some masks at a time, each group with its gradients: no more than a few of them are ever in memory.

    Args:
        embeddings: of the predicted masks.
        features: of the voxels.
        truth: true masks, 0 or 1.
        rows: which of them each predicted one is to become.
        entropy_weight, dice_weight: of one mask in the total.
    """
    apply: Any = _MaskLosses.apply
    return MaskLosses(*apply(embeddings, features, truth, rows, entropy_weight, dice_weight))


@torch.no_grad()
def mask_costs(
    logits: Float[Tensor, "Q V"], truth: Float[Tensor, "M V"]
) -> tuple[Float[Tensor, "Q M"], Float[Tensor, "Q M"]]:
    """Cross entropy and dice loss of every predicted with every true mask."""
    probabilities = logits.sigmoid()
    entropy = (softplus_sums(logits, probabilities)[:, None] - logits @ truth.T) / max(1, logits.shape[1])
    sizes = probabilities.sum(1)[:, None] + truth.sum(1)
    return entropy, 1 - (2 * (probabilities @ truth.T) + _SMOOTHING) / (sizes + _SMOOTHING)


def class_losses(
    logits: Float[Tensor, "P B Q K"], classes: Int64[Tensor, "P B Q"], weights: Float[Tensor, " K"]
) -> tuple[Float[Tensor, " P"], Float[Tensor, " P"]]:
    """Cross entropy of the classes times their weights, and these weights: each summed over all queries."""
    weight = weights[classes]
    log_shares = functional.log_softmax(logits, dim=-1)
    entropy = -log_shares.gather(-1, classes[..., None])[..., 0]
    return (entropy * weight).sum((1, 2)), weight.sum((1, 2))


def softplus_sums(logits: Float[Tensor, "Q V"], probabilities: Float[Tensor, "Q V"]) -> Float[Tensor, " Q"]:
    """Sum of log(1 + exp(x)) of each row; ``probabilities`` are the sigmoids of the logits.

    log(1 + exp(x)) = max(x, 0) - log(sigmoid(|x|)). The logarithm is taken of products, which saves nearly all of them.
    """
    sure = torch.maximum(probabilities, 1 - probabilities)
    whole = sure.shape[1] // _FACTORS * _FACTORS
    logs = sure[:, :whole].reshape(len(sure), -1, _FACTORS).prod(2).log().sum(1) + sure[:, whole:].log().sum(1)
    return logits.clamp(min=0).sum(1) - logs


class _MaskLosses(torch.autograd.Function):
    """The gradients are made in the forward pass, while a group of masks is at hand."""

    @staticmethod
    def forward(
        ctx: Any,
        embeddings: Tensor,
        features: Tensor,
        truth: Tensor,
        rows: Tensor,
        entropy_weight: float,
        dice_weight: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        count, voxels = len(embeddings), max(1, len(features))
        entropy, dice = embeddings.new_empty(count), embeddings.new_empty(count)
        to_embeddings, to_features = torch.empty_like(embeddings), torch.zeros_like(features)
        wanted_sizes = truth.sum(1)
        group = max(1, _ELEMENTS_AT_A_TIME // voxels)
        for start in range(0, count, group):
            part = slice(start, min(start + group, count))
            wanted = truth[rows[part]]
            logits = embeddings[part] @ features.T
            p = logits.sigmoid()
            shared = 2 * torch.linalg.vecdot(p, wanted) + _SMOOTHING
            sizes = p.sum(1) + wanted_sizes[rows[part]] + _SMOOTHING
            entropy[part] = (softplus_sums(logits, p) - torch.linalg.vecdot(logits, wanted)) / voxels
            dice[part] = 1 - shared / sizes
            if any(ctx.needs_input_grad[:2]):
                # Of dice in p: shared / sizes² - 2 t / sizes; of p in the logit: p (1 - p); of entropy there: p - t.
                everywhere, inside = dice_weight * shared / sizes**2, -2 * dice_weight / sizes
                gradient = torch.addcmul(everywhere[:, None], wanted, inside[:, None], out=logits)
                gradient.mul_(torch.addcmul(p, p, p, value=-1)).add_(p.sub_(wanted), alpha=entropy_weight / voxels)
                to_embeddings[part] = gradient @ features
                to_features.addmm_(gradient.T, embeddings[part])
        ctx.save_for_backward(to_embeddings, to_features)
        ctx.mark_non_differentiable(entropy, dice)
        return entropy_weight * entropy.sum() + dice_weight * dice.sum(), entropy, dice

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, to_total: Tensor, _to_entropy: Tensor, _to_dice: Tensor
    ) -> tuple[Tensor, Tensor, None, None, None, None]:
        to_embeddings, to_features = ctx.saved_tensors
        return cast(Tensor, to_total * to_embeddings), cast(Tensor, to_total * to_features), None, None, None, None
