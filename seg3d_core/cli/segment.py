"""``seg3d segment``."""

from __future__ import annotations

import argparse
import time
from typing import Any

from seg3d_core.cli.settings import add_settings, settings_of

_HELP = """\
Find all instances of one cloud and write them as a cloud with an instance_id (0 = none) and a score for each point.

FILE and the output are .ply, .pcd or .npz; metres, z up. Colours are optional.
MODEL is nano (Segment3D in small, the default), graph (geometric: no weights, no PyTorch), a checkpoint of Segment3D
(released, or written by seg3d convert), or the size of an untrained network (small, base: for timing).

examples:
  seg3d segment room.ply -o instances.ply --picture instances.png
  seg3d segment room.ply -o parts.ply --model graph --set graph.k=0.01 --set graph.max_border_bend=0.02
  seg3d segment room.ply -o instances.ply --model segment3d.safetensors --set segment3d.device=cpu
"""


def add(commands: Any) -> None:
    """Describe the command to argparse."""
    command = commands.add_parser(
        "segment",
        help="instances of a cloud file",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("file", metavar="FILE", help="cloud to segment: .ply, .pcd or .npz")
    command.add_argument("-o", "--output", metavar="OUT", required=True, help="labelled cloud to write")
    command.add_argument("--model", help="segmenter; short for --set model=NAME (default: nano)")
    add_settings(command, _config_class, "graph.k=0.05")
    command.add_argument("--picture", metavar="PNG", help="also draw true colours beside instance colours, two views")
    command.add_argument(
        "--up", nargs=3, type=float, default=(0.0, 0.0, 1.0), metavar=("X", "Y", "Z"), help="up in the picture (0 0 1)"
    )
    command.set_defaults(run=_run)


def _config_class() -> Any:
    from seg3d_core.config import SegmentConfig

    return SegmentConfig


def _run(options: argparse.Namespace) -> int:
    from seg3d_core.data.cloud_files import check_target, read_cloud, write_cloud
    from seg3d_core.segmenter import make_segmenter

    config = settings_of(options, _config_class(), [f"model={options.model}"] if options.model else [])
    check_target(options.output)
    cloud = read_cloud(options.file)
    segmenter = make_segmenter(config)
    start = time.perf_counter()
    instances = segmenter.segment(cloud)
    spent_ms = (time.perf_counter() - start) * 1e3
    write_cloud(options.output, instances.cloud, instances)
    labelled = (instances.labels >= 0).mean() * 100
    print(
        f"{len(instances)} instances on {labelled:.0f} % of {len(instances.cloud)} points, "
        f"{spent_ms:.0f} ms: {options.output}"
    )
    if instances.degraded:
        print(f"degraded: {instances.degraded}")
    if options.picture:
        from seg3d_core.pictures import before_after, save_png

        save_png(options.picture, before_after(instances.cloud, instances, up=tuple(options.up)))
        print(f"picture: {options.picture}")
    return 0
