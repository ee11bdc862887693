"""``seg3d train``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from seg3d_core.cli.settings import add_settings, settings_of

_HELP = """\
Train a network. Everything lands in one folder: the settings, log.csv and curves.png of the validation, the weights
with the best validation (best.safetensors) and the last ones (last.safetensors), and a checkpoint (last.pt).

The same command goes on where it was interrupted, and ends as if it had not been: one Ctrl-C finishes the step and
saves.

example:
  seg3d train point-sam --config training/point_sam_nano.yaml --folder runs/nano --set steps=2000
"""


def add(commands: Any) -> None:
    """Describe the command to argparse."""
    train = commands.add_parser("train", help="train a network")
    what = train.add_subparsers(title="what", dest="what", required=True)
    command = what.add_parser(
        "point-sam",
        help="a network that answers clicks, from synthetic rooms",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--folder", type=Path, required=True, help="where everything lands")
    add_settings(command, _config_class, "steps=2000")
    command.set_defaults(run=_run_point_sam)


def _config_class() -> Any:
    from seg3d_core.learning.point_sam.settings import PointSamTrainingConfig

    return PointSamTrainingConfig


def _run_point_sam(options: argparse.Namespace) -> int:
    from seg3d_core.optional import import_with_torch

    recipe = import_with_torch("seg3d_core.learning.point_sam.recipe", "training")
    config = settings_of(options, _config_class())
    return 0 if recipe.train(config, options.folder) else 130
