"""What each action does to the labels, as a change that can be looked at, made, kept and taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int32

from seg3d_core.errors import InputError, PromptError
from seg3d_core.interaction.accepted_instance import check_name
from seg3d_core.interaction.selection import Selection
from seg3d_core.relabel.actions import Accept
from seg3d_core.relabel.labelling import NONE, Change, InstanceRecord, Labelling, RecordedClick, Records
from seg3d_core.relabel.labelling_kernels import changed_rows
from seg3d_core.types import IGNORE, Instances


@dataclass(frozen=True)
class ModelIdentity:
    """Which model it was.

    Attributes:
        name: for people.
        sha256: of its weights; empty where it has none, or random ones.
    """

    name: str
    sha256: str = ""


def accepted(labelling: Labelling, selection: Selection, editing: int, action: Accept, model: ModelIdentity) -> Change:
    """The selection is an instance: the one that was edited (``editing``), or a new one where that is ``NONE``.

    Raises:
        PromptError: no points are left for it.
        InputError: the name cannot be used.
    """
    number = editing or labelling.next_id
    before = labelling.records.get(editing)
    mask = selection.mask & _free(labelling, action, number)
    if not mask.any():
        raise PromptError(f"the mask has {int(selection.mask.sum())} points and all are of accepted instances")
    ids = np.where(mask, np.int32(number), labelling.instance_ids)
    ids[(labelling.instance_ids == number) & ~mask] = NONE
    record = InstanceRecord(
        number,
        "accepted",
        name=check_name(action.name or ("" if before is None else before.name)),
        model=model.name,
        model_sha256=model.sha256,
        source=selection.source,
        clicks=_clicks(selection),
        candidate=selection.chosen + 1 if len(selection.candidates.mask_logits) > 1 else 0,
        iou_prediction=selection.iou_prediction,
        stability=selection.stability,
        parents=() if before is None else before.parents,
    )
    return _change(labelling, ids, {number: record})


def deleted(labelling: Labelling, instance_id: int) -> Change:
    """The instance is gone.

    Raises:
        InputError: there is none of that id.
    """
    labelling.record(instance_id)
    return _change(labelling, np.where(labelling.instance_ids == instance_id, NONE, labelling.instance_ids), {})


def merged(labelling: Labelling, instance_ids: Sequence[int]) -> Change:
    """Instances are one, accepted by a person; it has the lowest id, and its name or else the next one's.

    Raises:
        InputError: fewer than two, or there is none of an id.
    """
    numbers = sorted(set(instance_ids))
    if len(numbers) < 2:
        raise InputError(f"only {len(numbers)} instance to merge, at least 2 are needed")
    records = [labelling.record(number) for number in numbers]
    ids = np.where(np.isin(labelling.instance_ids, numbers), np.int32(numbers[0]), labelling.instance_ids)
    record = replace(
        records[0],
        decision="accepted",
        name=next((one.name for one in records if one.name), ""),
        source="merge",
        clicks=tuple(click for one in records for click in one.clicks),
        parents=tuple(numbers),
    )
    return _change(labelling, ids, {numbers[0]: record})


def divided(labelling: Labelling, instance_id: int, parts: Int32[np.ndarray, " M"]) -> Change:
    """The points of an instance, in their order, are of parts 0, 1, ...; part 0 keeps the id, the others get new ones.

    Raises:
        PromptError: there is only one part.
        InputError: there is none of that id.
    """
    record, count = labelling.record(instance_id), int(parts.max(initial=0)) + 1
    if count < 2:
        raise PromptError(f"instance {instance_id} hangs together: give a place on each of its parts")
    numbers = np.append(np.int32(instance_id), labelling.next_id + np.arange(count - 1)).astype(np.int32)
    ids = labelling.instance_ids.copy()
    ids[ids == instance_id] = numbers[parts]
    part = replace(record, decision="accepted", source="split", parents=(instance_id,))
    return _change(labelling, ids, {int(number): replace(part, instance_id=int(number)) for number in numbers})


def named(labelling: Labelling, instance_id: int, name: str) -> Change:
    """The instance is called something else.

    Raises:
        InputError: there is none of that id, or the name cannot be used.
    """
    record = replace(labelling.record(instance_id), name=check_name(name))
    return _change(labelling, labelling.instance_ids, {instance_id: record})


def confirmed(labelling: Labelling, instance_ids: Sequence[int]) -> Change:
    """Proposals are accepted as they are; no ids: all proposals.

    Raises:
        InputError: there is none of an id, or nothing to confirm.
    """
    chosen = [labelling.record(number) for number in instance_ids] or [
        record for record in labelling.records.values() if record.decision == "proposed"
    ]
    if not chosen:
        raise InputError("there are no proposals to confirm")
    records = {record.instance_id: replace(record, decision="accepted") for record in chosen}
    return _change(labelling, labelling.instance_ids, records)


def proposed(labelling: Labelling, found: Instances, model: ModelIdentity, fewest: int) -> Change:
    """Instances on points that have none, in place of earlier proposals; those left with fewer points are dropped."""
    old = [number for number, record in labelling.records.items() if record.decision == "proposed"]
    ids = np.where(np.isin(labelling.instance_ids, old), NONE, labelling.instance_ids)
    rows = np.where(ids == NONE, found.labels, IGNORE)
    counts = np.bincount(rows[rows != IGNORE], minlength=len(found))
    kept = np.flatnonzero(counts >= fewest)
    numbers = np.full(len(found) + 1, NONE, np.int32)
    numbers[kept] = labelling.next_id + np.arange(len(kept))
    ids = np.where(ids == NONE, numbers[rows], ids)
    records = {
        int(numbers[row]): InstanceRecord(
            int(numbers[row]), "proposed", model=model.name, model_sha256=model.sha256, source="propose",
            iou_prediction=float(found.scores[row]),
        )
        for row in kept
    }  # fmt: skip
    return _change(labelling, ids, records)


def _free(labelling: Labelling, action: Accept, number: int) -> Bool[np.ndarray, " N"] | np.bool_:
    """Points that an accepted object may have."""
    if action.over == "everything":
        return np.True_
    kept = [one for one, record in labelling.records.items() if record.decision == "accepted" and one != number]
    free: Bool[np.ndarray, " N"] = ~np.isin(labelling.instance_ids, kept)
    return free


def _clicks(selection: Selection) -> tuple[RecordedClick, ...]:
    places, labels = selection.prompt.points.tolist(), selection.prompt.is_foreground.tolist()
    return tuple((x, y, z, label) for (x, y, z), label in zip(places, labels, strict=True))


def _change(labelling: Labelling, ids: Int32[np.ndarray, " N"], records: Records) -> Change:
    """From the labels as they are to ``ids``; instances that lose their last point go."""
    rows, after = changed_rows(labelling.instance_ids, ids)
    sizes = labelling.sizes_after(rows, after)
    gone = {number: None for number in labelling.records if not sizes[number]}
    last = max((number for number, record in records.items() if record is not None), default=0)
    return Change(rows, after, {**gone, **records}, max(labelling.next_id, last + 1))
