"""A click in a large map against the same click on what the network sees of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from seg3d_core.benchmark.by_turns import Pair
from seg3d_core.benchmark.plain_points import require_close
from seg3d_core.interaction.candidates import MaskCandidates
from seg3d_core.point_sam.crops import Place, cut_out
from seg3d_core.point_sam.predictor import PointSam
from seg3d_core.point_sam.scene_crops import SceneCrops
from seg3d_core.point_sam_config import SceneCropConfig
from seg3d_core.types import Cloud, Prompt

_EDGE_M, _BOXES_APART_M, _BOX_M, _BOX_HEIGHT_M = 15.0, 1.5, 0.6, 0.5
_FIRST_M, _SECOND_M = (5.0, 5.0, 0.0), (5.2, 5.0, 0.0)

_RADIUS_M = 1.0
"""Masks of random weights mean nothing: no crop grows."""

_LOGITS_WITHIN = 1e-4


def floor_with_boxes(points: int, seed: int = 0) -> Cloud:
    """15 m x 15 m of floor with a box of 0.6 m every 1.5 m; 2 million points are one every 1.2 cm. z is up."""
    random = np.random.default_rng(seed)
    xyz = random.uniform(0, _EDGE_M, (points, 3))
    xyz[:, 2] = np.where((xyz[:, :2] % _BOXES_APART_M < _BOX_M).all(axis=1), _BOX_HEIGHT_M, 0.0)
    on_sides = random.random(points) < 0.25
    xyz[on_sides, 0] -= xyz[on_sides, 0] % _BOXES_APART_M
    xyz[on_sides, 2] = random.uniform(0, _BOX_HEIGHT_M, on_sides.sum())
    return Cloud(xyz.astype(np.float32), random.random((points, 3), np.float32))


class MapPairs:
    """Clicks on ``floor_with_boxes``; encoding and whatever else comes with a click included.

    Args:
        sam: answers; what clouds it was shown before does not matter.
        cloud: the map.

    Raises:
        InputError: the map has fewer than 3 points around the clicks.
    """

    def __init__(self, sam: PointSam, cloud: Cloud) -> None:
        config = SceneCropConfig.build({"mode": "crop", "radius_m": _RADIUS_M, "max_radius_m": _RADIUS_M})
        piece = cut_out(cloud, Place.around(np.array(_FIRST_M), _RADIUS_M), config.max_points)
        self._cloud, self._sam, self._in_map = cloud, sam, SceneCrops(sam, config)
        self._shown = np.empty(0, np.int64) if piece is None else piece.shown
        self._alone = cloud.select(self._shown)

    def first_click(self) -> Pair:
        """A cloud arrives and is clicked on."""
        click = Prompt.click(*_FIRST_M)

        def ours() -> MaskCandidates:
            self._in_map.set_cloud(self._cloud)
            return self._in_map.predict(click)

        def theirs() -> MaskCandidates:
            self._sam.set_cloud(self._alone)
            return self._sam.predict(click)

        return self._pair("first click", ours, theirs)

    def later_click(self) -> Pair:
        """The second click with the answer to the first one, all encoded."""
        self._in_map.set_cloud(self._cloud)
        self._sam.set_cloud(self._alone)
        click = Prompt.click(*_FIRST_M)
        in_map, alone = self._in_map.predict(click).mask_logits[0], self._sam.predict(click).mask_logits[0]
        more = click.with_click(*_SECOND_M)
        return self._pair(
            "second click", lambda: self._in_map.predict(more, in_map), lambda: self._sam.predict(more, alone)
        )

    def _pair(self, name: str, ours: Callable[[], MaskCandidates], theirs: Callable[[], MaskCandidates]) -> Pair:
        in_map = f"{name}, map of {len(self._cloud):,} points"
        return Pair(in_map, ours, f"its {len(self._alone):,} points alone", theirs, self._same_masks)

    def _same_masks(self, ours: MaskCandidates, theirs: MaskCandidates) -> None:
        seen = torch.from_numpy(ours.mask_logits[:, self._shown])
        require_close("mask logits", seen, torch.from_numpy(theirs.mask_logits), _LOGITS_WITHIN)
