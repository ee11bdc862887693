"""Relabelling one scene: every action goes through ``RelabelSession.apply``, whoever asks for it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from types import TracebackType

import numpy as np
from jaxtyping import Float, Int32

from seg3d_core.data.scenes import SceneFolder
from seg3d_core.errors import InputError, PromptError
from seg3d_core.interaction.selection import Selection
from seg3d_core.interaction.snapping import describe, snap
from seg3d_core.relabel import edits
from seg3d_core.relabel.actions import (
    Accept,
    Action,
    Confirm,
    Delete,
    Edit,
    Label,
    Merge,
    New,
    Prompting,
    Propose,
    Split,
    Undo,
)
from seg3d_core.relabel.draft import Draft, Prompter, extended
from seg3d_core.relabel.folder import RelabelFolder
from seg3d_core.relabel.journal import Entry, ScriptStep
from seg3d_core.relabel.labelling import NONE, Change, InstanceRecord
from seg3d_core.relabel.models import Models
from seg3d_core.relabel.results import Results, write_results
from seg3d_core.relabel.settings import RelabelConfig
from seg3d_core.relabel.splitting import hanging_together, nearest_along_surface
from seg3d_core.types import Cloud


@dataclass(frozen=True, eq=False)
class _Undoable:
    """What takes an action back.

    Attributes:
        back: of the labels; None where they stayed as they were.
        draft: that was in progress.
    """

    back: Change | None
    draft: Draft | None


class RelabelSession:
    """A scene that is being relabelled; a context manager; threads may share it.

    The action that ``apply`` returns from is on the disk. Whatever is refused leaves everything as it was. A session
    that is opened on a scene again goes on where the last one ended, however that ended: with every action to undo.

    Args:
        scene: the folder; see ``RelabelFolder``.
        models: that answer; one session at a time may use them.
        config: see ``RelabelConfig``.

    Raises:
        InputError: see ``RelabelFolder``; or the journal is damaged.
    """

    def __init__(self, scene: SceneFolder, models: Models, config: RelabelConfig) -> None:
        self._folder = RelabelFolder(scene, config.start)
        self._models, self._config = models, config
        self._lock, self._saving = threading.RLock(), threading.Lock()
        self._labelling = self._folder.first_labels()
        self._prompter = Prompter(lambda: models.prompt, self.cloud, config)
        self._draft: Draft | None = None
        self._undoable: list[_Undoable] = []
        self._steps: dict[str, int] = {}
        self.revision = 0
        try:
            self._again()
        except InputError:
            self.close()
            raise

    def __enter__(self) -> RelabelSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def scene(self) -> SceneFolder:
        """What is relabelled."""
        return self._folder.scene

    @property
    def cloud(self) -> Cloud:
        """Its points."""
        return self._folder.before.cloud

    @property
    def instance_ids(self) -> Int32[np.ndarray, " N"]:
        """Instance of each point now, 0 = none; not to be written to."""
        return self._labelling.instance_ids

    @property
    def records(self) -> dict[int, InstanceRecord]:
        """Of every instance there is now, by id."""
        with self._lock:
            return dict(sorted(self._labelling.records.items()))

    @property
    def sizes(self) -> dict[int, int]:
        """Points of every instance, by id."""
        with self._lock:
            return self._labelling.sizes()

    @property
    def editing(self) -> int:
        """The instance that the object in progress corrects; 0: it is a new one, or there is none."""
        return NONE if self._draft is None else self._draft.editing

    @property
    def selection(self) -> Selection | None:
        """The object in progress. After a restart the model is asked again: the clicks are kept, not its answers.

        Raises:
            InputError: the model, another one than before, refuses a click.
            ConfigError, CheckpointError, DeviceError: the model cannot be had.
        """
        with self._lock:
            return None if self._draft is None else self._prompter.selection(self._draft, self._labelling)

    @property
    def undo_steps(self) -> int:
        """How many actions can be taken back."""
        return len(self._undoable)

    def warm_up(self) -> None:
        """Make the model ready, so that the first click need not wait for it.

        Raises:
            InputError, ConfigError, CheckpointError, DeviceError: see ``Prompter.warm_up``.
        """
        with self._lock:
            self._prompter.warm_up()

    def instance_at(self, point_m: Float[np.ndarray, "3"]) -> int:
        """Instance of the point of the cloud nearest to a place (m).

        Raises:
            PromptError: the place is too far from every point, or the nearest has no instance.
        """
        row, _ = snap(self.cloud.points, point_m, self._config.interaction.max_snap_m)
        number = int(self.instance_ids[row])
        if number == NONE:
            raise PromptError(f"the point at {describe(self.cloud.points[row].astype(np.float64))} m has no instance")
        return number

    def apply(self, action: Action, step: ScriptStep | None = None) -> None:
        """Do one action.

        Raises:
            PromptError: it refers to nothing in the scene, or there is nothing in progress, or to undo.
            InputError: there is no such instance, a value cannot be used, the model refuses the cloud or the prompt,
                or the disk is full.
            ConfigError, CheckpointError, DeviceError: a model that it needs cannot be had.
        """
        with self._lock:
            change, draft = None, None
            if isinstance(action, Prompting):
                draft = self._asked(action)
            elif isinstance(action, Undo):
                if not self._undoable:
                    raise PromptError("there is nothing to undo")
            elif not isinstance(action, New):
                change = self._change(action)
            entry = Entry(action, change, step)
            self._folder.journal.add(entry)
            self._do(entry, draft)

    def steps_done(self, script: str) -> int:
        """How many steps of a script (see ``ScriptStep``) have been done on this scene."""
        return self._steps.get(script, 0)

    def save(self) -> Results:
        """Write the results into the scene folder (see ``write_results``).

        Raises:
            InputError: the disk is full, or the folder cannot be written; nothing that was done is lost.
        """
        with self._saving:
            with self._lock:
                now = self._labelling.copy()
            return write_results(self._folder, now, self._config)

    def close(self) -> None:
        """Let other processes have the scene; a second call does nothing."""
        self._folder.close()

    def _asked(self, action: Prompting) -> Draft:
        """The object in progress after an action, which the model takes."""
        before = None if self._draft is None or isinstance(action, Edit) else self.selection
        selection = self._prompter.ask(before, action, self._labelling)
        draft = extended(self._draft, action)
        self._prompter.keep(draft, selection)
        return draft

    def _change(self, action: Accept | Delete | Merge | Split | Label | Confirm | Propose) -> Change:
        """What an action does to the labels."""
        labelling = self._labelling
        if isinstance(action, Accept):
            selection = self.selection
            if selection is None:
                raise PromptError("no object is in progress: click on one first")
            return edits.accepted(labelling, selection, self.editing, action, self._models.prompt_identity)
        if isinstance(action, Delete):
            return edits.deleted(labelling, action.instance_id)
        if isinstance(action, Merge):
            return edits.merged(labelling, action.instance_ids)
        if isinstance(action, Split):
            return edits.divided(labelling, action.instance_id, self._parts(action))
        if isinstance(action, Label):
            return edits.named(labelling, action.instance_id, action.name)
        if isinstance(action, Confirm):
            return edits.confirmed(labelling, action.instance_ids)
        found = self._models.segmenter(action.model).segment(self.cloud)
        model = self._models.segmenter_identity(action.model)
        return edits.proposed(labelling, found, model, self._config.min_proposal_points)

    def _parts(self, action: Split) -> Int32[np.ndarray, " M"]:
        self._labelling.record(action.instance_id)
        points = self.cloud.points[self._labelling.mask(action.instance_id)]
        if not action.points_m:
            return hanging_together(points, self._config.split_gap_m, self._config.min_part_points)
        if len(action.points_m) == 1:
            raise PromptError("one place says nothing about where to split: give one on each part")
        places = [np.array(place, np.float64) for place in action.points_m]
        for place in places:
            snap(points, place, self._config.interaction.max_snap_m)
        return nearest_along_surface(points, np.stack(places), self._config.split_gap_m)

    def _again(self) -> None:
        """Do what the journal tells of."""
        for number, entry in enumerate(self._folder.journal.entries(), 2):
            change = entry.change
            beyond = change is not None and len(change.rows) and not 0 <= change.rows[-1] < len(self.cloud)
            if beyond or (isinstance(entry.action, Undo) and not self._undoable):
                raise InputError(
                    f"line {number} of {self._folder.path / 'journal.jsonl'} does not fit what is before it: delete "
                    f"{self._folder.path} to begin anew from the labels as they are"
                )
            self._do(entry, extended(self._draft, entry.action) if isinstance(entry.action, Prompting) else None)

    def _do(self, entry: Entry, draft: Draft | None) -> None:
        """Make the step that an entry tells of, with the draft that a prompt leads to; no model is asked."""
        if entry.step is not None:
            self._steps[entry.step.script] = entry.step.index + 1
        self.revision += 1
        if isinstance(entry.action, Undo):
            self._undo()
            return
        change = entry.change
        if isinstance(entry.action, (Delete, Merge, Split, Label, Confirm, Propose)):
            draft = self._draft
            if change is not None and draft is not None and draft.editing:
                # An instance that is no longer what it was is not corrected further.
                draft = None if self._labelling.touches(change, draft.editing) else draft
        back = None if change is None else self._labelling.apply(change)
        self._undoable.append(_Undoable(back, self._draft))
        self._draft = draft

    def _undo(self) -> None:
        undoable = self._undoable.pop()
        if undoable.back is not None:
            self._labelling.apply(undoable.back)
        self._draft = undoable.draft
