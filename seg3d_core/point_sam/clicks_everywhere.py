"""All that the network sees in a cloud: clicks as far apart as they can be, three masks each, the best of them kept."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64

from seg3d_core.geometry.thinning import thin
from seg3d_core.point_ops.sampling import farthest_points
from seg3d_core.point_sam.decoder import PointTable
from seg3d_core.point_sam.patches import FEWEST_PATCHES
from seg3d_core.point_sam.predictor import EncodedScene, PointSam, stability_of
from seg3d_core.point_sam_config import PointSamProposalsConfig
from seg3d_core.segment3d.proposals import Proposals
from seg3d_core.segment3d.suppression import stays, suppressed
from seg3d_core.types import Cloud

_PREVIEW_POINTS = 2500
"""Most masks are dropped: they are looked at on this many points first. What is left is asked for again, on all."""


@dataclass(frozen=True, eq=False)
class _Candidates:
    """F masks that are good enough, of clicks on one cloud.

    Attributes:
        click: (F,) which click each is an answer to.
        slot: (F,) which of the three candidates.
        scores: (F,) predicted IoUs, 0..1.
        masks: (F, N) none of them empty.
    """

    click: Int64[np.ndarray, " F"]
    slot: Int64[np.ndarray, " F"]
    scores: Float32[np.ndarray, " F"]
    masks: Bool[np.ndarray, "F N"]

    def select(self, chosen: Int64[np.ndarray, " S"] | Bool[np.ndarray, " F"]) -> _Candidates:
        return _Candidates(self.click[chosen], self.slot[chosen], self.scores[chosen], self.masks[chosen])

    @property
    def proposals(self) -> Proposals:
        return Proposals.from_masks(self.masks, self.scores)


def propose_masks(sam: PointSam, cloud: Cloud, config: PointSamProposalsConfig) -> Proposals:
    """Masks in a cloud that the network can see at once, best first, without duplicates; scores are predicted IoUs.

    Raises:
        InputError: see ``PointSam.encode``; but a cloud of fewer than 3 points has no masks.
    """
    if len(cloud) < FEWEST_PATCHES:
        return Proposals.from_masks(np.zeros((0, len(cloud)), np.bool_), np.zeros(0, np.float32))
    scene = sam.encode(cloud)
    clicks = cloud.points[farthest_points(torch.from_numpy(cloud.points), min(config.clicks, len(cloud))).numpy()]
    preview = thin(cloud.points, _PREVIEW_POINTS).kept
    found = _good_ones(sam, _seen_at(scene, preview), clicks, config)
    found = found.select(np.argsort(-found.scores, kind="stable"))
    found = found.select(stays(found.proposals, config.max_iou))
    whole = Proposals.from_masks(_masks(sam, scene, clicks[found.click], found.slot, config), found.scores)
    return suppressed(whole.select(whole.sizes >= config.min_voxels), config.max_iou)


def _seen_at(scene: EncodedScene, rows: Int64[np.ndarray, " R"]) -> EncodedScene:
    """The same scene, with masks on some of its points only."""
    table, at = scene.encoded.table, torch.from_numpy(rows).to(scene.encoded.table.rows.device)
    fewer = PointTable(table.rows[:, at], table.weights[:, at])
    return replace(scene, cloud=scene.cloud.select(rows), encoded=replace(scene.encoded, table=fewer))


def _good_ones(
    sam: PointSam, scene: EncodedScene, clicks: Float32[np.ndarray, "M 3"], config: PointSamProposalsConfig
) -> _Candidates:
    """Candidates of all clicks that are sure enough, and neither nothing nor nearly everything."""
    found = []
    for start in range(0, len(clicks), config.clicks_at_once):
        answer = sam.answer_each(scene, clicks[start : start + config.clicks_at_once])
        logits, ious = answer.mask_logits[0], answer.iou_predictions[0].float()
        sizes = (logits > 0).sum(dim=-1)
        good = (ious > config.min_iou) & (sizes > 0) & (sizes <= config.max_share * logits.shape[-1])
        good &= stability_of(logits) > config.min_stability
        click, slot = good.nonzero(as_tuple=True)
        found.append(
            _Candidates(
                click.cpu().numpy() + start,
                slot.cpu().numpy(),
                ious[good].clamp(0, 1).cpu().numpy(),
                (logits[good] > 0).cpu().numpy(),
            )
        )
    names = ("click", "slot", "scores", "masks")
    return _Candidates(*(np.concatenate([getattr(part, name) for part in found]) for name in names))


def _masks(
    sam: PointSam,
    scene: EncodedScene,
    clicks: Float32[np.ndarray, "F 3"],
    slots: Int64[np.ndarray, " F"],
    config: PointSamProposalsConfig,
) -> Bool[np.ndarray, "F N"]:
    """One candidate of each click, on all points."""
    masks = np.zeros((len(clicks), len(scene.cloud)), np.bool_)
    for start in range(0, len(clicks), config.clicks_at_once):
        some = slice(start, start + config.clicks_at_once)
        logits = sam.answer_each(scene, clicks[some]).mask_logits[0]
        wanted = torch.from_numpy(slots[some]).to(logits.device)
        masks[some] = (logits[torch.arange(len(logits), device=logits.device), wanted] > 0).cpu().numpy()
    return masks
