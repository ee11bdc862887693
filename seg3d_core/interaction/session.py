"""One object after another on the newest cloud: prompts, candidates, the way back, and what is kept."""

from __future__ import annotations

import logging

import numpy as np
from jaxtyping import Bool, Float, Float32

from seg3d_core.errors import InputError, PromptError
from seg3d_core.interaction.accepted import AcceptedInstances
from seg3d_core.interaction.accepted_instance import AcceptedInstance
from seg3d_core.interaction.box_prompt import points_in_box
from seg3d_core.interaction.candidates import MaskCandidates
from seg3d_core.interaction.deepest import deepest_row
from seg3d_core.interaction.goal_prompt import instance_at, nothing_stands, points_standing_at
from seg3d_core.interaction.history import History
from seg3d_core.interaction.instance_prompt import check_frame, instance_mask, instance_under
from seg3d_core.interaction.model import PromptModel
from seg3d_core.interaction.selection import Selection, Source
from seg3d_core.interaction.snapping import snap
from seg3d_core.interaction_config import InteractionConfig
from seg3d_core.types import Cloud, Instances, Prompt

_LOGGER = logging.getLogger(__name__)

_NO_CLICKS = Prompt(np.empty((0, 3), np.float32), np.empty(0, np.bool_))


class ObjectSession:
    """Selects objects on a snapshot of the world with a model; for one thread at a time.

    Clicks mean ``cloud``, and it stays as long as an object is in progress: a newer one waits, and is taken when the
    object is accepted, rejected, cleared, or undone to its beginning. All coordinates are m in the frame of the cloud.
    Whatever is refused leaves everything as it was.

    Args:
        model: what answers prompts; only this session may ask it.
        settings: see ``InteractionConfig``.
        accepted: where accepted objects go; by default a new, empty set.
    """

    def __init__(
        self, model: PromptModel, settings: InteractionConfig | None = None, accepted: AcceptedInstances | None = None
    ) -> None:
        self.settings = settings or InteractionConfig.build({})
        self.accepted = AcceptedInstances(self.settings) if accepted is None else accepted
        self._model = model
        self._history = History()
        self._cloud: Cloud | None = None
        self._waiting: Cloud | None = None
        self._refusal = ""

    @property
    def cloud(self) -> Cloud | None:
        """What clicks mean; None before the first cloud."""
        return self._cloud

    @property
    def selection(self) -> Selection | None:
        """The object in progress."""
        return self._history.now

    @property
    def busy(self) -> bool:
        """Whether an object is in progress, so that a newer cloud has to wait."""
        return self._history.now is not None

    @property
    def waiting(self) -> Cloud | None:
        """The newest cloud, while the object in progress belongs to an older one."""
        return self._waiting

    @property
    def refusal(self) -> str:
        """Why the cloud that waited last was not taken when its time had come; empty where it was."""
        return self._refusal

    @property
    def undo_steps(self) -> int:
        """How many steps ``undo`` can take back."""
        return len(self._history)

    def set_cloud(self, cloud: Cloud) -> None:
        """The newest cloud: taken (encoded) at once, or when the object in progress ends.

        Raises:
            InputError: the model refuses it; the one before stays.
        """
        if self.busy:
            self._waiting = cloud
            return
        self._take(cloud)

    def use_model(self, model: PromptModel) -> None:
        """Ask another model from now on, about the same cloud; everything that was selected stays as it is.

        Raises:
            InputError: it refuses the cloud; the model before is asked on.
        """
        if self._cloud is not None:
            model.set_cloud(self._cloud)
        self._model = model

    def click(self, point_m: Float[np.ndarray, "3"], is_foreground: bool = True) -> Selection:
        """One more click: on the object, or beside it. The chosen candidate is what it corrects.

        The first click of an object gives three candidates, every other one.

        Raises:
            PromptError: no cloud yet, the first click is not on an object, the click is not finite or too far from the
                cloud, or there are too many clicks.
            InputError: the model refuses it.
        """
        cloud, before = self._snapshot(), self.selection
        prompt = _NO_CLICKS if before is None else before.prompt
        if before is None and not is_foreground:
            raise PromptError("the first click is beside the object: click on the object first")
        if len(prompt.points) >= self.settings.max_clicks:
            raise PromptError(
                f"the object has {len(prompt.points)} clicks, at most {self.settings.max_clicks} are allowed: accept, "
                "undo or clear"
            )
        row, distance_m = snap(cloud.points, point_m, self.settings.max_snap_m)
        x, y, z = cloud.points[row].tolist()
        prompt = prompt.with_click(x, y, z, is_foreground)
        return self._ask(prompt, None if before is None else before.mask_logits, "click", distance_m)

    def select_mask(self, mask: Bool[np.ndarray, " N"], score: float = 1.0) -> Selection:
        """Take a mask as it is, for example of an instance that something else has found; clicks then correct it.

        It takes the place of what was selected before, which ``undo`` brings back.

        Args:
            mask: of ``cloud``; ``transfer_mask`` brings one from another cloud.
            score: how sure that is, 0..1; stands for the model's own estimate.

        Raises:
            PromptError: no cloud yet, or the mask has no points.
            InputError: the mask has another length than the cloud, or the score is outside 0..1.
        """
        logits = self._mask_prompt(mask)
        if not 0 <= score <= 1:
            raise InputError(f"the score of the mask is {score:g}, must be within 0..1")
        ones = np.ones(1, np.float32)
        candidates = MaskCandidates(self._snapshot(), logits[None], np.float32(score) * ones, ones)
        return self._push(Selection(_NO_CLICKS, candidates, source="mask"))

    def select_instance(self, instances: Instances, row: int) -> Selection:
        """Take an instance of another result as it is, on whichever cloud of the same frame that was found.

        Raises:
            PromptError: no cloud yet, or none of its points is within the tolerance (``transfer_m``) of the cloud's.
            InputError: the instances are in another frame, or have no such row.
        """
        mask = instance_mask(instances, row, self._snapshot(), self.settings.transfer_m)
        return self.select_mask(mask, float(np.clip(instances.scores[row], 0, 1)))

    def select_instance_at(self, instances: Instances, point_m: Float[np.ndarray, "3"]) -> Selection:
        """Take the instance of another result that a click is on: that of the point of its cloud nearest to the click.

        Raises:
            PromptError: no cloud yet, the click is not finite, too far from the instances' cloud or on no instance; or
                see ``select_instance``.
            InputError: the instances are in another frame.
        """
        check_frame(instances, self._snapshot())
        return self.select_instance(instances, instance_under(instances, point_m, self.settings.max_snap_m))

    def select_box(self, corner_a: Float[np.ndarray, "3"], corner_b: Float[np.ndarray, "3"]) -> Selection:
        """The object in a box, along the axes of the frame, between any two opposite corners.

        The points in the box are shown to the model as a mask, with a click at their deepest point; they are also the
        candidate after its answer. It takes the place of what was selected before, which ``undo`` brings back.

        Raises:
            PromptError: no cloud yet, a corner is not finite, or there are no points in the box.
            InputError: the model refuses it.
        """
        return self.select_region(
            points_in_box(self._snapshot().points, corner_a, corner_b, self.settings.box_margin_m), "box"
        )

    def select_region(self, mask: Bool[np.ndarray, " N"], source: Source) -> Selection:
        """The object that a rough mask means, as ``select_box`` asks for the points in a box.

        Args:
            mask: of ``cloud``.
            source: what the mask was made with.

        Raises:
            PromptError: no cloud yet, or the mask has no points.
            InputError: the mask has another length than the cloud, or the model refuses it.
        """
        cloud, logits = self._snapshot(), self._mask_prompt(mask)
        prompt = Prompt.click(*cloud.points[deepest_row(cloud.points, mask)].tolist())
        candidates = self._model.predict(prompt, logits, multimask=False).with_given(logits)
        return self._push(Selection(prompt, candidates, source=source))

    def select_again(self, selection: Selection) -> Selection:
        """Go on from what was selected earlier; it takes the place of what is selected now, which ``undo`` brings back.

        Raises:
            InputError: it was selected on another cloud.
        """
        if selection.cloud is not self._cloud:
            raise InputError("the selection belongs to another cloud than the one that clicks mean")
        return self._push(selection)

    def select_goal(self, x_m: float, y_m: float, instances: Instances | None = None) -> Selection:
        """The object that stands at a position on the floor, as ``goal_prompt`` says; z of the frame points up.

        It is clicked at the deepest point of the column over the goal. Where nothing is in the column, the instance
        with the nearest footprint is taken as it is. Either takes the place of what was selected before, which ``undo``
        brings back.

        Raises:
            PromptError: no cloud yet, the goal is not finite or outside of the map, or nothing stands there.
            InputError: the instances are in another frame, or the model refuses the click.
        """
        cloud, goal = self._snapshot(), np.array([x_m, y_m], np.float64)
        standing = points_standing_at(cloud.points, goal, self.settings.goal)
        if standing.any():
            return self._ask(Prompt.click(*cloud.points[deepest_row(cloud.points, standing)].tolist()), None, "goal")
        if instances is None:
            raise nothing_stands(goal, self.settings.goal, "no instances are given")
        check_frame(instances, cloud)
        return self.select_instance(instances, instance_at(instances, goal, self.settings.goal))

    def next_candidate(self) -> Selection:
        """Mean the candidate after the chosen one, after the last the first; ``undo`` undoes it with its prompt.

        Raises:
            PromptError: no object is in progress, or it has only one candidate.
        """
        selection = self._in_progress()
        if len(selection.candidates.mask_logits) == 1:
            raise PromptError("there is one candidate only: a first click gives three, a box two, other clicks one")
        self._history.change(selection.next_candidate())
        return self._in_progress()

    def undo(self) -> Selection | None:
        """Take back the last prompt, or ``clear``: what was selected before is so again, bit for bit.

        Raises:
            PromptError: there is nothing to undo.
        """
        if not len(self._history):
            raise PromptError("there is nothing to undo")
        self._history.pop()
        self._take_waiting()
        return self.selection

    def clear(self) -> None:
        """Take back all prompts of the object in progress, if there is one; can be undone until a newer cloud comes."""
        if self.busy:
            self._history.push(None)
        self._take_waiting()

    def new_object(self) -> None:
        """Begin another object; one in progress is dropped, for good."""
        self._end()

    def reject(self) -> None:
        """Drop the object in progress, for good.

        Raises:
            PromptError: no object is in progress.
        """
        self._in_progress()
        self._end()

    def accept(self, name: str = "") -> AcceptedInstance:
        """Keep the object in progress, and begin another.

        Raises:
            PromptError: no object is in progress, or its mask has no points.
            InputError: what was accepted before is in another frame, or the name cannot be used.
        """
        instance = self.accepted.add(self._in_progress(), self._model.description, name)
        self._end()
        return instance

    def _ask(
        self, prompt: Prompt, mask_input: Float32[np.ndarray, " N"] | None, source: Source, snap_distance_m: float = 0.0
    ) -> Selection:
        candidates = self._model.predict(prompt, mask_input, multimask=mask_input is None)
        return self._push(Selection(prompt, candidates, 0, source, snap_distance_m))

    def _push(self, selection: Selection) -> Selection:
        self._history.push(selection)
        return selection

    def _mask_prompt(self, mask: Bool[np.ndarray, " N"]) -> Float32[np.ndarray, " N"]:
        cloud = self._snapshot()
        if len(mask) != len(cloud):
            raise InputError(f"the mask has {len(mask)} points, the cloud {len(cloud)}")
        if not mask.any():
            raise PromptError("the mask has no points on this cloud")
        logit = np.float32(self.settings.mask_logit)
        logits: Float32[np.ndarray, " N"] = np.where(mask, logit, -logit)
        return logits

    def _snapshot(self) -> Cloud:
        if self._cloud is None:
            raise PromptError("there is no cloud to click on yet")
        return self._cloud

    def _in_progress(self) -> Selection:
        if self.selection is None:
            raise PromptError("no object is in progress: click on one first")
        return self.selection

    def _end(self) -> None:
        self._history.forget()
        self._take_waiting()

    def _take(self, cloud: Cloud) -> None:
        self._model.set_cloud(cloud)
        self._cloud, self._refusal = cloud, ""
        self._history.forget()  # what can be undone means the cloud before

    def _take_waiting(self) -> None:
        """Take the cloud that waits, once no object is in progress; where it is refused, the one before stays."""
        if self.busy or self._waiting is None:
            return
        waiting, self._waiting = self._waiting, None
        try:
            self._take(waiting)
        except InputError as error:
            # What has just been accepted or undone is so; the object's end is no place to refuse it.
            self._refusal = str(error)
            _LOGGER.warning("the newer cloud is not used, clicks still mean the one before: %s", error)
