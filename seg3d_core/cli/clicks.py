"""``seg3d eval clicks``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from seg3d_core.cli.settings import add_settings, settings_of

_HELP = """\
Click on every labelled object as a careful person would, and print how good the mask is after each click: IoU@1..k in
percent, of every scene, as mean over objects and as mean over scenes.

SPEC is
  FILE                 a cloud with instance ids: .ply, .pcd or .npz (instance_id or instance; 0 and -1: none)
  FOLDER               all such files in it
  room:SEED[:FRAMES]   a synthetic room, walked through with a noisy depth camera and fused (200 frames)
  osd:PATH             Object Segmentation Database: mOSD's .pcd, or .npz with the table as instance 1
  agile3d:PATH         one object per file with its surroundings: binary PLY with x y z R G B label, label > 0 on the
                       object, as AGILE3D publishes S3DIS and KITTI-360; bring ScanObjectNN and PartNet-Mobility into
                       this layout. A scene of the means is all files with the same name up to the first "_".

Protocol (Point-SAM's): click 1 is the deepest point of the object, farthest from all points that are not of it. The
model answers with three masks; the one it puts first (--set point_sam.selection=predicted_iou or stability) counts,
"best of 3" says what the best would have been. Each further click is the deepest point of what is missing (a click on
the object) or of what is superfluous (beside it), whichever is deeper; of equals, beside. All clicks so far and the
logits of the last mask go in, one mask comes out. Floor, walls, ceiling and table are no objects. Objects of fewer
than --min-points points (25; agile3d: 1), and those that are all of their cloud, are skipped and counted. Clouds are
shown as they are, but for OSD's, which are turned so that the table's normal points up.

Large clouds are answered from a crop around the clicks: --set scene.mode=crop, whole, or auto (the default).
Ctrl-C prints what is done. Exit code 2 when a scene could not be used.

examples:
  seg3d eval clicks --data osd:OSD --csv osd.csv --plot osd.png --picture worst
  seg3d eval clicks --data room:10 room:11 --set scene.mode=whole
  seg3d eval clicks --data agile3d:S3DIS/single/crops --model point_sam_large.safetensors --compare s3dis
"""


def add(what: Any) -> None:
    """Describe the command to the parser of ``seg3d eval``."""
    command = what.add_parser(
        "clicks",
        help="overlap after 1, 2, ... clicks of a promptable model",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--data", nargs="+", required=True, metavar="SPEC", help="what to click on, see above")
    command.add_argument("--model", help="short for --set model=NAME: nano (default), a preset, or a file of weights")
    command.add_argument("--clicks", type=_positive, default=10, metavar="K", help="on each object (default 10)")
    command.add_argument("--min-points", type=_positive, metavar="N", help="smaller objects are skipped, see above")
    add_settings(command, _config_class, "scene.mode=whole")
    command.add_argument(
        "--compare",
        choices=("partnet_mobility", "scanobjectnn", "s3dis", "kitti360"),
        help="put the paper's figures of this data set beside ours",
    )
    command.add_argument("--csv", type=Path, metavar="FILE", help="write a row for each object")
    command.add_argument("--plot", type=Path, metavar="FILE", help="draw IoU over clicks (.png, .svg or .pdf)")
    command.add_argument(
        "--picture",
        type=Path,
        metavar="DIR",
        help="draw the worst object of each scene: found green, superfluous pink, missing blue, clicks orange (on the "
        "object) and dark red (beside it)",
    )
    command.set_defaults(run=_run)


def _config_class() -> Any:
    from seg3d_core.point_sam_config import PromptModelConfig

    return PromptModelConfig


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is below 1")
    return value


def _run(options: argparse.Namespace) -> int:
    from seg3d_core.evaluation.click_pictures import WorstObjects
    from seg3d_core.evaluation.click_runner import ClickEvaluation, ClickPlan
    from seg3d_core.evaluation.progress import Progress
    from seg3d_core.evaluation.scenes import find_scenes
    from seg3d_core.prompting import make_prompt_model

    config = settings_of(options, _config_class(), [f"model={options.model}"] if options.model else [])
    for path in (options.csv, options.plot):
        _check_folder(path)
    sources = find_scenes(options.data)
    plan = ClickPlan(options.clicks, options.min_points, config.point_sam.up)
    evaluation = ClickEvaluation(make_prompt_model(config), plan)
    pictures = WorstObjects(options.picture) if options.picture else None
    evaluation.show = pictures or evaluation.show
    progress = Progress(sys.stderr, len(sources), load_share=1.0)
    code = 0
    try:
        evaluation.run(sources, progress)
    except KeyboardInterrupt:
        code = 130
    finally:
        progress.close()
    code = _report(evaluation, options, config, code)
    if pictures:
        pictures.draw()
    return code


def _report(evaluation: Any, options: argparse.Namespace, config: Any, code: int) -> int:
    from seg3d_core.evaluation.click_records import write_csv
    from seg3d_core.evaluation.click_report import format_clicks, format_skipped, write_plot

    records = evaluation.records
    if code:
        print("interrupted: what follows is of the objects that were done until now", file=sys.stderr)
    if records:
        print(f"{evaluation.model.description}; scene.mode {config.scene.mode}; best by {config.point_sam.selection}\n")
        print(format_clicks(records, options.compare))
    if evaluation.skipped:
        print(f"\n{format_skipped(evaluation.skipped)}")
    if options.csv and records:
        write_csv(options.csv, records)
        print(f"\nobjects: {options.csv}")
    if options.plot and records:
        write_plot(options.plot, records, f"{Path(config.model).name}, scene.mode {config.scene.mode}", options.compare)
        print(f"plot: {options.plot}")
    for name, message in evaluation.failures.items():
        print(f"seg3d: {name}: {message}", file=sys.stderr)
    return code or (2 if evaluation.failures or not records else 0)


def _check_folder(path: Path | None) -> None:
    """See before hours of clicking whether a file could be written."""
    from seg3d_core.errors import InputError

    if path is not None and (path.is_dir() or not path.parent.is_dir()):
        raise InputError(f"cannot write {path}: {'it is a folder' if path.is_dir() else 'its folder does not exist'}")
