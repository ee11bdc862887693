"""``seg3d bags``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seg3d_core.data.bag_info import BagInfo, TopicInfo
    from seg3d_core.recording.prompt_replay import ReplayedObject
    from seg3d_core.recording.repair_file import RepairedFile

_INFO_HELP = """\
Say what is in recordings: topics with their rates and gaps, how many images and clouds have a pose, what was clicked,
and what is wrong. BAG is a rosbag2 folder, an .mcap or a .db3 file. The exit code is 2 if one cannot be read.
"""

_REPAIR_HELP = """\
Make recordings readable again whose recorder was killed: everything up to the last piece that reached the disk. The
files are changed in place, whole ones are left as they are, and it may be done again. BAG is a folder or an .mcap file.
"""

_RUN_HELP = """\
Segment a recording: OUT holds all that BAG holds, and instances on /seg3d/instance_cloud, with the time, the stamp and
the frame of the cloud that they are in. Clouds are segmented as they were recorded. Where there are none, images are
fused with the poses of tf or camera_pose, and the growing cloud (/seg3d/cloud) is segmented every publish_period_s.
The same command gives the same result every time. The exit code is 2 if a cloud could not be segmented.

examples:
  seg3d bags run walk.mcap -o walk_segmented
  seg3d bags run walk -o found --model segment3d.safetensors --set cloud_topic=/rtabmap/cloud_map
"""

_REPLAY_HELP = """\
Ask another model everything that was asked while BAG was recorded, and compare: for each object that was accepted, the
IoU of its mask with the model's. The recording needs the clouds that were clicked on, the prompts, and prompt_node's
accepted instances; with its actions, what was undone is undone, and rejected objects are dropped.

example:
  seg3d bags replay-prompts session --model runs/finetuned/best.safetensors
"""


def add(commands: Any) -> None:
    """Describe the command to argparse."""
    from seg3d_core.cli.data import add_import

    bags = commands.add_parser("bags", help="rosbag2 recordings: what is in them, scenes of them, repair")
    what = bags.add_subparsers(title="what", dest="what", required=True)
    _add(what, "info", "what is in recordings", _INFO_HELP, _run_info)
    add_import(what)
    _add(what, "repair", "recordings whose recorder was killed", _REPAIR_HELP, _run_repair)
    _add_run(what)
    _add_replay(what)


def _add_replay(what: Any) -> None:
    from seg3d_core.cli.settings import add_settings

    command = what.add_parser(
        "replay-prompts",
        help="logged clicks, asked again of another model",
        description=_REPLAY_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("bag", type=Path, metavar="BAG", help="recording")
    command.add_argument("--model", help="short for --set model=NAME: nano (default), a preset, or a file of weights")
    add_settings(command, _replay_config, "scene.mode=whole")
    command.set_defaults(run=_run_replay)


def _replay_config() -> Any:
    from seg3d_core.recording.prompt_replay import ReplayConfig

    return ReplayConfig


def _add_run(what: Any) -> None:
    from seg3d_core.cli.settings import add_settings

    command = what.add_parser(
        "run",
        help="instances of a recording",
        description=_RUN_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("bag", type=Path, metavar="BAG", help="recording")
    command.add_argument("-o", "--output", type=Path, metavar="OUT", required=True, help="folder to make")
    command.add_argument("--model", help="segmenter; short for --set model=NAME (default: nano)")
    add_settings(command, _run_config, "cloud_topic=/map")
    command.set_defaults(run=_run_run)


def _run_config() -> Any:
    from seg3d_core.recording.bag_run import BagRunConfig

    return BagRunConfig


def _add(what: Any, name: str, short: str, words: str, act: Callable[[argparse.Namespace], int]) -> None:
    command = what.add_parser(name, help=short, description=words, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("bags", nargs="+", type=Path, metavar="BAG", help="recordings")
    command.set_defaults(run=act)


def _run_info(options: argparse.Namespace) -> int:
    from seg3d_core.data.bag_info import inspect_bag

    return _each(options.bags, "messages", lambda path, tell: "\n".join(_described(inspect_bag(path, tell))))


def _run_repair(options: argparse.Namespace) -> int:
    from seg3d_core.recording.repair import repair_bag

    return _each(options.bags, "bytes", lambda path, tell: "\n".join(map(_repaired, repair_bag(path, tell))))


def _run_run(options: argparse.Namespace) -> int:
    import time

    from seg3d_core.cli.settings import settings_of
    from seg3d_core.learning.progress import StepProgress
    from seg3d_core.recording.bag_run import segment_bag
    from seg3d_core.segmenter import make_segmenter

    config = settings_of(options, _run_config(), [f"model={options.model}"] if options.model else [])
    segmenter = make_segmenter(config)
    start = time.monotonic()
    progress = StepProgress(sys.stderr, "messages")
    run = segment_bag(options.bag, options.output, config, segmenter, progress.tell)
    for words in run.left_out:
        print(f"seg3d: not copied: {words}", file=sys.stderr)
    if run.refused:
        print(f"seg3d: {len(run.refused)} clouds not segmented, the first: {run.refused[0]}", file=sys.stderr)
    print(
        f"{run.clouds} clouds segmented in {time.monotonic() - start:.1f} s, {run.instances} instances in the last, "
        f"{run.ids} ids in all; {run.copied} messages copied: {options.output}"
    )
    return 2 if run.refused else 0


def _run_replay(options: argparse.Namespace) -> int:
    from seg3d_core.cli.settings import settings_of
    from seg3d_core.learning.progress import StepProgress
    from seg3d_core.prompting import make_prompt_model
    from seg3d_core.recording.prompt_replay import replay_prompts

    config = settings_of(options, _replay_config(), [f"model={options.model}"] if options.model else [])
    model = make_prompt_model(config)
    rows = replay_prompts(options.bag, config, model, StepProgress(sys.stderr, "messages").tell)
    print("\n".join(_table([("object", "note", "prompts", "points then", "now", "IoU %"), *map(_replayed, rows)])))
    compared = [row.iou for row in rows if row.iou == row.iou]
    if compared:
        print(f"mean IoU {sum(compared) / len(compared) * 100:.1f} % of {len(compared)} objects; {model.description}")
    return 0 if compared else 2


def _replayed(row: ReplayedObject) -> tuple[str, ...]:
    iou = "" if row.iou != row.iou else f"{row.iou * 100:.1f}"
    return str(row.instance_id), row.note, str(row.prompts), str(row.recorded), str(row.now), iou


def _each(paths: Sequence[Path], unit: str, act: Callable[[Path, Callable[[int, int], None]], str]) -> int:
    """Do the same with each recording, print what it says; 2 if one could not be used."""
    from seg3d_core.errors import InputError
    from seg3d_core.learning.progress import StepProgress

    failed = 0
    for path in paths:
        # A bar is for people who wait; in a log the result is enough.
        progress = StepProgress(sys.stderr, f"{path}: {unit}") if sys.stderr.isatty() else None
        tell: Callable[[int, int], None] = progress.tell if progress else lambda done, total: None
        try:
            print(act(path, tell))
        except InputError as error:
            failed += 1
            print(f"seg3d: {error}", file=sys.stderr)
    return 2 if failed else 0


def _described(info: BagInfo) -> list[str]:
    size = sum(row.size_bytes for row in info.topics) / 1e6
    count = sum(row.topic.count for row in info.topics)
    start = datetime.fromtimestamp(info.start_ns * 1e-9, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    lines = [f"{info.path}: {count} messages, {size:.1f} MB, {info.duration_s:.1f} s from {start}", ""]
    lines += _table([("topic", "type", "messages", "Hz", "longest pause", "MB", "with pose"), *map(_row, info.topics)])
    prompts = ", ".join(f"{count} on {name}" for name, count in info.prompts.items())
    lines += ["", f"poses in: {info.fixed_frame or 'none'}", f"prompts: {prompts or 'none'}"]
    return lines + [f"note: {words}" for words in info.problems]


def _row(row: TopicInfo) -> tuple[str, ...]:
    topic = row.topic
    return (
        topic.name,
        topic.type_name + (" (latched)" if topic.is_latched else ""),
        str(topic.count),
        f"{row.rate_hz:.1f}" if row.rate_hz else "",
        f"{row.longest_gap_s:.2f} s" if topic.count > 1 else "",
        f"{row.size_bytes / 1e6:.1f}",
        "" if row.posed is None else f"{row.posed} of {topic.count}",
    )


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    """Columns as wide as their widest entry; numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            entry.ljust(width) if place < 2 else entry.rjust(width)
            for place, (entry, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _repaired(file: RepairedFile) -> str:
    if file.was_whole:
        return f"{file.name}: whole, {file.messages} messages"
    words = f"{file.name}: repaired, {file.messages} messages"
    if file.cut_bytes:
        words += f", {file.cut_bytes} bytes of an unfinished piece cut off"
    if file.damaged_chunks:
        words += f", {file.damaged_chunks} damaged pieces left out"
    return words
