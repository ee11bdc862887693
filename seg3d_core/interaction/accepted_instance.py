"""One object that somebody has accepted, and where it comes from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float32

from seg3d_core.errors import InputError
from seg3d_core.interaction.transfer import ObjectPoints
from seg3d_core.types import Cloud, Prompt

LONGEST_NAME = 100


@dataclass(frozen=True, eq=False)
class AcceptedInstance:
    """An object apart from the cloud that it was selected on.

    Attributes:
        instance_id: positive, never given to another object.
        points: (K, 3) its points, m in ``frame_id``.
        surroundings: (S, 3) points beside it that are not of it, as far as they decide what is of it on another cloud.
        prompt: the clicks that selected it, m in ``frame_id``; empty where a mask was taken as it was.
        source: what the last prompt was: click, mask, box, lasso or goal.
        candidate: which of the candidates was chosen, 0 the best.
        iou_prediction: the model's estimate; near 0..1, not bounded.
        stability: 0..1, see ``MaskCandidates``.
        model: what answered the prompts, for people.
        frame_id: of the cloud.
        stamp_ns: of the cloud.
        name: what people call it; may be empty.

    Raises:
        InputError: the name is too long or not printable.
    """

    instance_id: int
    points: Float32[np.ndarray, "K 3"]
    surroundings: Float32[np.ndarray, "S 3"]
    prompt: Prompt
    source: str
    candidate: int
    iou_prediction: float
    stability: float
    model: str
    frame_id: str
    stamp_ns: int
    name: str = ""

    def __post_init__(self) -> None:
        check_name(self.name)

    @property
    def score(self) -> float:
        """Confidence in 0..1."""
        return min(max(self.iou_prediction, 0.0), 1.0)

    def mask_on(self, cloud: Cloud, tolerance_m: float) -> Bool[np.ndarray, " N"]:
        """The object on another cloud in the same frame: points nearest to it, at most ``tolerance_m`` away."""
        return self._object.mask_on(cloud.points, tolerance_m)

    @cached_property
    def digest(self) -> str:
        """The same for the same object, whatever its id or name."""
        content = hashlib.sha256(f"{self.frame_id}\0{self.stamp_ns}\0".encode())
        content.update(np.ascontiguousarray(self.points).tobytes())
        return content.hexdigest()

    @cached_property
    def _object(self) -> ObjectPoints:
        return ObjectPoints(self.points, self.surroundings)


def check_name(name: str) -> str:
    """``name``, where people can call an object that.

    Raises:
        InputError: it is too long or not printable.
    """
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise InputError(
            f"the name {name[:LONGEST_NAME]!r} has {len(name)} characters, at most {LONGEST_NAME} are possible, all "
            "printable"
        )
    return name
