"""Colours of points: looking at every point once."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def mixed_colours(true_rgb, ids, selected, picked, palette, tint, light, mark):  # type: ignore[no-untyped-def]
    """(N, 3) 0..255: the true colour, the instance's over it, then light over that, then the mark.

    Args:
        true_rgb: (N, 3) 0..1.
        ids: (N,) instance of each point, 0 = none.
        selected: (N,) whether it is marked.
        picked: ids that are lit.
        palette: (P, 3) colours of ids 1, 2, ..., P, and of P + 1 again the first.
        tint: share of the instance's colour.
        light, mark: (4,) a colour, and its share.
    """
    shown = np.empty(true_rgb.shape, np.uint8)
    one, zero, top = np.float32(1), np.float32(0), np.float32(255)
    for row in range(len(true_rgb)):
        number, lit = ids[row], False
        for other in picked:
            lit |= number == other
        for channel in range(3):
            value = true_rgb[row, channel]
            if number > 0:
                value = (one - tint) * value + tint * palette[(number - 1) % len(palette), channel]
            if lit:
                value = (one - light[3]) * value + light[3] * light[channel]
            if selected[row]:
                value = (one - mark[3]) * value + mark[3] * mark[channel]
            shown[row, channel] = np.uint8(np.rint(min(max(value, zero), one) * top))
    return shown
