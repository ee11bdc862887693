"""``seg3d propose``."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from seg3d_core.cli.settings import add_settings, settings_of

_HELP = """\
Segment everything with Point-SAM: click all over a cloud, keep the masks that the network thinks well of, and write
them as a cloud with an instance_id (0 = none) and a score (predicted IoU) for each point.

FILE and the output are .ply, .pcd or .npz; metres, z up. Colours are optional.
MODEL is nano (comes with the package, the default), a file of Point-SAM weights as released, or the name of an
untrained network (tiny, small, base, large, giant: for timing). Clouds of any size are looked at in tiles.

examples:
  seg3d propose room.ply -o proposals.ply --picture proposals.png
  seg3d propose room.ply -o proposals.ply --model point_sam.safetensors --set clicks=1024 --set point_sam.device=cuda
  seg3d propose street.ply -o proposals.ply --set voxel_size_m=0.1 --set overlap_m=3
"""

_ROWS = 20


def add(commands: Any) -> None:
    """Describe the command to argparse."""
    command = commands.add_parser(
        "propose",
        help="all masks that Point-SAM finds in a cloud file",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("file", metavar="FILE", help="cloud to segment: .ply, .pcd or .npz")
    command.add_argument("-o", "--output", metavar="OUT", required=True, help="labelled cloud to write")
    command.add_argument("--model", help="network; short for --set model=NAME (default: nano)")
    add_settings(command, _config_class, "clicks=512")
    command.add_argument("--picture", metavar="PNG", help="also draw true colours beside instance colours, two views")
    command.add_argument(
        "--up", nargs=3, type=float, default=(0.0, 0.0, 1.0), metavar=("X", "Y", "Z"), help="up in the picture (0 0 1)"
    )
    command.set_defaults(run=_run)


def _config_class() -> Any:
    from seg3d_core.point_sam_config import PointSamProposalsConfig

    return PointSamProposalsConfig


def _run(options: argparse.Namespace) -> int:
    from seg3d_core.data.cloud_files import check_target, read_cloud, write_cloud
    from seg3d_core.prompting import make_proposals

    config = settings_of(options, _config_class(), [f"model={options.model}"] if options.model else [])
    check_target(options.output)
    cloud = read_cloud(options.file)
    proposals = make_proposals(config)
    start = time.perf_counter()
    found = proposals.segment(cloud, _say)
    spent_s = time.perf_counter() - start
    write_cloud(options.output, found.cloud, found)
    labelled = (found.labels >= 0).mean() * 100
    print(_table(found))
    print(f"{len(found)} instances on {labelled:.0f} % of {len(cloud)} points, {spent_s:.1f} s: {options.output}")
    if options.picture:
        from seg3d_core.pictures import before_after, save_png

        save_png(options.picture, before_after(found.cloud, found, up=tuple(options.up)))
        print(f"picture: {options.picture}")
    return 0


def _say(done: int, total: int) -> None:
    """How many tiles are done; on a terminal in one line that goes when the last one is."""
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K" + (f"tile {done} of {total}" if done < total else ""))
        sys.stderr.flush()
    elif total > 1:
        print(f"tile {done} of {total}", file=sys.stderr)


def _table(found: Any) -> str:
    """The best instances: points, edges of the box along the axes, score."""
    lines = ["| id | points | size, m | predicted IoU |", "|---|---|---|---|"]
    for mask, score, number in list(zip(found.masks, found.scores, found.instance_ids, strict=True))[:_ROWS]:
        points = found.cloud.points[mask]
        size = " x ".join(f"{edge:.2f}" for edge in points.max(axis=0) - points.min(axis=0))
        lines.append(f"| {number} | {len(points)} | {size} | {score:.2f} |")
    hidden = len(found) - _ROWS
    return "\n".join([*lines, f"and {hidden} more"] if hidden > 0 else lines)
