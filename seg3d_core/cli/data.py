"""``seg3d data``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from seg3d_core.cli.settings import add_settings, settings_of

_SYNTH_HELP = """\
Make synthetic rooms into scene folders: RGB-D frames of a hand-held camera with sensor noise and imperfect poses, the
true object and part of every pixel, and a fused cloud with true instances, parts and superpoints.

Room SEED always comes out the same. The same command goes on where it was interrupted, and more rooms can be asked for
later: those that are there stay.

examples:
  seg3d data synth --to data/train --rooms 200 --workers 8
  seg3d data synth --to data/held-out --rooms 20 --first 100000 --frames 32 --set width=320 --set height=240
"""

_CHECK_HELP = """\
Look at scene folders: every file against the checksums of the manifest, every image against its size.
FOLDER is a scene folder or a folder of them. The exit code is 2 if something is wrong.
"""


def add(commands: Any) -> None:
    """Describe the command to argparse."""
    data = commands.add_parser("data", help="scene folders: import, make synthetic ones, check")
    what = data.add_subparsers(title="what", dest="what", required=True)
    _add_synth(what)
    _add_check(what)


def _add_synth(what: Any) -> None:
    command = what.add_parser(
        "synth",
        help="synthetic rooms as a data set",
        description=_SYNTH_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="folder of scene folders")
    command.add_argument("--rooms", type=_count, required=True, metavar="N", help="number of rooms")
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


def _run_synth(options: argparse.Namespace) -> int:
    from seg3d_core.data.scenes.synth_run import make_rooms, missing_rooms
    from seg3d_core.learning.progress import StepProgress

    config = settings_of(options, _synth_config(), [f"frames={options.frames}"] if options.frames else [])
    seeds = list(range(options.first, options.first + options.rooms))
    missing = missing_rooms(options.to, seeds, config)
    done = len(seeds) - len(missing)
    progress = StepProgress(sys.stderr, "rooms", done)
    failed = 0
    for seed, error in make_rooms(options.to, missing, config, options.workers or len(os.sched_getaffinity(0))):
        done += 1
        if error is not None:
            failed += 1
            progress.say(f"room {seed}: {error}")
        progress.tell(done, len(seeds))
    print(f"{len(seeds) - failed} rooms in {options.to}" + (f", {failed} could not be made" if failed else ""))
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
