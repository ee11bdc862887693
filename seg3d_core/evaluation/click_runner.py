"""Click on every object of scene after scene."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from jaxtyping import Float64

from seg3d_core.errors import InputError
from seg3d_core.evaluation.click_records import ObjectRecord, SkippedObject
from seg3d_core.evaluation.clicks import ClickedObject, click_on
from seg3d_core.evaluation.progress import Progress
from seg3d_core.evaluation.scenes import SceneSource
from seg3d_core.evaluation.truth import Truth
from seg3d_core.interaction.model import PromptModel
from seg3d_core.types import LabelledCloud

LOADING = 0.1
"""Part of a scene's time that loading it is thought to take, for the estimate of what is left."""

FEWEST_POINTS = 25
"""Of an object in a scene; single objects that were published for clicking are all counted."""

Shown = Callable[[SceneSource, Truth, int, ClickedObject], None]
"""Takes an object that was clicked on: its scene, the scene's truth, its id, what came of it."""


@dataclass(frozen=True)
class ClickPlan:
    """What is done with every object.

    Attributes:
        clicks: on each object.
        fewest_points: smaller objects are skipped; None: ``FEWEST_POINTS``, and 1 in data sets of single objects.
        up: axis that points up in what the model is shown.
    """

    clicks: int = 10
    fewest_points: int | None = None
    up: Literal["z", "y"] = "z"


@dataclass
class ClickEvaluation:
    """A model on some scenes, and what came of it so far.

    Attributes:
        model: answers the clicks.
        plan: what is done.
        show: told about every object as soon as it is done.
        records: objects that were clicked on.
        skipped: objects that were not.
        failures: message by name of the scenes that could not be used.
    """

    model: PromptModel
    plan: ClickPlan
    show: Shown = lambda source, truth, instance_id, clicked: None
    records: list[ObjectRecord] = field(default_factory=list)
    skipped: list[SkippedObject] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    def run(self, sources: Sequence[SceneSource], progress: Progress) -> None:
        """Click on all their objects; a scene that cannot be used is noted, and the others go on."""
        for source in sources:
            progress.begin(source.name)
            try:
                truth = source.load(lambda share, words: progress.report(share * LOADING, words))
                self._scene(source, upright(truth, self.plan.up), progress)
            except InputError as error:
                self.failures[source.name] = str(error).removeprefix(f"{source.name}: ")
            progress.end()

    def _scene(self, source: SceneSource, truth: Truth, progress: Progress) -> None:
        cloud, ids = truth.labelled.cloud, truth.labelled.instance_id
        chosen = list(self._chosen(source, truth))
        if not chosen:
            return
        progress.report(LOADING, "encoding")
        self.model.set_cloud(cloud)
        for number, instance_id in enumerate(chosen):
            share = LOADING + (1 - LOADING) * number / len(chosen)
            progress.report(share, f"object {number + 1} of {len(chosen)}")
            try:
                clicked = click_on(self.model, cloud, ids == instance_id, self.plan.clicks)
            except InputError as error:
                self.skipped.append(SkippedObject(source.name, instance_id, f"refused by the model: {error}"))
                continue
            self.records.append(_record(source, truth.labelled, instance_id, clicked))
            self.show(source, truth, instance_id, clicked)

    def _chosen(self, source: SceneSource, truth: Truth) -> Iterator[int]:
        """Ids of the objects to click on; the others are noted."""
        fewest = self.plan.fewest_points
        if fewest is None:
            fewest = 1 if source.group else FEWEST_POINTS
        numbers, counts = np.unique(truth.labelled.instance_id, return_counts=True)
        found = False
        for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
            if number <= 0 or number in truth.background:
                continue
            found = True
            if count < fewest:
                self.skipped.append(SkippedObject(source.name, number, f"fewer than {fewest} points"))
            elif count == len(truth.labelled.instance_id):
                self.skipped.append(SkippedObject(source.name, number, "covers the whole cloud"))
            else:
                yield number
        if not found:
            raise InputError(f"none of its {len(truth.labelled.instance_id)} points belongs to an object")


def upright(truth: Truth, up: str) -> Truth:
    """The scene turned about its origin so that what is up in it is up for the model, too.

    Only scenes that are known to stand otherwise are turned, as the view of a camera on a table; a robot knows which
    way is up from its joints. Directions of up other than z are known only of them.
    """
    direction = np.asarray(truth.up, np.float64)
    direction = direction / np.linalg.norm(direction)
    if direction[2] == 1:
        return truth
    rotation = _turn(direction, np.eye(3)["xyz".index(up)])
    cloud = truth.labelled.cloud
    turned = replace(
        cloud,
        points=_turned(cloud.points, rotation),
        normals=None if cloud.normals is None else _turned(cloud.normals, rotation),
        viewpoint=None if cloud.viewpoint is None else rotation @ cloud.viewpoint,
        up=None,
    )
    axis = (0.0, 0.0, 1.0) if up == "z" else (0.0, 1.0, 0.0)
    return Truth(replace(truth.labelled, cloud=turned), truth.background, axis)


def _turned(vectors: np.ndarray, rotation: Float64[np.ndarray, "3 3"]) -> np.ndarray:
    return np.asarray((vectors.astype(np.float64) @ rotation.T).astype(np.float32))


def _turn(start: Float64[np.ndarray, " 3"], end: Float64[np.ndarray, " 3"]) -> Float64[np.ndarray, "3 3"]:
    """The shortest rotation from one direction to another (Rodrigues' formula)."""
    cosine = float(start @ end)
    if cosine < -1 + 1e-12:  # half a turn about any axis across
        across = np.cross(start, np.eye(3)[int(np.abs(start).argmin())])
        across /= np.linalg.norm(across)
        return np.asarray(2 * np.outer(across, across) - np.eye(3))
    x, y, z = np.cross(start, end)
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + skew + skew @ skew / (1 + cosine))


def _record(source: SceneSource, labelled: LabelledCloud, instance_id: int, clicked: ClickedObject) -> ObjectRecord:
    return ObjectRecord(
        source.name,
        source.group or source.name,
        instance_id,
        labelled.names.get(instance_id, ""),
        int((labelled.instance_id == instance_id).sum()),
        len(labelled.cloud),
        clicked.iou,
        clicked.best_of_first,
        clicked.seconds[0],
        float(np.median(clicked.seconds[1:])) if len(clicked.seconds) > 1 else float("nan"),
    )
