"""A script's actions on many scenes, one after another, without a browser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from seg3d_core.data.scenes import SceneFolder
from seg3d_core.errors import InputError
from seg3d_core.relabel.journal import ScriptStep
from seg3d_core.relabel.models import Models
from seg3d_core.relabel.results import Results
from seg3d_core.relabel.script import Script
from seg3d_core.relabel.session import RelabelSession
from seg3d_core.relabel.settings import RelabelConfig


@dataclass(frozen=True)
class SceneReport:
    """What became of a scene.

    Attributes:
        scene: its name.
        before: steps of the script that an earlier run had done.
        done: steps that this one did.
        steps: of the script for this scene.
        results: that were written; None where the scene could not be opened or the results not be written.
        error: why it stopped; empty where it did not.
    """

    scene: str
    before: int
    done: int
    steps: int
    results: Results | None
    error: str = ""


def run_script(
    scenes: Sequence[SceneFolder],
    script: Script,
    models: Models,
    config: RelabelConfig,
    progress: Callable[[int, int, str], object],
) -> list[SceneReport]:
    """Do the script; steps that an earlier run of the same script did are not done again.

    A step that is refused ends its scene, with what was done until then written and to be gone on with; the others
    are not concerned.

    Args:
        scenes: in this order.
        script: see ``Script``.
        models: that answer.
        config: see ``RelabelConfig``.
        progress: is told how many scenes are done, of how many, and the name of the next.

    Raises:
        ConfigError, CheckpointError, DeviceError: a model cannot be had.
    """
    reports = []
    for number, scene in enumerate(scenes):
        progress(number, len(scenes), scene.name)
        reports.append(_run_scene(scene, script, models, config))
    progress(len(scenes), len(scenes), "")
    return reports


def _run_scene(scene: SceneFolder, script: Script, models: Models, config: RelabelConfig) -> SceneReport:
    chosen = script.steps_for(scene.name)
    before = done = 0
    results, errors = None, []
    try:
        with RelabelSession(scene, models, config) as session:
            before = session.steps_done(chosen.digest)
            try:
                for index, resolve in enumerate(chosen.steps[before:], before):
                    session.apply(resolve(session), ScriptStep(chosen.digest, index))
                    done += 1
            except InputError as error:
                errors.append(f"step {before + done + 1}: {error}")
            results = session.save()
    except InputError as error:
        errors.append(str(error))
    return SceneReport(scene.name, before, done, len(chosen.steps), results, "; ".join(errors))


def format_reports(reports: Sequence[SceneReport]) -> str:
    """A table for people: what was done to each scene."""
    lines = [
        "| scene | steps | accepted | given | proposals written | proposals left out | points labelled |",
        "|---|---|---|---|---|---|---|",
    ]
    for report in reports:
        steps = f"{report.before + report.done} of {report.steps}"
        steps += f", {report.before} before" if report.before else ""
        lines.append(f"| {report.scene} | {steps} | {_figures(report.results)} |")
    return "\n".join(lines)


def _figures(results: Results | None) -> str:
    if results is None:
        return "- | - | - | - | -"
    counts = [results.instances.get(decision, 0) for decision in ("accepted", "given", "proposed")]
    return " | ".join([*map(str, counts), str(results.left_out), f"{results.labelled:.0%}"])
