"""The labels of a scene while they are being corrected: which instance each point is of, and where that comes from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int32, Int64

from seg3d_core.errors import InputError
from seg3d_core.relabel.labelling_kernels import count_ids

NONE = 0
"""Id of points without an instance, as in files and on the wire."""

Decision = Literal["given", "proposed", "accepted"]
"""It was there before; a model found it and nobody has looked; a person found it right."""

RecordedClick = tuple[float, float, float, bool]
"""x, y, z (m), and whether it is on the object."""


@dataclass(frozen=True)
class InstanceRecord:
    """What is known of an instance apart from its points.

    Attributes:
        instance_id: positive; never given to another instance, unless its making was undone.
        decision: whose word it is.
        name: what people call it; may be empty.
        model: what answered the prompts or proposed it; empty where no model did.
        model_sha256: of its weights; empty where it has none.
        source: what the last prompt was: click, mask, box, lasso; or the action that made it: propose, split, merge.
        clicks: in the frame of the cloud.
        candidate: which was chosen, from 1; 0: none was offered.
        iou_prediction: the model's own estimate, near 0..1.
        stability: 0..1, see ``MaskCandidates``.
        parents: instances that it was made of.
    """

    instance_id: int
    decision: Decision
    name: str = ""
    model: str = ""
    model_sha256: str = ""
    source: str = ""
    clicks: tuple[RecordedClick, ...] = ()
    candidate: int = 0
    iou_prediction: float = 0.0
    stability: float = 0.0
    parents: tuple[int, ...] = ()


Records = Mapping[int, "InstanceRecord | None"]
"""What becomes of records: the new one, or None for one that goes."""


@dataclass(frozen=True, eq=False)
class Change:
    """A step from one state of the labels to another.

    Attributes:
        rows: points that change hands, ascending.
        ids: instance of each of them afterwards.
        records: that are different afterwards.
        next_id: afterwards.
    """

    rows: Int64[np.ndarray, " R"]
    ids: Int32[np.ndarray, " R"]
    records: Records
    next_id: int


@dataclass(eq=False)
class Labelling:
    """State of the labels; changed by ``apply`` alone.

    Attributes:
        instance_ids: (N,) instance of each point, ``NONE`` where there is none.
        records: of every instance that has points, by id.
        next_id: above every id that was given.
    """

    instance_ids: Int32[np.ndarray, " N"]
    records: dict[int, InstanceRecord] = field(default_factory=dict)
    next_id: int = 1

    def __post_init__(self) -> None:
        self._sizes = Counter(_counts(self.instance_ids))

    def apply(self, change: Change) -> Change:
        """Make the change; what is returned takes it back."""
        records = {number: self.records.get(number) for number in change.records}
        back = Change(change.rows, self.instance_ids[change.rows], records, self.next_id)
        self._sizes = self._sizes_after(back.ids, change.ids)
        self.instance_ids[change.rows] = change.ids
        for number, record in change.records.items():
            if record is None:
                self.records.pop(number, None)
            else:
                self.records[number] = record
        self.next_id = change.next_id
        return back

    def copy(self) -> Labelling:
        """The same state, which later changes do not reach."""
        return Labelling(self.instance_ids.copy(), dict(self.records), self.next_id)

    def touches(self, change: Change, instance_id: int) -> bool:
        """Whether the change, not made yet, gives points to an instance or takes some from it."""
        before = self.instance_ids[change.rows]
        return bool((before == instance_id).any() or (change.ids == instance_id).any())

    def record(self, instance_id: int) -> InstanceRecord:
        """Of an instance.

        Raises:
            InputError: there is none of that id.
        """
        if instance_id not in self.records:
            known = ", ".join(map(str, sorted(self.records)[:20])) or "none"
            raise InputError(f"there is no instance {instance_id}; there are: {known}")
        return self.records[instance_id]

    def mask(self, instance_id: int) -> Bool[np.ndarray, " N"]:
        """Points of an instance."""
        mask: Bool[np.ndarray, " N"] = self.instance_ids == instance_id
        return mask

    def sizes(self) -> dict[int, int]:
        """Number of points of every instance, by id."""
        return {number: self._sizes[number] for number in sorted(self.records)}

    def sizes_after(self, rows: Int64[np.ndarray, " R"], ids: Int32[np.ndarray, " R"]) -> Counter[int]:
        """Number of points of every id, if points had other ids."""
        return self._sizes_after(self.instance_ids[rows], ids)

    def _sizes_after(self, before: Int32[np.ndarray, " R"], after: Int32[np.ndarray, " R"]) -> Counter[int]:
        sizes = self._sizes.copy()
        sizes.update(_counts(after))
        sizes.subtract(_counts(before))
        return sizes


def _counts(ids: Int32[np.ndarray, " R"]) -> dict[int, int]:
    """How many points have each id."""
    counts = count_ids(ids)
    return {int(number): int(counts[number]) for number in np.flatnonzero(counts)}
