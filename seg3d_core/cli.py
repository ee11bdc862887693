"""The command ``seg3d``."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from seg3d_core.errors import ConfigError, Seg3dError

# Commands import what they need themselves: --help and doctor must answer at once, and doctor must answer even where
# numba or Open3D cannot be imported.

_SEGMENT_HELP = """\
Find all instances of one cloud and write them as a cloud with an instance_id (0 = none) and a score for each point.

FILE and the output are .ply, .pcd or .npz; metres, z up. Colours are optional.

examples:
  seg3d segment room.ply -o instances.ply --picture instances.png
  seg3d segment room.ply -o parts.ply --set graph.k=0.01 --set graph.max_border_bend=0.02
"""

_DOCTOR_HELP = """\
Say what is installed, what is missing, and which command installs it.

Where ROS 2 is there, also measure over three seconds whether large messages survive between two processes.
Exit code 0 when everything that seg3d cannot do without is there, 1 otherwise.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code: 0 done, 1 doctor found fault, 2 an error said in one line."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="seg3d: %(message)s", stream=sys.stderr)
    try:
        code: int = options.run(options)
    except Seg3dError as error:
        print(f"seg3d: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("seg3d", description="Fine-grained 3-D instances of anything.")
    commands = parser.add_subparsers(title="commands", dest="command", required=True)
    _add_segment(commands)
    _add_doctor(commands)
    return parser


def _add_segment(commands: Any) -> None:
    command = commands.add_parser(
        "segment",
        help="instances of a cloud file",
        description=_SEGMENT_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("file", metavar="FILE", help="cloud to segment: .ply, .pcd or .npz")
    command.add_argument("-o", "--output", metavar="OUT", required=True, help="labelled cloud to write")
    command.add_argument("--model", help="segmenter; short for --set model=NAME (default: graph)")
    command.add_argument("--config", metavar="YAML", help="file of settings; --set wins over it")
    command.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="one setting, for example graph.k=0.05; may be repeated (--list-settings shows all)",
    )
    command.add_argument("--picture", metavar="PNG", help="also draw true colours beside instance colours, two views")
    command.add_argument(
        "--up", nargs=3, type=float, default=(0.0, 0.0, 1.0), metavar=("X", "Y", "Z"), help="up in the picture (0 0 1)"
    )
    command.add_argument("--list-settings", action=_ListSettings, help="show all settings with their defaults and end")
    command.set_defaults(run=_segment)


def _add_doctor(commands: Any) -> None:
    command = commands.add_parser(
        "doctor",
        help="what is installed and what is missing",
        description=_DOCTOR_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--no-dds", action="store_true", help="leave out the measurement between two ROS processes")
    command.set_defaults(run=_doctor)


class _ListSettings(argparse.Action):
    """Prints every setting of ``seg3d segment`` as --set takes it, with its explanation."""

    def __init__(self, option_strings: Sequence[str], dest: str, **options: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, **options)

    def __call__(self, parser: argparse.ArgumentParser, *unused: Any) -> None:
        from seg3d_core.config import SegmentConfig

        for name, value, description in _settings(SegmentConfig.build({})):
            print(f"{f'{name}={value}':30} {description}")
        parser.exit()


def _settings(config: Any, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """Dotted name, value and description of every setting, groups expanded."""
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if hasattr(value, "model_dump"):
            yield from _settings(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value, field.description


def _segment(options: argparse.Namespace) -> int:
    from seg3d_core.data.cloud_files import check_target, read_cloud, write_cloud
    from seg3d_core.segmenter import make_segmenter

    config = _segment_config(options)
    check_target(options.output)
    cloud = read_cloud(options.file)
    segmenter = make_segmenter(config.model, config.graph)
    start = time.perf_counter()
    instances = segmenter.segment(cloud)
    spent_ms = (time.perf_counter() - start) * 1e3
    write_cloud(options.output, instances.cloud, instances)
    labelled = (instances.labels >= 0).mean() * 100
    print(
        f"{len(instances)} instances on {labelled:.0f} % of {len(instances.cloud)} points, "
        f"{spent_ms:.0f} ms: {options.output}"
    )
    if options.picture:
        from seg3d_core.pictures import before_after, save_png

        save_png(options.picture, before_after(instances.cloud, instances, up=tuple(options.up)))
        print(f"picture: {options.picture}")
    return 0


def _segment_config(options: argparse.Namespace) -> Any:
    from seg3d_core.config import SegmentConfig

    config = SegmentConfig.from_yaml(options.config) if options.config else SegmentConfig.build({})
    values = config.model_dump()
    settings = [*options.settings, f"model={options.model}"] if options.model else options.settings
    for setting in settings:
        _set(values, setting)
    return SegmentConfig.build(values)


def _set(values: dict[str, Any], setting: str) -> None:
    """Put ``group.name=value`` into the nested ``values``; the value is YAML, so that 3 is a number."""
    import yaml

    name, separator, text = setting.partition("=")
    *groups, last = name.strip().split(".")
    if not separator or not last:
        raise ConfigError(f"--set {setting!r}: expected NAME=VALUE, for example graph.k=0.05")
    for group in groups:
        values = values.setdefault(group, {})
        if not isinstance(values, dict):
            raise ConfigError(f"--set {setting!r}: {group} is a value, not a group of settings")
    try:
        values[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {setting!r}: the value is not YAML") from error


def _doctor(options: argparse.Namespace) -> int:
    from seg3d_core.doctor import examine, report

    findings = examine(with_dds=not options.no_dds)
    print(report(findings))
    return int(any(finding.is_fatal for finding in findings))
