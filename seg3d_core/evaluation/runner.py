"""Let models segment scene after scene and keep what comes out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from seg3d_core.errors import InputError
from seg3d_core.evaluation.comparison import picture_path, save_comparison
from seg3d_core.evaluation.models import SceneModel
from seg3d_core.evaluation.progress import Progress
from seg3d_core.evaluation.records import SceneRecord
from seg3d_core.evaluation.results_file import Results
from seg3d_core.evaluation.scenes import SceneSource
from seg3d_core.evaluation.truth import Truth
from seg3d_core.evaluation.views import Views
from seg3d_core.types import Cloud, Instances

MeasureMemory = Callable[[Cloud, "Views | None"], "int | None"]
"""Takes a scene, gives the peak memory of the model on it, bytes."""


@dataclass(frozen=True)
class Pictures:
    """Pictures to draw.

    Attributes:
        path: of the picture; with several scenes their names are put into it.
        up: away from the floor in all clouds; None: as each scene knows.
    """

    path: Path
    up: tuple[float, float, float] | None = None


@dataclass(eq=False)
class Contestant:
    """A model that is evaluated.

    Attributes:
        label: for people.
        model: segments.
        results: where what comes out is kept; scenes that it has already are left as they are.
        measure_memory: how; None leaves memory unmeasured.
    """

    label: str
    model: SceneModel
    results: Results
    measure_memory: MeasureMemory | None = None
    _is_warm: bool = field(default=False, init=False)

    def has(self, source: SceneSource) -> bool:
        """Whether the results have this scene as it is now, and all that is measured."""
        record = self.results.records.get(source.name)
        with suppress(InputError):  # said when the scene is loaded
            return (
                record is not None
                and record.fingerprint == self._fingerprint(source)
                and (self.measure_memory is None or record.peak_bytes is not None)
            )
        return False

    def evaluate(self, source: SceneSource, truth: Truth) -> Instances:
        """Segment a scene and keep the record.

        Raises:
            InputError: it cannot be segmented.
        """
        cloud, views = truth.labelled.cloud, truth.views
        if not self._is_warm:
            self.model.warm_up(cloud, views)
            self._is_warm = True
        start = time.perf_counter()
        instances = self.model.segment(cloud, views)
        seconds = time.perf_counter() - start
        record = SceneRecord.of(source.name, self._fingerprint(source), truth, instances, seconds)
        if self.measure_memory is not None:
            record = replace(record, peak_bytes=self.measure_memory(cloud, views))
        self.results.keep(record)
        return instances

    def _fingerprint(self, source: SceneSource) -> str:
        own = self.model.fingerprint(source.views())
        return f"{source.fingerprint()} {own}" if own else source.fingerprint()


class Evaluation:
    """Some models on some scenes."""

    def __init__(
        self, sources: Sequence[SceneSource], contestants: Sequence[Contestant], pictures: Pictures | None = None
    ) -> None:
        self._sources, self._contestants, self._pictures = sources, contestants, pictures

    def missing(self) -> list[SceneSource]:
        """The scenes that a model has to segment: new, changed, or without their picture."""
        return [source for source in self._sources if self._waiting(source)]

    def run(self, missing: Sequence[SceneSource], progress: Progress) -> None:
        """Segment these; a scene that cannot be evaluated is noted in the results, and the others go on."""
        for source in missing:
            progress.begin(source.name)
            waiting = self._waiting(source)
            try:
                truth = _loaded(source, progress)
            except InputError as error:
                for contestant in waiting:
                    contestant.results.fail(source.name, _without_prefix(str(error), source.name))
            else:
                self._scene(source, truth, waiting, progress)
            progress.end()

    def _waiting(self, source: SceneSource) -> list[Contestant]:
        """Who has to segment the scene: all, if its picture is missing."""
        if self._pictures is not None and not self._picture_of(source, self._pictures).is_file():
            return list(self._contestants)
        return [contestant for contestant in self._contestants if not contestant.has(source)]

    def _scene(self, source: SceneSource, truth: Truth, waiting: Sequence[Contestant], progress: Progress) -> None:
        found: dict[str, Instances] = {}
        for number, contestant in enumerate(waiting):
            several = f" {contestant.label} ({number + 1} of {len(waiting)})" if len(waiting) > 1 else ""
            progress.report(1.0, f"segmenting{several}")
            try:
                found[contestant.label] = contestant.evaluate(source, truth)
            except InputError as error:
                contestant.results.fail(source.name, _without_prefix(str(error), source.name))
        if self._pictures is not None and len(waiting) == len(self._contestants) and found:
            save_comparison(self._picture_of(source, self._pictures), truth, found, self._pictures.up)

    def _picture_of(self, source: SceneSource, pictures: Pictures) -> Path:
        return picture_path(pictures.path, source.name, len(self._sources) == 1)


def _loaded(source: SceneSource, progress: Progress) -> Truth:
    truth = source.load(progress.report)
    if not (truth.labelled.instance_id > 0).any():
        points = len(truth.labelled.cloud)
        raise InputError(f"none of its {points} points belongs to an instance: nothing to compare with")
    return truth


def _without_prefix(message: str, name: str) -> str:
    return message.removeprefix(f"{name}: ")
