"""``seg3d label frames``: all frames of some scenes, going on where an earlier run stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seg3d_core.data.scenes import SceneFolder
from seg3d_core.evaluation.progress import Stream
from seg3d_core.labelling.jobs import FrameJob, Share, frame_jobs
from seg3d_core.labelling.labeller import Result
from seg3d_core.labelling.provenance import settle
from seg3d_core.labelling.settings import LabelFramesConfig
from seg3d_core.labelling.workforce import Workforce
from seg3d_core.learning.progress import Interruption, StepProgress

_MOST_FAILURES = 20


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of the frames of one process.

    Attributes:
        kept: frames that had masks before.
        results: the last one of every other frame that was reached.
        interrupted: whether frames are left because somebody asked to stop.
    """

    kept: int
    results: tuple[Result, ...]
    interrupted: bool

    @property
    def failures(self) -> list[Result]:
        """Frames that have no masks because something went wrong."""
        return [result for result in self.results if result.state == "failed"]

    def words(self) -> str:
        """For people: counts, and why frames failed."""
        count = Counter(result.state for result in self.results)
        lines = [f"{count['labelled'] + count['empty']} frames labelled, {self.kept} had masks before"]
        if count["empty"]:
            lines[0] += f", {count['empty']} show no mask"
        if count["elsewhere"]:
            lines[0] += f", {count['elsewhere']} are another process's"
        if self.failures:
            lines[0] += f", {len(self.failures)} failed:"
        lines += [f"  {failure.job.name}: {failure.reason}" for failure in self.failures[:_MOST_FAILURES]]
        hidden = len(self.failures) - _MOST_FAILURES
        return "\n".join([*lines, f"  and {hidden} more"] if hidden > 0 else lines)


def todo(config: LabelFramesConfig, scenes: Sequence[SceneFolder], share: Share) -> tuple[list[FrameJob], int]:
    """This process's frames without masks, and how many have theirs. Folders are made and their settings compared.

    Raises:
        ConfigError: a folder holds masks that were made with other settings.
        InputError: a folder cannot be written.
    """
    for scene in scenes:
        settle(scene.mask_path(config.mask_name, 0).parent, config.identity())
    jobs = share.of(frame_jobs(scenes, config.mask_name, config.every))
    missing = [job for job in jobs if not job.target.exists()]
    return missing, len(jobs) - len(missing)


def label_frames(
    workforce: Workforce, missing: Sequence[FrameJob], kept: int, retries: int, stream: Stream | None
) -> Outcome:
    """Label ``missing`` frames; those that fail are tried ``retries`` times more when all others are done.

    Args:
        workforce: who does it.
        missing: frames without masks.
        kept: how many have theirs, for the progress.
        retries: rounds after the first.
        stream: where progress is told; None = nowhere.

    Raises:
        InputError: masks cannot be written.
    """
    progress = StepProgress(stream, "frames", kept) if stream else None
    # By file: what comes back from another process is another object.
    latest: dict[Path, Result] = {}
    left = list(missing)
    with Interruption() as interruption:
        for _ in range(1 + retries):
            for result in workforce.results(left):
                latest[result.job.target] = result
                if progress:
                    progress.tell(kept + len(latest), kept + len(missing), result.job.name)
                if interruption.asked:
                    break
            left = [job for job in left if job.target not in latest or _is_open(latest[job.target])]
            if interruption.asked or not left:
                break
    return Outcome(kept, tuple(latest.values()), interruption.asked and bool(left))


def _is_open(result: Result) -> bool:
    """Failed, or given up by the process that had it."""
    return result.state == "failed" or (result.state == "elsewhere" and not result.job.target.exists())
