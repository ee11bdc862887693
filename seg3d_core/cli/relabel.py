"""``seg3d relabel``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from seg3d_core.cli.settings import add_settings, settings_of

_HELP = """\
Correct the instances of scenes by clicks, in a browser or with a script, for training and evaluation.

SCENE is a scene folder (seg3d data) or a folder of them; a cloud (.ply, .pcd or .npz); or a recording that seg3d data
import reads: a bag, an RGB-D sequence. Of clouds and recordings scene folders are made first, in --to. A bag without
images is relabelled on its newest cloud, beginning with the instances that were found in it.

Every action is on the disk when it is done. The same command goes on where it ended, however it ended, with every
action to undo. Results go into the scene folder: cloud.npz with the new labels, relabel/instances.ply, and
relabel/provenance.json, where each instance comes from; relabel/cloud_before.npz is the cloud as it was. With
--set bag=true they are a recording, too: relabel/bag.

--headless SCRIPT does the actions of a YAML file and prints what was done; docs/relabelling.md lists them. Steps that
were done before are not done again. The exit code is 2 if a step was refused.

Without --headless a browser is served at --host and --port until Ctrl-C: by default only browsers on this machine. At
any other address they need a token, which is printed. Results are written when a scene is left and at the end.

examples:
  seg3d relabel scenes
  seg3d relabel scenes/kitchen --headless kitchen.yaml
  seg3d relabel room.ply --to relabelled --set start=empty --headless clicks.yaml --model point_sam_large.safetensors
"""


def add(commands: Any) -> None:
    """Describe the command to argparse."""
    command = commands.add_parser(
        "relabel",
        help="correct the instances of scenes by clicks",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("scenes", nargs="+", type=Path, metavar="SCENE", help="what to relabel, see above")
    command.add_argument(
        "--to",
        type=Path,
        default=Path("relabelled"),
        metavar="FOLDER",
        help="where scene folders of clouds and recordings are made (default: relabelled)",
    )
    command.add_argument("--headless", type=Path, metavar="SCRIPT", help="YAML file of actions to do without a browser")
    command.add_argument("--model", help="what answers clicks; short for --set prompt.model=NAME (default: nano)")
    command.add_argument("--host", default="127.0.0.1", help="address that browsers are served at (127.0.0.1)")
    command.add_argument("--port", type=int, default=8090, help="port there (8090); 0: any that is free")
    command.add_argument("--token", help="for browsers of other machines; made up where it is not given")
    add_settings(command, _config_class, "start=empty")
    command.set_defaults(run=_run)


def _config_class() -> Any:
    from seg3d_core.relabel.settings import RelabelConfig

    return RelabelConfig


def _run(options: argparse.Namespace) -> int:
    from seg3d_core.relabel.models import Models

    config = settings_of(options, _config_class(), [f"prompt.model={options.model}"] if options.model else [])
    return (_serve if options.headless is None else _run_headless)(options, config, Models(config))


def _serve(options: argparse.Namespace, config: Any, models: Any) -> int:
    import time

    from seg3d_core.learning.progress import Interruption
    from seg3d_core.relabel.targets import open_targets
    from seg3d_core.relabel.web.controller import RelabelController
    from seg3d_core.relabel.web.server import RelabelServer

    controller = RelabelController(open_targets(options.scenes, options.to, print, config.cloud_topic), models, config)
    try:
        with (
            RelabelServer(controller, options.host, options.port, options.token or "") as server,
            Interruption() as interruption,
        ):
            print(f"open {server.address} ; Ctrl-C ends", flush=True)
            while not interruption.asked:
                time.sleep(0.1)
    finally:
        controller.close()
    return 0


def _run_headless(options: argparse.Namespace, config: Any, models: Any) -> int:
    from seg3d_core.learning.progress import StepProgress
    from seg3d_core.relabel.headless import format_reports, run_script
    from seg3d_core.relabel.script import Script
    from seg3d_core.relabel.targets import open_targets

    script = Script(options.headless)
    scenes = open_targets(options.scenes, options.to, print, config.cloud_topic)
    progress = StepProgress(sys.stderr, "scenes")
    reports = run_script(scenes, script, models, config, progress.tell)
    print(format_reports(reports))
    failed = [report for report in reports if report.error]
    for report in failed:
        print(f"seg3d: {report.scene}: {report.error}", file=sys.stderr)
    return 2 if failed else 0
