"""One process that labels frames: reads them, asks the source, writes the masks, and survives frames that are bad."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int32

from seg3d_core.data.scenes.id_images import MASK_NONE, write_id_image
from seg3d_core.errors import Seg3dError
from seg3d_core.labelling.claims import claimed
from seg3d_core.labelling.jobs import FrameJob
from seg3d_core.labelling.source import FrameToLabel, MaskSource
from seg3d_core.types import IGNORE

State = Literal["labelled", "empty", "elsewhere", "failed"]

# RuntimeError: PyTorch's, out of memory among them. ValueError: what other libraries say to odd images.
_OF_ONE_FRAME = (Seg3dError, RuntimeError, ValueError, OSError, MemoryError)


@dataclass(frozen=True, eq=False)
class Result:
    """What became of a frame.

    Attributes:
        job: the frame.
        state: labelled; empty = labelled, without any mask; elsewhere = another process has it or had it before;
            failed.
        reason: of the failure.
    """

    job: FrameJob
    state: State
    reason: str = ""


class FrameLabeller:
    """Labels frames with one source."""

    def __init__(self, source: MaskSource) -> None:
        self._source = source

    def label(self, jobs: Sequence[FrameJob]) -> list[Result]:
        """Label frames, all at once where the source can; one result for each, in their order.

        Raises:
            InputError: masks cannot be written (disk full): the next ones could not be either.
        """
        with ExitStack() as claims:
            mine = [job for job in jobs if claims.enter_context(claimed(job.target))]
            found = dict(zip(mine, self._masks(mine), strict=True))
            return [_finished(job, found[job]) if job in found else Result(job, "elsewhere") for job in jobs]

    def _masks(self, jobs: list[FrameJob]) -> list[Int32[np.ndarray, "_ _"] | str]:
        """Masks of each frame, or why there are none."""
        frames = [self._read(job) for job in jobs]
        good = [frame for frame in frames if not isinstance(frame, str)]
        masks = iter(self._ask(good))
        return [frame if isinstance(frame, str) else next(masks) for frame in frames]

    def _read(self, job: FrameJob) -> FrameToLabel | str:
        try:
            return job.read(self._source.needs_truth)
        except _OF_ONE_FRAME as error:
            return _reason(error)

    def _ask(self, frames: list[FrameToLabel]) -> list[Int32[np.ndarray, "_ _"] | str]:
        if not frames:
            return []
        try:
            return list(self._source.label(frames))
        except _OF_ONE_FRAME as error:
            if len(frames) == 1:
                return [_reason(error)]
        # One bad frame, or too little memory for so many: each for itself.
        return [answer for frame in frames for answer in self._ask([frame])]


def _finished(job: FrameJob, found: Int32[np.ndarray, "H W"] | str) -> Result:
    """Write what was found."""
    if isinstance(found, str):
        return Result(job, "failed", found)
    write_id_image(job.target, found, MASK_NONE)
    return Result(job, "labelled" if found.max(initial=IGNORE) > IGNORE else "empty")


def _reason(error: BaseException) -> str:
    """The error in one line."""
    said = str(error).strip().splitlines()
    return said[0] if isinstance(error, Seg3dError) and said else f"{type(error).__name__}: {said[0] if said else ''}"
