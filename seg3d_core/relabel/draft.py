"""The object in progress: which actions made it, and what is selected by them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from seg3d_core.errors import PromptError
from seg3d_core.interaction.history import PackedSelection, packed
from seg3d_core.interaction.model import PromptModel
from seg3d_core.interaction.selection import Selection
from seg3d_core.interaction.session import ObjectSession
from seg3d_core.relabel.actions import Box, Choose, Click, Edit, Lasso, Prompting
from seg3d_core.relabel.labelling import NONE, Labelling
from seg3d_core.relabel.lasso import points_in_lasso
from seg3d_core.relabel.settings import RelabelConfig
from seg3d_core.types import Cloud

_KEPT = 64
"""Selections that undo can return to without asking the model again."""

_numbers = count()


@dataclass(frozen=True, eq=False)
class Draft:
    """An object in progress, as the actions that led to it.

    Attributes:
        actions: since it began, or since a box or a lasso took the place of what was selected.
        editing: the instance that it corrects; ``NONE`` for a new object.
        number: its own.
    """

    actions: tuple[Prompting, ...]
    editing: int = NONE
    number: int = field(default_factory=lambda: next(_numbers))


def extended(draft: Draft | None, action: Prompting) -> Draft:
    """The object in progress after one more action."""
    editing = NONE if draft is None else draft.editing
    if isinstance(action, Edit):
        return Draft((action,), action.instance_id)
    if draft is None or isinstance(action, (Box, Lasso)):
        return Draft((action,), editing)
    return Draft((*draft.actions, action), editing)


class Prompter:
    """Asks a model what is selected by a draft; the newest answers are kept.

    What a draft selects depends on nothing but its actions and the points of the instance it edits, so that an answer
    that is not kept, or was given before the program was started, is found again. For one thread at a time.

    Args:
        load: returns the model, which only this one asks until another cloud is set.
        cloud: that all drafts mean.
        config: see ``RelabelConfig``.
    """

    def __init__(self, load: Callable[[], PromptModel], cloud: Cloud, config: RelabelConfig) -> None:
        self._load, self._cloud, self._config = load, cloud, config
        self._kept: OrderedDict[int, PackedSelection | Selection] = OrderedDict()
        self._newest: tuple[int, Selection] | None = None
        self._session: ObjectSession | None = None

    def warm_up(self) -> None:
        """Load the model and show it the cloud, so that the first click does not wait for it.

        Raises:
            ConfigError, CheckpointError, DeviceError: the model cannot be had.
            InputError: it refuses the cloud.
        """
        if self._session is None:
            session = ObjectSession(self._load(), self._config.interaction)
            session.set_cloud(self._cloud)
            self._session = session

    def selection(self, draft: Draft, labelling: Labelling) -> Selection:
        """What the draft selects.

        Raises:
            InputError, PromptError: the model, which may be another one than before, refuses an action.
        """
        if self._newest is not None and self._newest[0] == draft.number:
            return self._newest[1]
        kept = self._kept.get(draft.number)
        if kept is not None:
            self._kept.move_to_end(draft.number)
            found = kept.unpack() if isinstance(kept, PackedSelection) else kept
            self._newest = draft.number, found
            return found
        selection: Selection | None = None
        for action in draft.actions:
            selection = self.ask(selection, action, labelling)
        assert selection is not None, "a draft has actions"
        self.keep(draft, selection)
        return selection

    def keep(self, draft: Draft, selection: Selection) -> None:
        """Remember what a draft selects."""
        self._newest = draft.number, selection
        self._kept[draft.number] = packed(selection)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)

    def ask(self, before: Selection | None, action: Prompting, labelling: Labelling) -> Selection:
        """What is selected after an action, where ``before`` was.

        Raises:
            PromptError: the action refers to nothing.
            InputError: the model refuses it, or there is no such instance.
        """
        self.warm_up()
        session = self._session
        assert session is not None
        session.new_object()
        if before is not None:
            session.select_again(before)
        if isinstance(action, Click):
            return session.click(np.array(action.point_m), action.is_foreground)
        if isinstance(action, Choose):
            return _choose(session, action.candidate)
        if isinstance(action, Box):
            return session.select_box(np.array(action.corner_m), np.array(action.opposite_m))
        if isinstance(action, Lasso):
            return session.select_region(self._lassoed(action), "lasso")
        record = labelling.record(action.instance_id)
        score = float(np.clip(record.iou_prediction, 0, 1))
        return session.select_mask(labelling.mask(action.instance_id), score)

    def _lassoed(self, action: Lasso) -> np.ndarray:
        if len(action.T_world_camera) != 16:
            raise PromptError(f"the view of the lasso has {len(action.T_world_camera)} numbers, a 4x4 matrix has 16")
        T = np.array(action.T_world_camera).reshape(4, 4)
        outline = np.array(action.outline, np.float64).reshape(-1, 2)
        return points_in_lasso(self._cloud.points, outline, T, self._config.lasso_depth_m)


def _choose(session: ObjectSession, candidate: int) -> Selection:
    selection = session.selection
    if selection is None:
        raise PromptError("no object is in progress: click on one first")
    there = len(selection.candidates.mask_logits)
    if not 1 <= candidate <= there:
        raise PromptError(f"candidate {candidate} is not there: a first click gives 3, a box 2, others 1; now {there}")
    while selection.chosen != candidate - 1:
        selection = session.next_candidate()
    return selection
