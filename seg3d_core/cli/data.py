"""``seg3d data``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from seg3d_core.cli.settings import add_settings, settings_of

_IMPORT_HELP = """\
Make scene folders of recordings. SOURCE is
  plain folder      color/*.jpg|png  depth/*.png (16 bit, mm)  pose/*.txt (camera to world)  intrinsics.txt
  ScanNet           an export (color/ depth/ pose/ intrinsic/) or a .sens file; with its mesh and annotation
  ScanNet++         a scene folder with iphone/ (unpacked by its toolkit) and scans/
  7-Scenes          a folder of seq-NN folders, or one of them
  TUM RGB-D         rgb.txt  depth.txt  groundtruth.txt
  Replica           results/  traj.txt  (cam_params.json beside or in it)
  rosbag2           a recording's folder, .mcap or .db3: images, camera_info, and poses from tf

Every frame is checked before it is taken: images that can be read, enough depth, depth registered to colour, and a pose
that agrees with what neighbouring frames saw. What is left out is listed in scene.json with the reason. The world is
turned so that z is up. The same command goes on where it was interrupted.

examples:
  seg3d data import recordings/kitchen --to data/real
  seg3d data import scans/scene0000_00.sens --to data/scannet --set every=25
  seg3d data import walk.mcap --to data/real --set bag.fixed_frame=odom --set every=10
"""

_SYNTH_HELP = """\
Make synthetic rooms into scene folders: RGB-D frames of a hand-held camera with sensor noise and imperfect poses, the
true object and part of every pixel, and a fused cloud with true instances, parts and superpoints.

With --set content=tables: tables full of things, each seen once from near, and the points of that one frame.

Room SEED always comes out the same. The same command goes on where it was interrupted, and more rooms can be asked for
later: those that are there stay.

examples:
  seg3d data synth --to data/train --rooms 200 --workers 8
  seg3d data synth --to data/held-out --rooms 20 --first 100000 --frames 32 --set width=320 --set height=240
  seg3d data synth --to data/tables --rooms 500 --set content=tables
"""

_CHECK_HELP = """\
Look at scene folders: every file against the checksums of the manifest, every image against its size.
FOLDER is a scene folder or a folder of them. The exit code is 2 if something is wrong.
"""


def add(commands: Any) -> None:
    """Describe the command to argparse."""
    data = commands.add_parser("data", help="scene folders: import, make synthetic ones, check")
    what = data.add_subparsers(title="what", dest="what", required=True)
    add_import(what)
    _add_synth(what)
    _add_check(what)


def add_import(what: Any) -> None:
    """Describe ``import`` to argparse; ``seg3d bags import`` is the same."""
    command = what.add_parser(
        "import",
        help="recordings as scene folders",
        description=_IMPORT_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("sources", nargs="+", type=Path, metavar="SOURCE", help="recordings, see above")
    command.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="folder of scene folders")
    command.add_argument(
        "--up",
        nargs=3,
        type=float,
        metavar=("X", "Y", "Z"),
        help="up in the recording's world (else its own, or found)",
    )
    add_settings(command, _import_config, "every=10")
    command.set_defaults(run=_run_import)


def _add_synth(what: Any) -> None:
    command = what.add_parser(
        "synth",
        help="synthetic rooms as a data set",
        description=_SYNTH_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="folder of scene folders")
    command.add_argument("--rooms", type=_count, required=True, metavar="N", help="number of rooms (or tables)")
    command.add_argument("--first", type=_seed, default=0, metavar="SEED", help="seed of the first room (0)")
    command.add_argument("--frames", type=_count, metavar="F", help="frames of each; short for --set frames=F")
    command.add_argument("--workers", type=_count, metavar="W", help="rooms made at a time (one for each core)")
    add_settings(command, _synth_config, "width=320")
    command.set_defaults(run=_run_synth)


def _add_check(what: Any) -> None:
    command = what.add_parser(
        "check",
        help="whether scene folders are whole",
        description=_CHECK_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="scene folder, or folder of them")
    command.set_defaults(run=_run_check)


def _count(text: str) -> int:
    number = _seed(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected at least 1")
    return number


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text}: expected a whole number, not negative")
    return int(text)


def _synth_config() -> Any:
    from seg3d_core.data.scenes.synth_settings import SynthConfig

    return SynthConfig


def _import_config() -> Any:
    from seg3d_core.data.scenes.import_settings import ImportConfig

    return ImportConfig


def _run_import(options: argparse.Namespace) -> int:
    from seg3d_core.data.scenes.import_run import import_source
    from seg3d_core.errors import InputError

    config = settings_of(options, _import_config())
    up = tuple(options.up) if options.up else None
    failed = 0
    for source in options.sources:
        steps = _Steps(str(source))
        try:
            for words in import_source(source, options.to, config, up, steps.report):
                print(words)
        except InputError as error:
            failed += 1
            print(f"seg3d: not imported: {error}", file=sys.stderr)
    return 2 if failed else 0


class _Steps:
    """Progress of one kind of step after another."""

    def __init__(self, name: str) -> None:
        self._name, self._what = name, ""

    def report(self, what: str, done: int, total: int) -> None:
        """So many frames of a step are done."""
        from seg3d_core.learning.progress import StepProgress

        if what != self._what:
            self._what, self._progress = what, StepProgress(sys.stderr, f"{self._name}: {what}")
        self._progress.tell(done, total)


def _synth_settings(options: argparse.Namespace) -> Any:
    """The settings with ``--frames`` in them.

    Raises:
        ConfigError: see ``settings_of``; or several frames of a table.
    """
    from seg3d_core.errors import ConfigError

    config = settings_of(options, _synth_config())
    if config.content == "tables":
        if options.frames not in (None, 1):
            raise ConfigError(f"--frames {options.frames}: a table is seen once; ask for more tables with --rooms")
        return config
    return settings_of(options, _synth_config(), [f"frames={options.frames}"]) if options.frames else config


def _run_synth(options: argparse.Namespace) -> int:
    from seg3d_core.data.scenes.synth_run import make_rooms, missing_rooms
    from seg3d_core.learning.progress import StepProgress

    config = _synth_settings(options)
    seeds = list(range(options.first, options.first + options.rooms))
    missing = missing_rooms(options.to, seeds, config)
    done = len(seeds) - len(missing)
    progress = StepProgress(sys.stderr, config.content, done)
    failed = 0
    for seed, error in make_rooms(options.to, missing, config, options.workers or len(os.sched_getaffinity(0))):
        done += 1
        if error is not None:
            failed += 1
            progress.say(f"seed {seed}: {error}")
        progress.tell(done, len(seeds))
    lost = f", {failed} could not be made" if failed else ""
    print(f"{len(seeds) - failed} {config.content} in {options.to}{lost}")
    return 2 if failed else 0


def _run_check(options: argparse.Namespace) -> int:
    from seg3d_core.data.scenes.check import check_scene
    from seg3d_core.data.scenes.folder import find_scene_folders

    scenes = find_scene_folders(options.folders)
    faults = 0
    for scene in scenes:
        found = list(check_scene(scene))
        faults += len(found)
        for words in found:
            print(words)
        skipped = len(scene.description.skipped)
        print(
            f"{scene.name}: {scene.frame_count} frames, {skipped} skipped, "
            + ("sound" if not found else f"{len(found)} faults")
        )
    return 2 if faults else 0
