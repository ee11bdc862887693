"""Which query is to become which mask: the assignment of least cost (Kuhn 1955), as in DETR."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from seg3d_core.learning.segment3d.losses import mask_costs
from seg3d_core.learning.segment3d.settings import LossConfig

_UNDECIDED = 1e6
"""Cost in place of one that is not a number: of a network that diverges."""


@dataclass(frozen=True, eq=False)
class Match:
    """Pairs of a scene, as many as there are queries or masks, by ascending query.

    Attributes:
        queries: (K,) each at most once.
        masks: (K,) likewise.
    """

    queries: Int64[Tensor, " K"]
    masks: Int64[Tensor, " K"]


def match(costs: Float[Tensor, "Q M"]) -> Match:
    """The pairs with the least sum of costs."""
    finite = costs.detach().float().nan_to_num(_UNDECIDED, _UNDECIDED, -_UNDECIDED).cpu().numpy()
    queries, masks = linear_sum_assignment(finite)
    return Match(*(torch.from_numpy(rows).to(costs.device, torch.int64) for rows in (queries, masks)))


def smallest_masks(truth: Float[Tensor, "M V"], places: Int64[Tensor, " Q"]) -> Match:
    """Of every query that stands on a mask (``places`` are columns of ``truth``), the smallest of those."""
    if not len(truth):
        return Match(places[:0], places[:0])
    sizes = truth.sum(1)
    held = torch.where(truth[:, places] > 0, sizes[:, None], torch.inf)
    smallest, masks = held.min(dim=0)
    queries = smallest.isfinite().nonzero()[:, 0]
    return Match(queries, masks[queries])


@torch.no_grad()
def matching_costs(
    class_logits: Float[Tensor, "Q K"],
    mask_logits: Float[Tensor, "Q V"],
    truth: Float[Tensor, "M V"],
    config: LossConfig,
) -> Float[Tensor, "Q M"]:
    """What it would cost if a query were to become a mask; of the class only the probability of an object counts."""
    entropy, dice = mask_costs(mask_logits, truth)
    objects = class_logits.softmax(dim=1)[:, :1]
    return config.mask_weight * entropy + config.dice_weight * dice - config.class_weight * objects
