"""The way back: what was selected before each prompt, kept whole, so that nothing is computed again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64
from numpy.typing import NDArray

from seg3d_core.interaction.candidates import MaskCandidates
from seg3d_core.interaction.selection import Selection

_SAMPLES = 101
"""Logits looked at to learn which value most points have."""


class History:
    """Selections of one object, the newest last; None where there was nothing selected."""

    def __init__(self) -> None:
        self._now: Selection | None = None
        self._before: list[PackedSelection | Selection | None] = []

    @property
    def now(self) -> Selection | None:
        """The newest."""
        return self._now

    def __len__(self) -> int:
        """How many steps can be undone."""
        return len(self._before)

    def push(self, selection: Selection | None) -> None:
        """A step that can be undone."""
        self._before.append(None if self._now is None else packed(self._now))
        self._now = selection

    def change(self, selection: Selection) -> None:
        """A step that is undone together with the one before."""
        self._now = selection

    def pop(self) -> None:
        """Undo the newest step; there must be one."""
        before = self._before.pop()
        self._now = before.unpack() if isinstance(before, PackedSelection) else before

    def forget(self) -> None:
        """Nothing is selected, nothing can be undone."""
        self._now = None
        self._before.clear()


@dataclass(frozen=True, eq=False)
class PackedSelection:
    """A selection, of whose logits only those are kept that have not the value of most.

    Clicks on a large map say nothing of most of its points, which all have one value. So a hundred clicks take the
    memory of a hundred objects, not of a hundred maps.
    """

    rest: dict[str, Any]
    candidates: dict[str, Any]
    shape: tuple[int, ...]
    background: np.float32
    position: Int64[np.ndarray, " V"]
    logits: Float32[np.ndarray, " V"]

    def unpack(self) -> Selection:
        """The selection, bit for bit."""
        logits = np.full(self.shape, self.background, np.float32)
        logits.reshape(-1)[self.position] = self.logits
        return Selection(candidates=MaskCandidates(mask_logits=logits, **self.candidates), **self.rest)


def packed(selection: Selection) -> PackedSelection | Selection:
    """The selection in little memory; itself where packing would not make it smaller."""
    logits = np.ascontiguousarray(selection.candidates.mask_logits).reshape(-1)
    # As bits: -0.0 is not 0.0.
    bits = logits.view(np.int32)
    if not len(bits):
        return selection
    background = _commonest(bits[:: max(len(bits) // _SAMPLES, 1)])
    position = np.flatnonzero(bits != background)
    # A position takes 8 bytes, a logit 4.
    if 3 * len(position) > len(bits):
        return selection
    rest, candidates = _fields(selection, "candidates"), _fields(selection.candidates, "mask_logits")
    shape = selection.candidates.mask_logits.shape
    return PackedSelection(rest, candidates, shape, background.view(np.float32), position, logits[position])


def _fields(value: Any, left_out: str) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__ if name != left_out}


def _commonest(values: NDArray[np.int32]) -> np.int32:
    distinct, counts = np.unique(values, return_counts=True)
    commonest: np.int32 = distinct[counts.argmax()]
    return commonest
