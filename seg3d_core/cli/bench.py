"""``seg3d bench``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from seg3d_core.cli.settings import add_settings, settings_of

_HELP = """\
Measure a model on this machine: milliseconds of every stage, peak memory, and what part of the machine's own peak the
backbone reaches, on rendered rooms of several sizes.

examples:
  seg3d bench segment3d
  seg3d bench segment3d --model nano --voxels 20000 50000 --threads 1 --plot bench.png
  seg3d bench segment3d --set segment3d.device=cuda --set segment3d.precision=float16
"""

_SIZES = (20_000, 50_000, 150_000, 500_000)


def add(commands: Any) -> None:
    """Describe the command to argparse."""
    command = commands.add_parser(
        "bench",
        help="how fast a model is on this machine",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("what", choices=("segment3d",), help="the family of models")
    command.add_argument("--model", default="base", help="preset or checkpoint (default base)")
    command.add_argument("--voxels", nargs="+", type=_positive, default=_SIZES, metavar="N", help="sizes of the clouds")
    command.add_argument(
        "--threads", type=_positive, default=0, metavar="N", help="of PyTorch (default: its own choice)"
    )
    command.add_argument(
        "--repeats", type=_positive, default=3, metavar="N", help="runs whose median counts (default 3)"
    )
    add_settings(command, _config_class, "segment3d.device=cuda")
    command.add_argument("--json", type=Path, metavar="FILE", help="also write all figures as JSON")
    command.add_argument("--plot", type=Path, metavar="FILE", help="also draw them (.png, .svg or .pdf)")
    command.set_defaults(run=_run)


def _config_class() -> Any:
    from seg3d_core.config import SegmentConfig

    return SegmentConfig


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is below 1")
    return value


def _run(options: argparse.Namespace) -> int:
    settings = settings_of(options, _config_class(), [f"model={options.model}"]).segment3d
    from seg3d_core.benchmark import report
    from seg3d_core.benchmark.segment3d import Measurement, Plan, measure_all
    from seg3d_core.config import SEGMENT3D_PRESETS

    plan = Plan(options.model, settings, options.threads, options.repeats)
    measured: list[Measurement] = []
    try:
        for size in sorted(options.voxels):
            print(f"{size:,} voxels ...", end=" ", flush=True, file=sys.stderr)
            measured += measure_all(plan, [size])
            print(f"{measured[-1].total_ms:.0f} ms", file=sys.stderr)
    except KeyboardInterrupt:
        if not measured:
            raise
        print("interrupted: the table has what was measured until now", file=sys.stderr)
    print(f"Segment3D {options.model} on {report.heading(measured[-1])}\n\n{report.table(measured)}")
    if options.model in SEGMENT3D_PRESETS:
        print("\nWeights are random: masks of noise take longer to make instances of than those of objects do.")
    if options.json:
        report.write_json(options.json, measured)
        print(f"\nfigures: {options.json}")
    if options.plot:
        report.write_plot(options.plot, measured, f"Segment3D {options.model}, {measured[-1].engine}")
        print(f"picture: {options.plot}")
    return 0
