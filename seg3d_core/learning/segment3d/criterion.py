"""The loss of a step: queries matched with masks, and what each becomes of it, at every layer of the decoder.

P predictions of one forward pass, B scenes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from seg3d_core.learning.segment3d.losses import class_losses, mask_losses
from seg3d_core.learning.segment3d.matching import Match, match, matching_costs, smallest_masks
from seg3d_core.learning.segment3d.settings import LossConfig
from seg3d_core.segment3d.decoder import Prediction

Means = Callable[[Float[Tensor, " K"]], Float[Tensor, " K"]]
"""Means over the processes that train together."""


@dataclass(frozen=True, eq=False)
class Losses:
    """Of one step.

    Attributes:
        total: weighted sum over all predictions; it alone has gradients.
        of_classes, of_masks, of_dice: (P,) without their weights; the last is the result's.
        matches: of each prediction, of each scene.
    """

    total: Float[Tensor, ""]
    of_classes: Float[Tensor, " P"]
    of_masks: Float[Tensor, " P"]
    of_dice: Float[Tensor, " P"]
    matches: list[list[Match]]


class Criterion:
    """Losses as released, or so that the number of scenes in a step does not change them.

    Args:
        config: weights and rules.
        means: of numbers over all processes, where there are several: denominators are those of all their scenes.
    """

    def __init__(self, config: LossConfig, means: Means = lambda own: own) -> None:
        self._config, self._means = config, means

    def __call__(
        self,
        predictions: Sequence[Prediction],
        truth: list[Bool[Tensor, "_ _"]],
        places: Sequence[Int64[Tensor, " Q"]] = (),
    ) -> Losses:
        """The losses of ``predictions``, the result last, where (M, V) masks are wanted of each scene.

        A scene without masks wants every query to be no object; its masks cost nothing. In single precision at least.

        Args:
            predictions: of one forward pass.
            truth: of each scene.
            places: of each scene, where its queries stand (columns of the masks); for ``loss.place_weight`` alone.
        """
        with torch.autocast(predictions[0].class_logits.device.type, enabled=False):
            return self._losses([_precise(prediction) for prediction in predictions], truth, places)

    def _losses(
        self, predictions: list[Prediction], truth: list[Bool[Tensor, "_ _"]], places: Sequence[Int64[Tensor, " Q"]]
    ) -> Losses:
        masks = [wanted.to(predictions[0].mask_embeddings.dtype) for wanted in truth]
        matched = [self._matched(predictions[0].mask_features[i], wanted) for i, wanted in enumerate(masks)]
        matches = [self._matches(prediction, matched) for prediction in predictions]
        logits = torch.stack([prediction.class_logits for prediction in predictions])
        weighted, weights = class_losses(logits, _classes(logits, matches), self._class_weights(logits))
        shared = self._means(torch.cat([weights, weights.new_tensor([float(len(truth))])]))
        of_classes = weighted / shared[:-1]
        scenes = shared[-1].item() if self._config.scenes == "mean" else 1.0
        total = self._config.class_weight * of_classes.sum()
        of_masks, of_dice = logits.new_zeros(2, len(predictions))
        for scene, wanted in enumerate(masks):
            own = [of_scene[scene] for of_scene in matches]
            count = len(own[0].queries)
            rows = torch.cat([p.mask_embeddings[scene, m.queries] for p, m in zip(predictions, own, strict=True)])
            share = 1 / (max(1, count) * scenes)
            weights_of_one = self._config.mask_weight * share, self._config.dice_weight * share
            targets = torch.cat([m.masks for m in own])
            losses = mask_losses(rows, predictions[0].mask_features[scene], wanted, targets, *weights_of_one)
            total = total + losses.total
            of_masks += losses.entropy.view(len(own), count).sum(1) * share
            of_dice += losses.dice.view(len(own), count).sum(1) * share
            if self._config.place_weight and places:
                total = total + self._of_places(predictions, scene, wanted, places[scene], scenes)
        return Losses(total, of_classes.detach(), of_masks, of_dice, matches)

    def _of_places(
        self,
        predictions: list[Prediction],
        scene: int,
        wanted: Float[Tensor, "M V"],
        places: Int64[Tensor, " Q"],
        scenes: float,
    ) -> Float[Tensor, ""]:
        """What the queries miss of the smallest masks that they stand on, as the masks of matched ones are judged."""
        found = smallest_masks(wanted, places)
        rows = torch.cat([prediction.mask_embeddings[scene, found.queries] for prediction in predictions])
        share = self._config.place_weight / (max(1, len(found.queries)) * scenes)
        weights = self._config.mask_weight * share, self._config.dice_weight * share
        targets = found.masks.repeat(len(predictions))
        return mask_losses(rows, predictions[0].mask_features[scene], wanted, targets, *weights).total

    @torch.no_grad()
    def _matched(
        self, features: Float[Tensor, "V C"], wanted: Float[Tensor, "M V"]
    ) -> tuple[Float[Tensor, "W C"], Float[Tensor, "M W"]]:
        """The voxels that decide about pairs: the same in all predictions of a step."""
        if not 0 < self._config.matching_voxels < len(features):
            return features, wanted
        rows = torch.randperm(len(features), device=features.device)[: self._config.matching_voxels]
        return features[rows], wanted[:, rows]

    @torch.no_grad()
    def _matches(
        self, prediction: Prediction, scenes: list[tuple[Float[Tensor, "_ _"], Float[Tensor, "_ _"]]]
    ) -> list[Match]:
        found = []
        for scene, (features, wanted) in enumerate(scenes):
            logits = prediction.mask_embeddings[scene] @ features.T
            found.append(match(matching_costs(prediction.class_logits[scene], logits, wanted, self._config)))
        return found

    def _class_weights(self, like: Tensor) -> Float[Tensor, " K"]:
        weights = like.new_ones(like.shape[-1])
        weights[-1] = self._config.no_object_weight
        return weights


def _precise(prediction: Prediction) -> Prediction:
    if prediction.class_logits.dtype.itemsize > 2 and prediction.mask_embeddings.dtype.itemsize > 2:
        return prediction
    features = [values.float() for values in prediction.mask_features]
    return Prediction(prediction.class_logits.float(), prediction.mask_embeddings.float(), features)


def _classes(logits: Float[Tensor, "P B Q K"], matches: list[list[Match]]) -> Int64[Tensor, "P B Q"]:
    """Object for the queries that have a mask, no object for the others."""
    classes = torch.full(logits.shape[:-1], logits.shape[-1] - 1, device=logits.device)
    for prediction, scenes in enumerate(matches):
        for scene, found in enumerate(scenes):
            classes[prediction, scene, found.queries] = 0
    return classes
