"""Whether depth is registered to colour, judged by the images alone.

Where depth jumps, the picture usually has an edge too. The share of colour edges under the depth edges is measured for
the pair as given and for the pair shifted; where a shift fits clearly better than none, and so in most parts of the
image, the two were taken through different cameras. Parts that show too few edges to tell have no vote.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64
from scipy import ndimage

from seg3d_core.errors import InputError
from seg3d_core.types import RgbdFrame

REACH_PX = 40
STEP_PX = 4
GRID = 3
MIN_EDGE_PIXELS = 400
MIN_GAIN = 1.25
"""A shift counts only if it meets this many times the colour edges that no shift (up to one step) meets."""
MIN_VOTES = 3
DEPTH_JUMP = 0.06
"""A step between neighbours of at least this share of the nearer depth is an edge."""

_SHIFTS = np.arange(-REACH_PX, REACH_PX + 1, STEP_PX)
_ZERO = len(_SHIFTS) // 2


@dataclass(frozen=True)
class Registration:
    """Votes of the parts of the image.

    Attributes:
        aligned: parts where no shift fits better than none.
        shifted: parts where a shift fits clearly better.
        offset_px: median length of those shifts.
    """

    aligned: int
    shifted: int
    offset_px: float

    @property
    def is_displaced(self) -> bool:
        """Whether depth and colour are clearly displaced."""
        return self.shifted >= MIN_VOTES and self.shifted > 2 * self.aligned


def measure_registration(frames: Iterable[RgbdFrame]) -> Registration:
    """Votes over several frames of one camera; shifts are searched within 40 px in steps of 4 px.

    Frames without colour have no say.
    """
    sums = np.zeros((GRID * GRID, len(_SHIFTS), len(_SHIFTS)))
    counts = np.zeros(GRID * GRID)
    for frame in frames:
        if frame.rgb is not None:
            _accumulate(sums, counts, _contrast(frame.rgb), _depth_edges(frame.depth_m))
    aligned = 0
    offsets_px: list[float] = []
    for scores in sums[counts >= MIN_EDGE_PIXELS]:
        near = scores[_ZERO - 1 : _ZERO + 2, _ZERO - 1 : _ZERO + 2].max()
        row, column = np.unravel_index(scores.argmax(), scores.shape)
        inside = 0 < row < len(_SHIFTS) - 1 and 0 < column < len(_SHIFTS) - 1
        if near >= scores.max() * 0.999:
            aligned += 1
        elif inside and scores.max() >= MIN_GAIN * near:
            offsets_px.append(float(np.hypot(_SHIFTS[row], _SHIFTS[column])))
    return Registration(aligned, len(offsets_px), float(np.median(offsets_px)) if offsets_px else 0.0)


def check_registered(frames: Iterable[RgbdFrame], name: str) -> None:
    """Refuse a sequence whose depth is displaced against its colour; ``name`` is said in the message.

    Raises:
        InputError: displaced, with the offset in px.
    """
    found = measure_registration(frames)
    if found.is_displaced:
        raise InputError(
            f"{name}: depth is not registered to colour: their edges are about {found.offset_px:.0f} px apart in "
            f"{found.shifted} of {found.shifted + found.aligned} parts of the image that tell; warp depth into the "
            "colour camera first"
        )


def _contrast(rgb: Float32[np.ndarray, "H W 3"]) -> Float64[np.ndarray, "H W"]:
    """Strength of colour edges, 1 for the strongest tenth of the image."""
    grey = ndimage.gaussian_filter(rgb.mean(axis=2, dtype=np.float64), 1.0)
    strength = np.hypot(ndimage.sobel(grey, 0), ndimage.sobel(grey, 1))
    limited: Float64[np.ndarray, "H W"] = np.minimum(strength / max(np.percentile(strength, 90), 1e-9), 1)
    return limited


def _depth_edges(depth_m: Float32[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
    """The near side of each jump in depth; holes are no edges, for they are the camera's and not the scene's."""
    edges = np.zeros(depth_m.shape, bool)
    for view, out in ((depth_m, edges), (depth_m.T, edges.T)):
        above, below = view[:-1], view[1:]
        near = np.minimum(above, below)
        jumps = (near > 0) & (np.abs(above - below) > DEPTH_JUMP * near)
        out[:-1] |= jumps & (above < below)
        out[1:] |= jumps & (below < above)
    return edges


def _accumulate(
    sums: Float64[np.ndarray, "P S S"],
    counts: Float64[np.ndarray, " P"],
    contrast: Float64[np.ndarray, "H W"],
    edges: Bool[np.ndarray, "H W"],
) -> None:
    """Add the contrast under the shifted edges to ``sums`` and the number of edge pixels to ``counts``, by part."""
    height, width = edges.shape
    rows, columns = np.nonzero(edges[REACH_PX : height - REACH_PX, REACH_PX : width - REACH_PX])
    rows, columns = rows + REACH_PX, columns + REACH_PX
    parts: Int64[np.ndarray, " E"] = rows * GRID // height * GRID + columns * GRID // width
    counts += np.bincount(parts, minlength=len(counts))
    flat = contrast.reshape(-1)
    for i, down in enumerate(_SHIFTS):
        for k, right in enumerate(_SHIFTS):
            weights = flat[(rows + down) * width + columns + right]
            sums[:, i, k] += np.bincount(parts, weights, minlength=len(counts))
