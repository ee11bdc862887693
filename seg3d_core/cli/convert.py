"""``seg3d convert``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from seg3d_core.errors import ConfigError
from seg3d_core.optional import import_with_torch

_HELP = """\
Write the network of a checkpoint as safetensors, with a card: widths, source and its SHA-256.

IN is one of
  Segment3D   a released Lightning checkpoint, a state dict of torch.save, or safetensors
  Point-SAM   safetensors, as released or as training writes them
Which of them it is, is seen by the names of its tensors; nothing in it is executed. Every tensor must be in its place:
otherwise the misfits are listed, nothing is written, and the exit code is 2. Of Point-SAM the tensors of the image
transformer that nothing computes with are dropped.

examples:
  seg3d convert segment3d.ckpt -o segment3d.safetensors
  seg3d convert point_sam_large.safetensors -o point_sam_half.safetensors --precision float16
"""


def add(commands: Any) -> None:
    """Describe the command to argparse."""
    command = commands.add_parser(
        "convert",
        help="a checkpoint as safetensors",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("file", metavar="IN", help="checkpoint to read")
    command.add_argument("-o", "--output", metavar="OUT", required=True, help=".safetensors file to write")
    command.add_argument(
        "--voxel-size-m",
        type=float,
        metavar="M",
        help="Segment3D: voxels it was trained with (default: what the card of IN says, else 0.02, as released ones)",
    )
    command.add_argument(
        "--precision",
        choices=("float32", "float16"),
        default="float32",
        help="number type in the file (default float32); float16 halves it, and is computed with in float32",
    )
    command.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    cards = import_with_torch("seg3d_core.checkpoints.cards", "seg3d convert")
    cards.check_network_target(options.output)
    point_sam = import_with_torch("seg3d_core.point_sam.saving", "seg3d convert")
    if Path(options.file).suffix == cards.SUFFIX and point_sam.is_point_sam(options.file):
        return _point_sam(point_sam, options)
    return _segment3d(options)


def _point_sam(saving: Any, options: argparse.Namespace) -> int:
    if options.voxel_size_m is not None:
        raise ConfigError(f"--voxel-size-m: {options.file} is of Point-SAM, which has no voxels")
    audit, card, beside = saving.convert(options.file, options.output, options.precision)
    print(f"Point-SAM, {audit}")
    print(f"{card.parameters / 1e6:.1f} M parameters, {card.precision}: {options.output}, card: {beside}")
    return 0


def _segment3d(options: argparse.Namespace) -> int:
    saving = import_with_torch("seg3d_core.segment3d.saving", "seg3d convert")
    network = import_with_torch("seg3d_core.segment3d.checkpoint", "seg3d convert").load_network(options.file)
    card = saving.card_of(network, options.file, options.voxel_size_m, precision=options.precision)
    beside = saving.save_network(options.output, network, card)
    print(f"{card.parameters / 1e6:.1f} M parameters, {card.precision}: {options.output}, card: {beside}")
    return 0
