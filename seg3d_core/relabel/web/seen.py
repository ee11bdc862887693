"""What of the relabelling's state decides how points look that browsers have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int32, Int64, UInt8

from seg3d_core.browser.colouring import Colours, point_colours


@dataclass(frozen=True, eq=False)
class Seen:
    """Of some points of the cloud, in their order.

    Attributes:
        ids: instance of each, 0 = none.
        selected: whether it is of the object in progress.
        picked: ids of instances that the next action is about.
        colours: of everything else.
    """

    ids: Int32[np.ndarray, " P"]
    selected: Bool[np.ndarray, " P"]
    picked: tuple[int, ...]
    colours: Colours

    def at(self, places: Int64[np.ndarray, " Q"]) -> Seen:
        """Of some of these points."""
        return Seen(self.ids[places], self.selected[places], self.picked, self.colours)

    def differs(self, before: Seen) -> Bool[np.ndarray, " P"]:
        """Which points look otherwise than ``before``; some that do not may be among them."""
        if before.colours != self.colours:
            return np.ones(len(self.ids), np.bool_)
        differs: Bool[np.ndarray, " P"] = (self.ids != before.ids) | (self.selected != before.selected)
        if self.picked != before.picked:
            differs |= np.isin(self.ids, [*self.picked, *before.picked])
        return differs

    def rgb(self, true_rgb: Float32[np.ndarray, "P 3"]) -> UInt8[np.ndarray, "P 3"]:
        """Colours of the points, 0..255."""
        return point_colours(true_rgb, self.ids, self.selected, self.picked, self.colours)
