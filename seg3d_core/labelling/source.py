"""Where 2-D masks come from: what a source is given and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int32

from seg3d_core.errors import InputError
from seg3d_core.types import RgbdFrame


@dataclass(frozen=True, eq=False)
class FrameToLabel:
    """One frame of a scene, as a source of masks is given it.

    Attributes:
        name: of the scene and the frame in it; whatever a source draws by chance depends on it alone.
        rgbd: colour in 0..1 and depth in m; colour may be missing.
        true_instance: (H, W) positive id of the object at each pixel, ``IGNORE`` for none; None where nobody knows.
        true_part: (H, W) positive id of the part of the object, ``IGNORE`` for none; None where nobody knows.

    Raises:
        InputError: an image of ids has another size than the frame.
    """

    name: str
    rgbd: RgbdFrame
    true_instance: Int32[np.ndarray, "_ _"] | None = None
    true_part: Int32[np.ndarray, "_ _"] | None = None

    def __post_init__(self) -> None:
        for what in ("true_instance", "true_part"):
            ids = getattr(self, what)
            if ids is not None and ids.shape != self.rgbd.depth_m.shape:
                height, width = self.rgbd.depth_m.shape
                raise InputError(
                    f"{self.name}: {what} is {ids.shape[1]}x{ids.shape[0]} px, the frame {width}x{height} px"
                )


@runtime_checkable
class MaskSource(Protocol):
    """Finds the masks of frames."""

    @property
    def needs_truth(self) -> bool:
        """Whether frames must come with their true ids."""
        ...

    @property
    def batch_size(self) -> int:
        """How many frames it likes to be given at once."""
        ...

    def label(self, frames: Sequence[FrameToLabel]) -> list[Int32[np.ndarray, "_ _"]]:
        """Of each frame the (H, W) number of the mask at each pixel: dense from 0, ``IGNORE`` where there is none.

        Raises:
            InputError: a frame lacks what this source needs.
        """
        ...
