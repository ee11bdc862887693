"""``seg3d eval``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from seg3d_core.cli import clicks
from seg3d_core.cli.settings import add_settings, settings_of

_HELP = """\
Segment labelled scenes and print how good the instances are: class-agnostic average precision (ScanNet's rule).

SCENE is
  FILE                 a cloud with instance ids: .ply, .pcd or .npz (instance_id or instance; 0 and -1: none)
  FOLDER               all such files in it
  FOLDER, scene:PATH   a scene folder (seg3d data), or a folder of them
  room:SEED[:FRAMES]   a synthetic room, walked through with a noisy depth camera and fused (200 frames)
  osd:PATH             Object Segmentation Database: mOSD's .pcd, or .npz with the table as instance 1
  agile3d:PATH         AGILE3D's layout, one object per file (see seg3d eval clicks)

MODEL is graph, a checkpoint of Segment3D, sam3d (2-D masks merged bottom-up; scene folders labelled by seg3d label
frames, --set sam3d.masks=NAME says which masks), point_sam_proposals, or nano, small, base (random weights).

found: masks of at least 100 points. true: objects of at least 100 points. recall50, precision50: matched by more than
half. Floor, walls, ceiling and table are background: with --background ignore they are no objects and masks mostly on
them no mistakes; with remove their points are taken away from truth and masks first; with count they are objects.
In files they are known by their name (.npz: instance_ids, instance_names); other files have none.

--postprocessing both evaluates networks with the released post-processing (clusters, superpoints; scores kept) and
without any, and sam3d with and without its ensemble with superpoints. --sweep evaluates at each value of a setting;
several sweeps are combined, and models that do not have the setting are evaluated once.

With --json (one model) or --out (any number) the result of every scene is kept as it comes. The same command goes on
where it was interrupted, and another --protocol or --background is computed from the same files without segmenting
again. Results of other settings are refused; a changed program is not noticed: begin a new file. --out FOLDER holds
tables.md, figures.csv, models.png, sweep-SETTING.png, and results/.

s: seconds of one segmentation (of sam3d with reading the images). --memory measures the peak beyond model and cloud,
each scene in a process of its own.

examples:
  seg3d eval scenes room:0:100 room:1:100 --model graph --set graph.k=0.05 --json rooms.json
  seg3d eval scenes osd:OSD --protocol released --picture osd.png
  seg3d eval scenes HELDOUT --models graph sam3d stage1.safetensors stage2.safetensors --postprocessing both --memory \\
      --out table1
  seg3d eval scenes HELDOUT --models stage2.safetensors --sweep num_queries 50 100 200 400 --out figure7
"""


def add(commands: Any) -> None:
    """Describe the command to argparse."""
    evaluate = commands.add_parser("eval", help="accuracy on labelled scenes")
    what = evaluate.add_subparsers(title="what", dest="what", required=True)
    command = what.add_parser(
        "scenes",
        help="average precision of segmenters",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("scenes", nargs="+", metavar="SCENE", help="what to segment, see above")
    models = command.add_mutually_exclusive_group()
    models.add_argument("--model", help="segmenter; short for --set model=NAME (default: graph)")
    models.add_argument("--models", nargs="+", metavar="MODEL", help="several, a row of the table each")
    add_settings(command, _config_class, "graph.k=0.05")
    _add_what(command)
    _add_where(command)
    command.set_defaults(run=_run)
    clicks.add(what)


def _add_what(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--postprocessing", choices=("with", "without", "both"), help="see above (default: as the settings are)"
    )
    command.add_argument(
        "--sweep",
        nargs="+",
        action="append",
        default=[],
        metavar=("SETTING", "VALUE"),
        help="evaluate at these values of a setting, for example num_queries 50 100 200; may be repeated",
    )
    command.add_argument(
        "--protocol",
        choices=("scored", "released", "both"),
        default="scored",
        help="scored: masks ranked by score, overlaps 0.50..0.95 (default); released: Segment3D's own evaluation, all "
        "scores 1, overlaps 0.50..0.90",
    )
    command.add_argument(
        "--background", choices=("ignore", "remove", "count"), default="ignore", help="see above (default: ignore)"
    )
    command.add_argument(
        "--level",
        choices=("instance", "part"),
        default="instance",
        help="what are objects in scene folders: things (default), or their parts",
    )
    command.add_argument("--memory", action="store_true", help="measure memory as well, see above")


def _add_where(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", type=Path, metavar="FILE", help="keep results of one model here and go on from it")
    command.add_argument("--out", type=Path, metavar="FOLDER", help="write tables and plots, keep results, see above")
    command.add_argument(
        "--picture",
        type=Path,
        metavar="PNG",
        help="draw colours, truth and the result of each model; several scenes: PNG-SCENE each",
    )
    command.add_argument("--up", nargs=3, type=float, metavar=("X", "Y", "Z"), help="up in the pictures (scene's own)")


def _config_class() -> Any:
    from seg3d_core.evaluation_config import EvaluationConfig

    return EvaluationConfig


def _run(options: argparse.Namespace) -> int:
    from seg3d_core.evaluation.progress import Progress
    from seg3d_core.evaluation.report import report
    from seg3d_core.evaluation.runner import Evaluation, Pictures
    from seg3d_core.evaluation.scenes import find_scenes

    contestants, entries = _contestants(options)
    sources = find_scenes(options.scenes, options.level)
    names = [source.name for source in sources]
    pictures = Pictures(options.picture, tuple(options.up) if options.up else None) if options.picture else None
    evaluation = Evaluation(sources, contestants, pictures)
    missing = evaluation.missing()
    progress = Progress(sys.stderr, len(sources), len(sources) - len(missing))
    try:
        evaluation.run(missing, progress)
    finally:
        progress.close()
    protocols = ("scored", "released") if options.protocol == "both" else (options.protocol,)
    code = report(entries, names, protocols, options.background)
    _write_out(options, [entry for entry in entries if entry.records(names)], names)
    return code


def _contestants(options: argparse.Namespace) -> tuple[list[Any], list[Any]]:
    """Models to run, and the same as entries of the report."""
    from functools import partial

    from seg3d_core.evaluation.models import make_model
    from seg3d_core.evaluation.peak_memory import peak_bytes
    from seg3d_core.evaluation.report import Entry, identify
    from seg3d_core.evaluation.results_file import Results
    from seg3d_core.evaluation.runner import Contestant
    from seg3d_core.evaluation.variants import find_sweep, make_variants

    models = options.models or [options.model or settings_of(options, _config_class()).model]
    variants = make_variants(models, [find_sweep(words) for words in options.sweep], options.postprocessing)
    paths = _result_paths(options, [variant.label for variant in variants])
    contestants, entries = [], []
    for variant, path in zip(variants, paths, strict=True):
        config = settings_of(options, _config_class(), variant.settings)
        results = Results.open(path, identify(config))
        memory = partial(peak_bytes, config) if options.memory else None
        contestants.append(Contestant(variant.label, make_model(config), results, memory))
        entries.append(Entry(variant.label, results, variant.model, variant.swept))
    return contestants, entries


def _result_paths(options: argparse.Namespace, labels: list[str]) -> list[Any]:
    from seg3d_core.errors import ConfigError
    from seg3d_core.evaluation.report_folder import make_results_folder, results_path

    if options.json is None and options.out is None:
        return [None] * len(labels)
    if options.json is None:
        make_results_folder(options.out)
        return [results_path(options.out, label) for label in labels]
    if options.out is not None or len(labels) > 1:
        raise ConfigError(f"--json {options.json} keeps one model alone: for several, --out FOLDER keeps each")
    return [options.json]


def _write_out(options: argparse.Namespace, entries: list[Any], names: list[str]) -> None:
    from seg3d_core.evaluation.report_folder import write_folder

    if options.out is not None and entries:
        paths = write_folder(options.out, entries, names, options.background)
        print(f"\n{', '.join(str(path) for path in paths)}")
