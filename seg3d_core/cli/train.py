"""``seg3d train``."""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path
from typing import Any

from seg3d_core.cli.settings import add_settings, settings_of

_HELP = """\
Train a network. Everything lands in one folder: the settings, log.csv and curves.png of the validation, the weights
with the best validation (best.safetensors) and the last ones (last.safetensors), and a checkpoint (last.pt).

The same command goes on where it was interrupted, and ends as if it had not been: one Ctrl-C finishes the step and
saves.
"""

_POINT_SAM = """
example:
  seg3d train point-sam --config training/point_sam_nano.yaml --folder runs/nano --set steps=2000
"""

_STAGE_1 = """
Stage 1 learns from masks of single RGB-D images (seg3d label frames), no label of any person among them.

examples:
  seg3d train stage1 --config training/segment3d_nano_stage1.yaml --folder runs/stage1 \\
      --set scenes=[data/rooms] --set held_out=[data/held_out]
  torchrun --nproc-per-node 8 -m seg3d_core train stage1 --config ... --folder ...
"""

_STAGE_2 = """
Stage 2 learns from what stage 1 is sure of on whole scenes (seg3d label scenes), and starts from its weights.

example:
  seg3d train stage2 --config training/segment3d_nano_stage2.yaml --folder runs/stage2 \\
      --set start_from=runs/stage1/best.safetensors --set scenes=[data/rooms] --set held_out=[data/held_out]
"""

_FINETUNE = """
Fine-tuning goes on from a checkpoint for a few hundred steps at a low rate, on scenes that people have corrected (seg3d
relabel): their instances are the truth. Network, voxels and superpoints are as the checkpoint's card says. --rehearse
mixes in other scenes, for example with the pseudo masks that the checkpoint came from, as --rehearse-share of all.

It refuses to forget: average precision on --held-out is printed before and after. Where it falls by more than
--tolerance, the weights are called forgot.safetensors instead of finetuned.safetensors, and the exit code is 1.

example:
  seg3d train finetune --from stage2.safetensors --scenes corrected/kitchen --held-out data/held_out \\
      --rehearse data/rooms --rehearse-targets stage1 --folder runs/kitchen
"""


def add(commands: Any) -> None:
    """Describe the command to argparse."""
    train = commands.add_parser("train", help="train a network")
    what = train.add_subparsers(title="what", dest="what", required=True)
    clicks = _command(what, "point-sam", "a network that answers clicks, from synthetic rooms", _POINT_SAM)
    add_settings(clicks, _point_sam_config, "steps=2000")
    clicks.set_defaults(run=_run_point_sam)
    for stage, sentence, examples in (
        (1, "a network that segments scenes, from masks of RGB-D images", _STAGE_1),
        (2, "the same, from what it is sure of on whole scenes", _STAGE_2),
    ):
        command = _command(what, f"stage{stage}", sentence, examples)
        add_settings(command, _segment3d_config, "steps=2000")
        command.set_defaults(run=_run_segment3d, stage=stage)
    _add_finetune(what)


def _add_finetune(what: Any) -> None:
    command = _command(what, "finetune", "a network that segments scenes, on a few corrected scenes", _FINETUNE)
    command.add_argument("--from", dest="start", type=Path, required=True, metavar="CHECKPOINT", help="where it begins")
    command.add_argument("--scenes", nargs="+", required=True, metavar="SCENE", help="corrected scene folders")
    command.add_argument("--held-out", nargs="+", required=True, metavar="SCENE", help="scenes that judge; see above")
    command.add_argument("--rehearse", nargs="+", default=[], metavar="SCENE", help="scenes to learn beside them")
    command.add_argument(
        "--rehearse-targets", default="instance", metavar="NAME", help="of pseudo/ (default: instance)"
    )
    command.add_argument("--rehearse-share", type=float, default=0.5, metavar="0..1", help="of clouds (default: 0.5)")
    command.add_argument("--tolerance", type=float, default=0.02, metavar="AP", help="AP may fall so (default: 0.02)")
    add_settings(command, _segment3d_config, "steps=500")
    command.set_defaults(run=_run_finetune)


def _command(what: Any, name: str, sentence: str, examples: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = what.add_parser(
        name, help=sentence, description=_HELP + examples, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command.add_argument("--folder", type=Path, required=True, help="where everything lands")
    return command


def _point_sam_config() -> Any:
    from seg3d_core.learning.point_sam.settings import PointSamTrainingConfig

    return PointSamTrainingConfig


def _segment3d_config() -> Any:
    from seg3d_core.learning.segment3d.settings import Segment3DTrainingConfig

    return Segment3DTrainingConfig


def _run_point_sam(options: argparse.Namespace) -> int:
    from seg3d_core.optional import import_with_torch

    recipe = import_with_torch("seg3d_core.learning.point_sam.recipe", "training")
    config = settings_of(options, _point_sam_config())
    return 0 if recipe.train(config, options.folder) else 130


def _run_segment3d(options: argparse.Namespace) -> int:
    from seg3d_core.errors import ConfigError
    from seg3d_core.optional import import_optional, import_with_torch

    import_with_torch("torch", "training")
    import_optional("lightning_fabric", "training", "lightning-fabric")
    recipe = importlib.import_module("seg3d_core.learning.segment3d.recipe")
    config = settings_of(options, _segment3d_config())
    if config.stage != options.stage:
        raise ConfigError(f"stage = {config.stage}: these settings are not of stage {options.stage}")
    return 0 if recipe.train(config, options.folder) else 130


def _run_finetune(options: argparse.Namespace) -> int:
    from seg3d_core.optional import import_optional, import_with_torch

    import_with_torch("torch", "training")
    import_optional("lightning_fabric", "training", "lightning-fabric")
    finetune = importlib.import_module("seg3d_core.learning.segment3d.finetune")
    given = [f"scenes={json.dumps(options.scenes)}", f"held_out={json.dumps(options.held_out)}"]
    given += [f"data.rehearsal.scenes={json.dumps(options.rehearse)}"]
    given += [f"data.rehearsal.targets={options.rehearse_targets}", f"data.rehearsal.share={options.rehearse_share}"]
    if options.config is None:
        options.settings = [*finetune.DEFAULTS, *options.settings]
    config = settings_of(options, _segment3d_config(), [*finetune.settings_of_checkpoint(options.start), *given])
    done = finetune.finetune(config, options.folder, options.tolerance)
    if done is None:
        return 130
    print(finetune.format_comparison(done, config.held_out))
    return 1 if done.forgot else 0
