"""``seg3d prompt``."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

from seg3d_core.cli.settings import add_settings, settings_of

_HELP = """\
Select one object of a cloud by clicks and write its mask: the cloud with an instance_id for each point, 1 on the
object and 0 elsewhere, and a score, the model's own estimate of how well the mask fits.

FILE and the output are .ply, .pcd or .npz; metres, z up (else --set point_sam.up=y). Colours are optional.
Clicks are made in the order in which they are given, as by hand: each goes to the nearest point of the cloud, and
corrects the mask before it. The first must be on the object, unless there is a box. After the first click there are
three candidates, the best first; --candidate takes another one.
MODEL is nano (comes with the package, the default), a file of Point-SAM's weights (seg3d download point-sam), or the
name of an untrained network of that size (tiny, small, base, large, giant: for timing).

examples:
  seg3d prompt room.ply --click 1.2 0.45 0.8 -o mug.ply --picture mug.png
  seg3d prompt room.ply --click 1.2 0.45 0.8 --exclude 1.3 0.45 0.75 --click 1.1 0.45 0.8 -o mug.ply
  seg3d prompt room.ply --box 1 0.3 0.7 1.4 0.6 0.9 -o mug.npz --model point_sam_large.safetensors
"""


def add(commands: Any) -> None:
    """Describe the command to argparse."""
    command = commands.add_parser(
        "prompt",
        help="one object of a cloud file, by clicks",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("file", metavar="FILE", help="cloud to click on: .ply, .pcd or .npz")
    command.add_argument("-o", "--output", metavar="OUT", required=True, help="labelled cloud to write")
    place = {"nargs": 3, "type": float, "dest": "clicks", "default": [], "metavar": ("X", "Y", "Z"), "action": _Click}
    command.add_argument("--click", **place, help="a point of the object, m; may be repeated")
    command.add_argument("--exclude", **place, help="a point that is not of the object, m; may be repeated")
    command.add_argument(
        "--box",
        nargs=6,
        type=float,
        metavar=("X", "Y", "Z", "X2", "Y2", "Z2"),
        help="two opposite corners around it, m",
    )
    command.add_argument(
        "--candidate", type=int, choices=(1, 2, 3), default=1, help="after the first click (default 1)"
    )
    command.add_argument("--max-snap-m", type=float, metavar="M", help="farthest that a click goes to a point (0.1)")
    command.add_argument("--model", help="short for --set model=NAME")
    add_settings(command, _config_class, "scene.mode=whole")
    command.add_argument("--picture", metavar="PNG", help="also draw the object and what is around it, two views")
    command.add_argument(
        "--up", nargs=3, type=float, default=(0.0, 0.0, 1.0), metavar=("X", "Y", "Z"), help="up in the picture (0 0 1)"
    )
    command.set_defaults(run=_run)


class _Click(argparse.Action):
    """Keeps --click and --exclude in one list, in the order of the command line."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        before = getattr(namespace, self.dest)
        setattr(namespace, self.dest, [*before, (values, option == "--click")])


def _config_class() -> Any:
    from seg3d_core.point_sam_config import PromptModelConfig

    return PromptModelConfig


def _run(options: argparse.Namespace) -> int:
    from seg3d_core.data.cloud_files import check_target, read_cloud, write_cloud
    from seg3d_core.errors import PromptError
    from seg3d_core.interaction.session import ObjectSession
    from seg3d_core.interaction_config import InteractionConfig
    from seg3d_core.prompting import make_prompt_model

    config = settings_of(options, _config_class(), [f"model={options.model}"] if options.model else [])
    reach = {} if options.max_snap_m is None else {"max_snap_m": options.max_snap_m}
    check_target(options.output)
    if not options.clicks and options.box is None:
        raise PromptError("neither --click nor --box: say what the object is")
    cloud = read_cloud(options.file)
    session = ObjectSession(make_prompt_model(config), InteractionConfig.build(reach))
    start = time.perf_counter()
    session.set_cloud(cloud)
    _ask(session, options)
    spent_ms = (time.perf_counter() - start) * 1e3
    instances = _mask_of(session.selection)
    write_cloud(options.output, cloud, instances)
    print(f"{int(instances.masks.sum())} of {len(cloud)} points, {spent_ms:.0f} ms: {options.output}")
    if options.picture:
        _draw(options.picture, instances, options.up)
        print(f"picture: {options.picture}")
    return 0


def _ask(session: Any, options: argparse.Namespace) -> None:
    """The box, then the clicks, each with a line about what came of it."""
    import numpy as np

    if options.box is not None:
        low, high = np.array(options.box, np.float64).reshape(2, 3)
        session.select_box(low, high)
        _say("box", session.selection)
    for number, (place, is_foreground) in enumerate(options.clicks):
        session.click(np.array(place, np.float64), is_foreground)
        if number == 0:
            for _ in range(options.candidate - 1):
                session.next_candidate()
        words = f"{'click' if is_foreground else 'exclude'} {_place(place)} m"
        _say(f"{words}, {session.selection.snap_distance_m * 1e3:.0f} mm from a point", session.selection)


def _say(words: str, selection: Any) -> None:
    sizes = selection.candidates.masks.sum(axis=1).tolist()
    other = f"; candidates of {', '.join(map(str, sizes))} points" if len(sizes) > 1 else ""
    print(
        f"{words}: {int(selection.mask.sum())} points, predicted IoU {selection.iou_prediction:.2f}, "
        f"stability {selection.stability:.2f}{other}"
    )


def _place(place: Sequence[float]) -> str:
    return " ".join(f"{value:g}" for value in place)


def _mask_of(selection: Any) -> Any:
    import numpy as np

    from seg3d_core.types import Instances

    score = np.array([selection.iou_prediction], np.float32).clip(0, 1)
    return Instances(selection.cloud, selection.mask[None], score, np.ones(1, np.int32))


def _draw(path: str, instances: Any, up: Sequence[float]) -> None:
    from seg3d_core.pictures import Column, save_png, side_by_side
    from seg3d_core.surroundings import rows_around

    mask = instances.masks[0]
    rows = rows_around(instances.cloud.points, mask)
    columns = [Column("colour"), Column(f"{int(mask.sum())} points", instances.point_ids[rows])]
    save_png(path, side_by_side(instances.cloud.select(rows), columns, (up[0], up[1], up[2])))
