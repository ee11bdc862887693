"""``seg3d download``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

_HELP = """\
Fetch weights that were released with a paper, from where their authors put them, and check them.

point-sam   Point-SAM ViT-L (arXiv 2406.17741), point_sam_large.safetensors, 1.24 GB, from Hugging Face.
            Size and SHA-256 are known: another file is refused.
segment3d   Segment3D (arXiv 2312.17232), segment3d.ckpt, from Google Drive. Its authors published neither size nor
            checksum: both are printed, and nobody can say whether they are right.

A download that was interrupted goes on where it stopped: give the same command again. A file that is there already is
checked, not fetched. Licences are the authors'.

Without a network: fetch the file on another machine as the message says, copy it to the folder, and give the same
command again to check it.

examples:
  seg3d download point-sam --to weights
  seg3d download segment3d && seg3d convert segment3d.ckpt -o segment3d.safetensors
"""

_USE = {
    "point-sam": "seg3d prompt CLOUD --click X Y Z -o mask.ply --model {path}",
    "segment3d": "seg3d segment CLOUD -o instances.ply --model {path}",
}


def add(commands: Any) -> None:
    """Describe the command to argparse."""
    command = commands.add_parser(
        "download",
        help="released weights",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("what", choices=tuple(_USE), help="whose weights")
    command.add_argument("--to", type=Path, default=Path(), metavar="DIR", help="folder (default: this one)")
    command.add_argument("--url", metavar="URL", help="another address of the same file, for example a mirror")
    command.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from seg3d_core.download.fetch import fetch
    from seg3d_core.download.progress import ByteProgress
    from seg3d_core.download.released import RELEASED

    released = RELEASED[options.what]
    progress = ByteProgress(sys.stderr)
    try:
        fetched = fetch(released, options.to, options.url, progress)
    finally:
        progress.close()
    print(f"{fetched.path}: {'was there already, ' if fetched.was_here else ''}{fetched.size:,} bytes")
    print(f"sha256 {fetched.sha256}: {_verdict(fetched.is_verified)}")
    print(f"use it: {_USE[options.what].format(path=fetched.path)}")
    return 0


def _verdict(is_verified: bool) -> str:
    return "the released file" if is_verified else "UNVERIFIED, no checksum was published to compare it with"
