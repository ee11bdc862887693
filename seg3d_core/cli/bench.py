"""``seg3d bench``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from seg3d_core.cli.settings import add_settings, settings_of

_HELP = """\
Measure a model on this machine: milliseconds of every stage, peak memory, and what part of the machine's own peak its
arithmetic reaches, on rendered rooms of several sizes. On a CPU point-sam also compares with peers, both by
turns, after a look whether their results are equal: groups of points with plain PyTorch, encoder and clicks on the
smallest cloud with plain modules and encoding again (not for Voronoi cells), and a click in a map of 2 million points
with the same click on its surroundings alone.

examples:
  seg3d bench segment3d
  seg3d bench segment3d --model nano --voxels 20000 50000 --threads 1 --plot bench.png
  seg3d bench segment3d --set segment3d.device=cuda --set segment3d.precision=float16
  seg3d bench point-sam
  seg3d bench point-sam --model large --points 10000 --threads 2
  seg3d bench point-sam --no-peers
"""


def add(commands: Any) -> None:
    """Describe the command to argparse."""
    command = commands.add_parser(
        "bench",
        help="how fast a model is on this machine",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    families = command.add_subparsers(dest="what", required=True, metavar="FAMILY")
    segment3d = families.add_parser("segment3d", help="instances of whole scenes")
    _add_options(segment3d, "base", "voxels", (20_000, 50_000, 150_000, 500_000))
    add_settings(segment3d, _segment_config, "segment3d.device=cuda")
    segment3d.set_defaults(run=_run_segment3d)
    point_sam = families.add_parser("point-sam", help="objects that are clicked on")
    _add_options(point_sam, "nano", "points", (10_000, 100_000))
    point_sam.add_argument(
        "--no-peers", action="store_true", help="only the stages: compare with nothing (saves a minute or two)"
    )
    add_settings(point_sam, _prompt_config, "point_sam.device=cuda")
    point_sam.set_defaults(run=_run_point_sam)


def _add_options(command: argparse.ArgumentParser, model: str, unit: str, sizes: tuple[int, ...]) -> None:
    command.add_argument("--model", default=model, help=f"preset or checkpoint (default {model})")
    command.add_argument(
        f"--{unit}", dest="sizes", nargs="+", type=_positive, default=sizes, metavar="N", help="sizes of the clouds"
    )
    command.add_argument(
        "--threads", type=_positive, default=0, metavar="N", help="of PyTorch (default: its own choice)"
    )
    command.add_argument(
        "--repeats", type=_positive, default=3, metavar="N", help="runs whose median counts (default 3)"
    )
    command.add_argument("--json", type=Path, metavar="FILE", help="also write all figures as JSON")
    command.add_argument("--plot", type=Path, metavar="FILE", help="also draw them (.png, .svg or .pdf)")


def _segment_config() -> Any:
    from seg3d_core.config import SegmentConfig

    return SegmentConfig


def _prompt_config() -> Any:
    from seg3d_core.point_sam_config import PromptModelConfig

    return PromptModelConfig


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is below 1")
    return value


def _run_segment3d(options: argparse.Namespace) -> int:
    settings = settings_of(options, _segment_config(), [f"model={options.model}"]).segment3d
    from seg3d_core.benchmark.segment3d import Plan, measure
    from seg3d_core.segment3d_config import SEGMENT3D_PRESETS

    measured = _measured(options, measure, Plan(options.model, settings, options.threads, options.repeats))
    _report(options, measured)
    _write(options, measured)
    if options.model in SEGMENT3D_PRESETS:
        print("\nWeights are random: masks of noise take longer to make instances of than those of objects do.")
    return 0


def _run_point_sam(options: argparse.Namespace) -> int:
    config = settings_of(options, _prompt_config(), [f"model={options.model}"])
    from seg3d_core.benchmark.point_sam import Plan, measure

    measured = _measured(options, measure, Plan(config, options.threads, options.repeats))
    _report(options, measured)
    print("\nclick saves: how many times longer it would take with the cloud encoded again, as the original does.")
    interrupted = len(measured) < len(options.sizes)
    compared = [] if options.no_peers or interrupted else _compared(options, config)
    if compared:
        from seg3d_core.benchmark.by_turns import table

        print(f"\n{table(compared)}\n\npeer / ours: how many times longer the peer takes, with equal results.")
    _write(options, measured, compared)
    return 0


def _compared(options: argparse.Namespace, config: Any) -> list[Any]:
    """Comparisons with peers, or those before an interruption; none where the network is not on a CPU."""
    from seg3d_core.benchmark import point_sam_peers
    from seg3d_core.devices import choose_device

    device = choose_device(config.point_sam.device)
    if device.type != "cpu":
        print(f"\nPeers are compared with on a CPU only (--set point_sam.device=cpu), the network is on {device}.")
        return []
    compared: list[Any] = []
    pairs = point_sam_peers.peer_pairs(config, min(options.sizes), point_sam_peers.SIZES)
    try:
        with point_sam_peers.timed_conditions(options.threads), closing(pairs):
            for pair in pairs:
                print(f"{pair.name} against {pair.peer} ...", end=" ", flush=True, file=sys.stderr)
                compared.append(pair.compared(options.repeats))
                print(f"{compared[-1].ratio:.2f}x", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted: the table has what was compared until now", file=sys.stderr)
    return compared


def _measured(options: argparse.Namespace, measure: Callable[[Any, int], Any], plan: Any) -> list[Any]:
    """Measurements of all sizes, or of those before an interruption."""
    from seg3d_core.benchmark.processes import measure_all

    measured: list[Any] = []
    unit = "voxels" if options.what == "segment3d" else "points"
    try:
        for size in sorted(options.sizes):
            print(f"{size:,} {unit} ...", end=" ", flush=True, file=sys.stderr)
            measured += measure_all(measure, plan, [size])
            print(f"{measured[-1].total_ms:.0f} ms", file=sys.stderr)
    except KeyboardInterrupt:
        if not measured:
            raise
        print("interrupted: the table has what was measured until now", file=sys.stderr)
    return measured


def _report(options: argparse.Namespace, measured: Sequence[Any]) -> None:
    from seg3d_core.benchmark import report

    family = measured[0].family
    print(f"{family} {options.model} on {report.heading(measured[-1])}\n\n{report.table(measured)}")


def _write(options: argparse.Namespace, measured: Sequence[Any], compared: Sequence[Any] = ()) -> None:
    """The files asked for."""
    from seg3d_core.benchmark import report

    if options.json:
        report.write_json(options.json, [*measured, *compared])
        print(f"\nfigures: {options.json}")
    if options.plot:
        report.write_plot(options.plot, measured, f"{measured[0].family} {options.model}, {measured[0].how}")
        print(f"picture: {options.plot}")
