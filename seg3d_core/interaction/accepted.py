"""Objects that somebody has accepted: they keep their ids, on any cloud of the same frame, and outlive the program."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from seg3d_core.errors import InputError, PromptError
from seg3d_core.interaction.accepted_file import AcceptedFile, read_accepted, write_accepted
from seg3d_core.interaction.accepted_instance import AcceptedInstance
from seg3d_core.interaction.selection import Selection
from seg3d_core.interaction.transfer import ObjectPoints
from seg3d_core.interaction_config import InteractionConfig
from seg3d_core.tracking.ids import ACCEPTED_IDS, next_accepted_id
from seg3d_core.types import Cloud, Instances


class AcceptedInstances:
    """All that was accepted in one frame, by id.

    Ids count up from the first of ``ACCEPTED_IDS``, which no tracker gives. An id is never given to a second object:
    not after its object was removed, and not after loading a file. Whatever is refused leaves everything as it was.
    """

    def __init__(self, settings: InteractionConfig | None = None) -> None:
        self._tolerance_m = (settings or InteractionConfig.build({})).transfer_m
        self._instances: dict[int, AcceptedInstance] = {}
        self._given: dict[int, str] = {}
        self._next_id = ACCEPTED_IDS.start

    def __len__(self) -> int:
        return len(self._instances)

    def __iter__(self) -> Iterator[AcceptedInstance]:
        return iter([self._instances[number] for number in sorted(self._instances)])

    @property
    def frame_id(self) -> str | None:
        """Frame of all of them; None while there are none: any is welcome."""
        return next((instance.frame_id for instance in self._instances.values()), None)

    @property
    def next_id(self) -> int:
        """Above all ids given so far."""
        return self._next_id

    def add(self, selection: Selection, model: str, name: str = "") -> AcceptedInstance:
        """Keep what is selected, under a new id.

        Args:
            selection: the object on its cloud.
            model: what answered the prompts, for people.
            name: what people call the object; may be empty.

        Raises:
            PromptError: the mask has no points.
            InputError: the cloud is in another frame than what was accepted before; the name cannot be used; all ids
                have been given.
        """
        if not selection.mask.any():
            raise PromptError("the mask has no points: there is nothing to accept")
        self._check_frame(selection.cloud.frame_id, "the object")
        found = ObjectPoints.of(selection.cloud.points, selection.mask, self._tolerance_m)
        instance = AcceptedInstance(
            instance_id=next_accepted_id(self._next_id - 1),
            points=found.points,
            surroundings=found.surroundings,
            prompt=selection.prompt,
            source=selection.source,
            candidate=selection.chosen,
            iou_prediction=selection.iou_prediction,
            stability=selection.stability,
            model=model,
            frame_id=selection.cloud.frame_id,
            stamp_ns=selection.cloud.stamp_ns,
            name=name,
        )
        self._keep(instance)
        return instance

    def remove(self, instance_id: int) -> AcceptedInstance:
        """Forget an instance, but not that its id was given.

        Raises:
            InputError: there is none of that id.
        """
        instance = self._find(instance_id)
        del self._instances[instance_id]
        return instance

    def rename(self, instance_id: int, name: str) -> AcceptedInstance:
        """Call an instance something else.

        Raises:
            InputError: there is none of that id, or the name cannot be used.
        """
        self._instances[instance_id] = replace(self._find(instance_id), name=name)
        return self._instances[instance_id]

    def clear(self) -> None:
        """Forget all instances, but not that their ids were given."""
        self._instances.clear()

    def as_instances(self, cloud: Cloud) -> Instances:
        """Those of the instances that ``cloud`` shows any point of, by id; scores are the model's estimates, in 0..1.

        A point is of an object where, of all points around the object when it was accepted, the nearest was of it and
        is at most the tolerance (``transfer_m``) away. On the cloud that the object was selected on, these are exactly
        its points, and those at the very places of its points.

        Raises:
            InputError: the cloud is in another frame.
        """
        self._check_frame(cloud.frame_id, "the cloud")
        seen = [(instance, instance.mask_on(cloud, self._tolerance_m)) for instance in self]
        seen = [(instance, mask) for instance, mask in seen if mask.any()]
        masks = np.stack([mask for _, mask in seen]) if seen else np.empty((0, len(cloud)), np.bool_)
        scores = np.array([instance.score for instance, _ in seen], np.float32)
        return Instances(cloud, masks, scores, np.array([instance.instance_id for instance, _ in seen], np.int32))

    def save(self, path: str | Path) -> None:
        """Write everything to a .npz file: complete, or an older one stays.

        Raises:
            InputError: it is not called .npz, or cannot be written.
        """
        write_accepted(Path(path), AcceptedFile(tuple(self), self._next_id))

    def load(self, path: str | Path, frame_id: str | None = None) -> tuple[AcceptedInstance, ...]:
        """Add the instances of a file, and return them as they are now.

        They keep their ids. Only where an id was, or may have been, given to another object here, the one of the file
        gets a new id. An object that is here already is not added again; one that was removed here gets its id back.

        Args:
            path: what ``save`` wrote.
            frame_id: of the clouds that they are for; None: that of the instances here, any if there are none.

        Raises:
            InputError: the file is missing, damaged, of another kind or version, or of another frame; or all ids
                have been given.
        """
        content = read_accepted(Path(path))
        for instance in content.instances[:1]:
            self._check_frame(instance.frame_id, f"{path}")
            if frame_id not in (None, instance.frame_id):
                raise InputError(f"{path} is in frame {instance.frame_id!r}, the cloud in {frame_id!r}")
        instances = self._renumbered(content)
        self._next_id = max(self._next_id, content.next_id)
        for instance in instances:
            self._keep(instance)
        return instances

    def _renumbered(self, content: AcceptedFile) -> tuple[AcceptedInstance, ...]:
        """What is loaded, as it is to be kept here."""
        renumbered, last_id = [], max(self._next_id, content.next_id) - 1
        for instance in content.instances:
            known = self._id_of(instance)
            if known is not None:
                renumbered.append(self._instances.get(known, replace(instance, instance_id=known)))
            elif instance.instance_id >= self._next_id:
                renumbered.append(instance)
            else:
                last_id = next_accepted_id(last_id)
                renumbered.append(replace(instance, instance_id=last_id))
        return tuple(renumbered)

    def _id_of(self, instance: AcceptedInstance) -> int | None:
        """The id that this very object was given here, also if it has been removed."""
        if self._given.get(instance.instance_id) == instance.digest:
            return instance.instance_id
        return next((number for number, digest in self._given.items() if digest == instance.digest), None)

    def _keep(self, instance: AcceptedInstance) -> None:
        number = instance.instance_id
        self._instances[number] = instance
        self._given[number] = instance.digest
        self._next_id = max(self._next_id, number + 1)

    def _find(self, instance_id: int) -> AcceptedInstance:
        if instance_id not in self._instances:
            known = ", ".join(str(instance.instance_id) for instance in self) or "none"
            raise InputError(f"no accepted instance has the id {instance_id}; there are: {known}")
        return self._instances[instance_id]

    def _check_frame(self, frame_id: str, what: str) -> None:
        if self.frame_id not in (None, frame_id):
            raise InputError(
                f"{what} is in frame {frame_id!r}, the {len(self)} accepted instances are in {self.frame_id!r}"
            )
