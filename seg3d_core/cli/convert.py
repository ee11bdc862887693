"""``seg3d convert``."""

from __future__ import annotations

import argparse
from typing import Any

from seg3d_core.optional import import_with_torch

_HELP = """\
Write the network of a checkpoint as safetensors, with a card: widths, voxel size, source and its SHA-256.

IN is a released Lightning checkpoint, a state dict of torch.save, or safetensors; nothing in it is executed. Every
tensor must be in its place: otherwise the misfits are listed, nothing is written, and the exit code is 2.

example:
  seg3d convert segment3d.ckpt -o segment3d.safetensors
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
        help="voxels it was trained with (default: what the card of IN says, else 0.02, as released ones)",
    )
    command.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    saving = import_with_torch("seg3d_core.segment3d.saving", "seg3d convert")
    checkpoint = import_with_torch("seg3d_core.segment3d.checkpoint", "seg3d convert")
    saving.check_network_target(options.output)
    network = checkpoint.load_network(options.file)
    card = saving.card_of(network, options.file, options.voxel_size_m)
    beside = saving.save_network(options.output, network, card)
    print(f"{card.parameters / 1e6:.1f} M parameters: {options.output}, card: {beside}")
    return 0
