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
  room:SEED[:FRAMES]   a synthetic room, walked through with a noisy depth camera and fused (200 frames)
  osd:PATH             Object Segmentation Database: mOSD's .pcd, or .npz with the table as instance 1
  agile3d:PATH         AGILE3D's layout, one object per file (see seg3d eval clicks)

found: masks of at least 100 points. true: objects of at least 100 points. recall50, precision50: matched by more than
half. Floor, walls, ceiling and table are background: with --background ignore they are no objects and masks mostly on
them no mistakes; with remove their points are taken away from truth and masks first; with count they are objects.
In files they are known by their name (.npz: instance_ids, instance_names); other files have none.

With --json the result of every scene is kept as it comes. The same command goes on where it was interrupted, and
another --protocol or --background is computed from the same file without segmenting again. Results of other settings
are refused; a changed program is not noticed: begin a new file.

examples:
  seg3d eval scenes room:0:100 room:1:100 --model graph --set graph.k=0.05 --json rooms.json
  seg3d eval scenes osd:OSD --protocol released --picture osd.png
"""


def add(commands: Any) -> None:
    """Describe the command to argparse."""
    evaluate = commands.add_parser("eval", help="accuracy on labelled scenes")
    what = evaluate.add_subparsers(title="what", dest="what", required=True)
    command = what.add_parser(
        "scenes",
        help="average precision of a segmenter",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("scenes", nargs="+", metavar="SCENE", help="what to segment, see above")
    command.add_argument("--model", help="segmenter; short for --set model=NAME (default: graph)")
    add_settings(command, _config_class, "graph.k=0.05")
    command.add_argument(
        "--protocol",
        choices=("scored", "released"),
        default="scored",
        help="scored: masks ranked by score, overlaps 0.50..0.95 (default); released: Segment3D's own evaluation, all "
        "scores 1, overlaps 0.50..0.90",
    )
    command.add_argument(
        "--background", choices=("ignore", "remove", "count"), default="ignore", help="see above (default: ignore)"
    )
    command.add_argument("--json", type=Path, metavar="FILE", help="keep results here and go on from it")
    command.add_argument(
        "--picture", type=Path, metavar="PNG", help="draw colours, truth and result; several scenes: PNG-SCENE each"
    )
    command.add_argument("--up", nargs=3, type=float, metavar=("X", "Y", "Z"), help="up in the pictures (scene's own)")
    command.set_defaults(run=_run)
    clicks.add(what)


def _config_class() -> Any:
    from seg3d_core.config import SegmentConfig

    return SegmentConfig


def _run(options: argparse.Namespace) -> int:
    from seg3d_core.evaluation.progress import Progress
    from seg3d_core.evaluation.report import identify, report
    from seg3d_core.evaluation.results_file import Results
    from seg3d_core.evaluation.runner import Evaluation, Pictures
    from seg3d_core.evaluation.scenes import find_scenes
    from seg3d_core.segmenter import make_segmenter

    config = settings_of(options, _config_class(), [f"model={options.model}"] if options.model else [])
    sources = find_scenes(options.scenes)
    results = Results.open(options.json, identify(config))
    pictures = Pictures(options.picture, tuple(options.up) if options.up else None) if options.picture else None
    evaluation = Evaluation(sources, make_segmenter(config), results, pictures)
    missing = evaluation.missing()
    progress = Progress(sys.stderr, len(sources), len(sources) - len(missing))
    try:
        evaluation.run(missing, progress)
    finally:
        progress.close()
    return report(results, [source.name for source in sources], options.protocol, options.background)
