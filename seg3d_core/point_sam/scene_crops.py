"""Clicks in clouds of any size: answered from a crop around them, which is encoded when it is first needed."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, Float64

from seg3d_core.errors import InputError, PromptError
from seg3d_core.interaction.candidates import MaskCandidates
from seg3d_core.point_sam.crops import OUTSIDE_LOGIT, EncodedCrop, Place, crop_radii, cut_out
from seg3d_core.point_sam.predictor import EncodedScene, PointSam, require_usable
from seg3d_core.point_sam_config import SceneCropConfig
from seg3d_core.stages import stage
from seg3d_core.types import Cloud, Prompt

_INNER = 0.75
"""Of the radius: clicks stay within it, so that what they are on has surroundings in the crop."""

_COVERED = 0.98
"""Of a mask prompt: so much of it must be in the crop; the rest may be stray points."""


@dataclass(eq=False)
class _Scene:
    """A cloud and the crops of it that have been encoded, the one used last at the end.

    Attributes:
        cloud: in its own frame.
        whole: the network's view of all of it; None where clicks are answered from crops.
        crops: encoded crops by place.
        num_bytes: memory of the crops.
    """

    cloud: Cloud
    whole: EncodedScene | None = None
    crops: OrderedDict[Place, EncodedCrop] = field(default_factory=OrderedDict)
    num_bytes: int = 0


class SceneCrops:
    """A ``PointSam`` for scenes: a click costs what it costs on its surroundings, however large the cloud is.

    The crop of a prompt is a ball around its first click on the object. Its radius is the first of ``crop_radii`` that
    holds all clicks and the mask prompt, and doubles while the best candidate is cut by the border, up to the limit:
    then the answer of the largest crop counts. Answers depend on the prompt alone, not on what was asked before.
    Nothing is encoded twice while it is among the crops that are kept.

    Logits of points outside of the crop are those of the mask prompt, without one ``OUTSIDE_LOGIT``. Stability is that
    of the points that the network saw.

    Args:
        sam: used for its network and settings; clouds that it was shown itself do not matter.
        config: see ``SceneCropConfig``.
    """

    def __init__(self, sam: PointSam, config: SceneCropConfig | None = None) -> None:
        self.config = config or SceneCropConfig.build({})
        self._sam = sam
        self._radii_m = crop_radii(self.config)
        self._scene: _Scene | None = None

    @property
    def description(self) -> str:
        """Network, device, and what clicks are answered from."""
        crops = f"crops of {self.config.radius_m:g} m to {self.config.max_radius_m:g} m"
        seen = {"whole": "whole clouds", "crop": crops, "auto": f"{crops} where clouds are large"}
        return f"{self._sam.description}, {seen[self.config.mode]}"

    def set_cloud(self, cloud: Cloud) -> None:
        """From now on prompts mean ``cloud``. Encodes nothing but small clouds (``config.mode``).

        Raises:
            InputError: fewer than 3 points, or colours outside 0..1; the cloud before stays.
        """
        require_usable(cloud)
        self._scene = _Scene(cloud, self._sam.encode(cloud) if self._sees_whole(cloud) else None)

    def predict(
        self, prompt: Prompt, mask_input: Float32[np.ndarray, " N"] | None = None, multimask: bool | None = None
    ) -> MaskCandidates:
        """The object that all of ``prompt`` means; arguments as of ``PointSam.predict``.

        Raises:
            InputError: there is no cloud yet, neither click nor mask, ``mask_input`` has another length or NaN, or all
                points around the click lie in one place.
            PromptError: a click lies where the cloud has no points, or clicks are farther apart than crops grow.
        """
        if self._scene is None:
            raise InputError("there is no cloud to click on: call set_cloud first")
        if self._scene.whole is not None:
            return self._sam.answer(self._scene.whole, prompt, mask_input, multimask)
        _check_mask(self._scene.cloud, mask_input)
        crop, found = self._answer(self._scene, prompt, mask_input, multimask)
        shape = (len(found.mask_logits), len(self._scene.cloud))
        beyond = np.empty(shape, np.float32)
        beyond[:] = OUTSIDE_LOGIT if mask_input is None else mask_input
        logits = crop.piece.spread(found.mask_logits, beyond)
        return MaskCandidates(self._scene.cloud, logits, found.iou_predictions, found.stability)

    def _sees_whole(self, cloud: Cloud) -> bool:
        if self.config.mode != "auto":
            return self.config.mode == "whole"
        if len(cloud) > self.config.whole_points:
            return False
        return bool(np.ptp(cloud.points, axis=0).max() <= self.config.whole_extent_m)

    def _answer(
        self, scene: _Scene, prompt: Prompt, mask_input: Float32[np.ndarray, " N"] | None, multimask: bool | None
    ) -> tuple[EncodedCrop, MaskCandidates]:
        """The answer of the smallest crop that does not cut it, else of the largest."""
        anchor = _anchor(scene.cloud, prompt, mask_input)
        answer = None
        for radius_m in self._radii_holding(scene.cloud, anchor, prompt, mask_input):
            crop = self._crop(scene, Place.around(anchor, radius_m))
            if crop is None:
                continue
            mask = None if mask_input is None else crop.piece.bring_in(mask_input)
            answer = crop, self._sam.answer(crop.scene, prompt, mask, multimask)
            if not crop.piece.cuts(answer[1].masks[0]):
                break
        if answer is None:
            raise PromptError(
                f"the cloud has fewer than 3 points within {self._radii_m[-1]:g} m (max_radius_m) of the click at "
                f"{np.round(anchor, 3).tolist()} m"
            )
        return answer

    def _radii_holding(
        self,
        cloud: Cloud,
        anchor: Float64[np.ndarray, "3"],
        prompt: Prompt,
        mask_input: Float32[np.ndarray, " N"] | None,
    ) -> list[float]:
        """Radii that hold all clicks and nearly all of the mask, smallest first; the largest may cut the mask."""
        away_m = np.linalg.norm(prompt.points - anchor, axis=1)
        limit_m = self._radii_m[-1]
        if away_m.max(initial=0) > _INNER * limit_m:
            far = int(away_m.argmax())
            raise PromptError(
                f"the click at {np.round(prompt.points[far], 3).tolist()} m is {away_m[far]:.3g} m from the first one, "
                f"clicks on one object are within {_INNER * limit_m:g} m ({_INNER:g} max_radius_m)"
            )
        nearest_m = float(away_m.max(initial=0)) / _INNER
        members = None if mask_input is None else cloud.points[mask_input > 0]
        holding = [
            radius_m
            for radius_m in self._radii_m
            if radius_m >= nearest_m and (members is None or _covers(Place.around(anchor, radius_m), members))
        ]
        return holding or [limit_m]

    def _crop(self, scene: _Scene, place: Place) -> EncodedCrop | None:
        """The crop at ``place``, encoded now if it is not among those kept; None if it has too few points."""
        if place in scene.crops:
            scene.crops.move_to_end(place)
            return scene.crops[place]
        with stage("crop"):
            piece = cut_out(scene.cloud, place, self.config.max_points)
        if piece is None:
            return None
        crop = EncodedCrop(piece, self._sam.encode(scene.cloud.select(piece.shown)))
        scene.crops[place] = crop
        scene.num_bytes += crop.num_bytes()
        while scene.num_bytes > self.config.cache_mb * 1e6 and len(scene.crops) > 1:
            scene.num_bytes -= scene.crops.popitem(last=False)[1].num_bytes()
        return crop


def _anchor(cloud: Cloud, prompt: Prompt, mask_input: Float32[np.ndarray, " N"] | None) -> Float64[np.ndarray, "3"]:
    """What the crop is around (m): the first click on the object, else the middle of the mask."""
    clicks = prompt.points[np.argsort(~prompt.is_foreground, kind="stable")].astype(np.float64)
    if mask_input is not None and (mask_input > 0).any() and not prompt.is_foreground.any():
        middle: Float64[np.ndarray, "3"] = np.median(cloud.points[mask_input > 0], axis=0).astype(np.float64)
        return middle
    if not len(clicks):
        raise InputError("there is neither a click nor a mask with points above 0, at least one is needed")
    first: Float64[np.ndarray, "3"] = clicks[0]
    return first


def _covers(place: Place, members: Float32[np.ndarray, "M 3"]) -> bool:
    """Whether nearly all of a mask is in the crop: always where it is an answer of this crop."""
    inside = np.linalg.norm(members - place.centre_m, axis=1) <= place.radius_m
    return bool(inside.sum() >= _COVERED * len(members))


def _check_mask(cloud: Cloud, mask_input: Float32[np.ndarray, " N"] | None) -> None:
    if mask_input is None:
        return
    if len(mask_input) != len(cloud):
        raise InputError(f"the mask prompt has {len(mask_input)} points, the cloud {len(cloud)}")
    finite = np.isfinite(mask_input)
    if not finite.all():
        raise InputError(f"{int((~finite).sum())} of {len(mask_input)} mask logits are not finite")
