"""Segment scene after scene and keep what comes out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seg3d_core.errors import InputError
from seg3d_core.evaluation.comparison import picture_path, save_comparison
from seg3d_core.evaluation.progress import Progress
from seg3d_core.evaluation.records import SceneRecord
from seg3d_core.evaluation.results_file import Results
from seg3d_core.evaluation.scenes import SceneSource
from seg3d_core.segmenter import Segmenter
from seg3d_core.types import Cloud

WARM_UP_POINTS = 5000


@dataclass(frozen=True)
class Pictures:
    """Pictures to draw.

    Attributes:
        path: of the picture; with several scenes their names are put into it.
        up: away from the floor in all clouds; None: as each scene knows.
    """

    path: Path
    up: tuple[float, float, float] | None = None


class Evaluation:
    """One segmenter on some scenes; scenes that ``results`` has already are left as they are."""

    def __init__(
        self, sources: Sequence[SceneSource], segmenter: Segmenter, results: Results, pictures: Pictures | None = None
    ) -> None:
        self._sources, self._segmenter, self._results, self._pictures = sources, segmenter, results, pictures
        self._is_warm = False

    def missing(self) -> list[SceneSource]:
        """The scenes that have to be segmented: new, changed, or without their picture."""
        return [source for source in self._sources if not self._is_kept(source)]

    def run(self, missing: Sequence[SceneSource], progress: Progress) -> None:
        """Segment these; a scene that cannot be evaluated is noted in the results, and the others go on."""
        for source in missing:
            progress.begin(source.name)
            try:
                self._results.keep(self._evaluate(source, progress))
            except InputError as error:
                self._results.fail(source.name, _without_prefix(str(error), source.name))
            progress.end()

    def _is_kept(self, source: SceneSource) -> bool:
        record = self._results.records.get(source.name)
        with suppress(InputError):  # said when the scene is loaded
            is_same = record is not None and record.fingerprint == source.fingerprint()
            return is_same and (self._pictures is None or self._picture_of(source, self._pictures).is_file())
        return False

    def _evaluate(self, source: SceneSource, progress: Progress) -> SceneRecord:
        fingerprint = source.fingerprint()
        truth = source.load(progress.report)
        cloud = truth.labelled.cloud
        if not (truth.labelled.instance_id > 0).any():
            raise InputError(f"none of its {len(cloud)} points belongs to an instance: nothing to compare with")
        progress.report(1.0, "segmenting")
        self._warm_up(cloud)
        start = time.perf_counter()
        instances = self._segmenter.segment(cloud)
        seconds = time.perf_counter() - start
        if self._pictures is not None:
            save_comparison(self._picture_of(source, self._pictures), truth, instances, self._pictures.up)
        return SceneRecord.of(source.name, fingerprint, truth, instances, seconds)

    def _warm_up(self, cloud: Cloud) -> None:
        """Compile and load what the first cloud would otherwise be charged for."""
        if not self._is_warm:
            with suppress(InputError):
                self._segmenter.segment(cloud.select(np.arange(min(len(cloud), WARM_UP_POINTS))))
            self._is_warm = True

    def _picture_of(self, source: SceneSource, pictures: Pictures) -> Path:
        return picture_path(pictures.path, source.name, len(self._sources) == 1)


def _without_prefix(message: str, name: str) -> str:
    return message.removeprefix(f"{name}: ")
