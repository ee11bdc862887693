"""``seg3d label``."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from seg3d_core.cli import label_scenes
from seg3d_core.cli.settings import add_settings, settings_of

_FRAMES_HELP = """\
Find 2-D masks in the frames of scene folders and write them into the folders: masks/NAME/NNNNNN.png, 16 bits, one
number per pixel, 65535 where there is no mask.

SCENE is a scene folder (seg3d data) or a folder of them. SOURCE is
  segment-anything   its automatic mask generator; weights with --checkpoint FILE (vit_h, vit_l or vit_b)
  sam2               SAM 2's, where it is installed; weights with --checkpoint FILE
  graph              graph segmentation of colour and depth: no weights, no GPU
  truth              the known instances of synthetic rooms, degraded to look like segment-anything's masks

The same command goes on where it was interrupted, whatever ended it. Several processes may label the same scenes: none
takes a frame that another one has. Under torchrun every process takes its share, each on a GPU of its own. With --ray
a cluster does it; the scenes must then be where every machine finds them.

Frames that cannot be read or labelled are tried once more, then counted and told; the exit code is then 1.

examples:
  seg3d label frames rooms --source truth
  seg3d label frames scans --source segment-anything --checkpoint sam_vit_h_4b8939.pth --set every=25
  torchrun --nproc-per-node 8 -m seg3d_core label frames scans --source segment-anything --checkpoint vit_h.pth
  seg3d label frames scans --source graph --ray local
"""


def add(commands: Any) -> None:
    """Describe the command to argparse."""
    label = commands.add_parser("label", help="masks for training, without anybody drawing them")
    what = label.add_subparsers(title="what", dest="what", required=True)
    _add_frames(what)
    label_scenes.add(what)


def _add_frames(what: Any) -> None:
    command = what.add_parser(
        "frames",
        help="2-D masks of the frames of scenes",
        description=_FRAMES_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("scenes", nargs="+", metavar="SCENE", help="scene folder, or folder of scene folders")
    command.add_argument("--source", help="short for --set source=SOURCE (default: graph)")
    command.add_argument("--name", help="short for --set name=NAME: folder of the masks (default: the source's name)")
    command.add_argument("--checkpoint", metavar="FILE", help="weights of segment-anything or sam2")
    command.add_argument("--ray", metavar="ADDRESS", help="label on a Ray cluster; local: one of two workers, here")
    add_settings(command, _frames_config_class, "every=25")
    command.set_defaults(run=_run_frames)


def _frames_config_class() -> Any:
    from seg3d_core.labelling.settings import LabelFramesConfig

    return LabelFramesConfig


def _run_frames(options: argparse.Namespace) -> int:
    from seg3d_core.data.scenes import find_scene_folders
    from seg3d_core.labelling.jobs import Share
    from seg3d_core.labelling.run import Outcome, label_frames, todo
    from seg3d_core.labelling.workforce import choose_workforce

    config = settings_of(options, _frames_config_class(), _short_options(options))
    if options.checkpoint:
        config = config.with_checkpoint(options.checkpoint)
    share = Share.from_environment()
    missing, kept = todo(config, find_scene_folders(options.scenes), share)
    outcome = Outcome(kept, (), False)
    if missing:
        workforce = choose_workforce(config, options.ray, share)
        outcome = label_frames(workforce, missing, kept, config.retries, sys.stderr if share.rank == 0 else None)
    print(f"process {share.rank}: {outcome.words()}" if share.world > 1 else outcome.words())
    if outcome.interrupted:
        return 130
    return 1 if outcome.failures else 0


def _short_options(options: argparse.Namespace) -> list[str]:
    """What --source and --name say, as settings."""
    return [f"{name}={json.dumps(value)}" for name in ("source", "name") if (value := getattr(options, name))]
