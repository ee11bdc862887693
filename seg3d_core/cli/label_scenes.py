"""``seg3d label scenes``."""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from typing import Any

from seg3d_core.cli.settings import add_settings, settings_of

_HELP = """\
Find 3-D masks in the fused clouds of scene folders with a network of the first stage and write them into the folders,
for the second stage to learn from: pseudo/NAME.npz. Masks are split into clusters and scored by confidence; the 150
best of a scene are kept, those with a score above 0.6 unless --set score_threshold says otherwise. (A lower one costs
little: training has a threshold of its own, data.min_score.)

--views MASKS lets the images judge: masks/MASKS of the frames (seg3d label frames) are merged to further candidates,
and every mask is scored by how well it fits the 2-D masks of the frames that see it, in place of its confidence (from
0.15 on). The best of each thing is kept. For scene folders with frames; 0.4 is then a good data.min_score.

SCENE is a scene folder (seg3d data) or a folder of them.

The same command goes on where it was interrupted; scenes that have masks of that name stay as they are, and masks of
one name come from one network. Under torchrun every process takes its share, each on a GPU of its own. Scenes that
cannot be read are told and counted; the exit code is then 1.

examples:
  seg3d label scenes rooms --checkpoint runs/stage1/best.safetensors --name stage1
  seg3d label scenes rooms --checkpoint best.safetensors --name stage1 --set score_threshold=0.3 --set device=cpu
  seg3d label scenes rooms --checkpoint best.safetensors --name seen --views segment-anything
"""


def add(what: Any) -> None:
    """Describe the command to argparse."""
    command = what.add_parser(
        "scenes",
        help="3-D masks of fused scenes, found by a network",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("scenes", nargs="+", metavar="SCENE", help="scene folder, or folder of scene folders")
    command.add_argument("--checkpoint", required=True, metavar="FILE", help="weights of the network")
    command.add_argument("--name", default="stage1", help="of the masks (default: stage1)")
    command.add_argument(
        "--views", default="", metavar="MASKS", help="2-D masks of the frames that judge (default: none)"
    )
    add_settings(command, _config_class, "score_threshold=0.3")
    command.set_defaults(run=_run)


def _config_class() -> Any:
    from seg3d_core.segment3d_config import Segment3DSettings

    return Segment3DSettings


def _run(options: argparse.Namespace) -> int:
    from seg3d_core.data.scenes import find_scene_folders
    from seg3d_core.labelling.jobs import Share
    from seg3d_core.optional import import_with_torch

    pseudo_masks = import_with_torch("seg3d_core.learning.segment3d.pseudo_masks", "labelling scenes")
    predictor = import_with_torch("seg3d_core.segment3d.predictor", "labelling scenes")
    share = Share.from_environment()
    settings = pseudo_masks.labelling_settings(settings_of(options, _config_class()), options.views)
    own = import_with_torch("seg3d_core.devices", "labelling scenes").own_device(
        settings.device, share.world, share.local_rank
    )
    checkpoint = Path(options.checkpoint)
    scenes = find_scene_folders(options.scenes)[share.rank :: share.world]
    model = predictor.Segment3D.from_checkpoint(checkpoint, settings.model_copy(update={"device": own}))
    source = pseudo_masks.teacher(checkpoint, settings, options.views)
    stream = sys.stderr if share.rank == 0 else io.StringIO()
    report = pseudo_masks.label_scenes(scenes, model, options.name, source, stream, options.views)
    words = f"{report.labelled} scenes labelled with {report.masks} masks, {report.kept} had masks before"
    if report.labelled and not report.masks:
        words += ": the network is sure of none, see score_threshold"
    print(f"process {share.rank}: {words}" if share.world > 1 else words)
    return 1 if report.failed else 0
