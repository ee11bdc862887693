"""What prompt_node has to show."""

from __future__ import annotations

from dataclasses import dataclass

from seg3d_core.interaction.selection import Selection
from seg3d_core.types import Cloud


@dataclass(frozen=True, eq=False)
class PromptView:
    """The snapshot that clicks mean, and the object in progress on it.

    Attributes:
        cloud: the snapshot.
        selection: None while no object is in progress.
        object_id: the id that the object will have when it is accepted.
    """

    cloud: Cloud
    selection: Selection | None
    object_id: int


def describe(selection: Selection | None, object_id: int) -> str:
    """What is selected, in one line."""
    if selection is None:
        return "nothing is selected"
    count = len(selection.candidates.mask_logits)
    return (
        f"object {object_id}: candidate {selection.chosen + 1} of {count}, predicted IoU "
        f"{selection.iou_prediction:.2f}, stability {selection.stability:.2f}, {int(selection.mask.sum())} points"
    )
