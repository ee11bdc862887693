"""Command line of the demo."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seg3d_core.data.playback import ROOM_PREFIX
from seg3d_core.errors import ConfigError
from seg3d_ros.source_node import SourceConfig

CLICKED_OBJECTS = 6

NODES = ("scene", "fusion", "prompt", "viewer")
"""Whose parameters may be given."""


@dataclass(frozen=True)
class DemoOptions:
    """What to play, through what, and where the results go.

    Attributes:
        sequence: what source_node plays: a folder with an RGB-D sequence, or room:SEED.
        bag: rosbag2 to play instead, None for a sequence.
        frames: play at most this many frames; 0 = all.
        rounds: play the sequence so often, the map is complete after the first time; 0 = until 80 s are full.
        rate_hz: frames per second.
        lossless: every frame is used, in order, with its recorded stamp.
        out: folder for picture, cloud, recording and logs.
        clicks: objects to click on in the fused cloud instead of segmenting the scene; 0 = none.
        places: where to click, m in the cloud's frame; empty = on objects that the ground truth knows.
        scene: extra parameters of scene_node.
        fusion: extra parameters of fusion_node.
        prompt: extra parameters of prompt_node.
        view: serve a page for browsers, until Ctrl-C.
        viewer: extra parameters of viewer_node.
    """

    sequence: str
    bag: Path | None
    frames: int
    rounds: int
    rate_hz: float
    lossless: bool
    out: Path
    clicks: int
    places: tuple[tuple[float, float, float], ...]
    scene: dict[str, str]
    fusion: dict[str, str]
    prompt: dict[str, str]
    view: bool = False
    viewer: dict[str, str] = field(default_factory=dict)


def parse_options(arguments: Sequence[str]) -> DemoOptions:
    """Options from the command line; exits with 2 and a usage line on nonsense."""
    parser = argparse.ArgumentParser(
        prog="./run demo",
        description="RGB-D frames in, fused cloud, instances out: real nodes in their own processes, on this machine.",
    )
    source = SourceConfig()
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--data", type=Path, help="RGB-D sequence: color/ depth/ pose/ folders, ScanNet export or TUM")
    what.add_argument("--bag", type=Path, help="rosbag2 recording (MCAP or sqlite3) with a cloud, or RGB-D and tf")
    what.add_argument("--seed", type=int, help=f"render this room instead of {source.sequence}")
    parser.add_argument("--frames", type=int, default=source.frames, help="play at most this many frames; 0: all")
    parser.add_argument(
        "--rounds",
        type=int,
        help="play it so often; the map is complete after the first (default: until 80 s are full; "
        "once with --frames, --lossless, --click or --bag)",
    )
    parser.add_argument("--rate", type=float, default=source.rate_hz, help="frames per second (default %(default)s)")
    parser.add_argument("--lossless", action="store_true", help="use every frame in order: deterministic, not live")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the results (default out)")
    parser.add_argument(
        "--model", help="scene segmenter, with --click the network that clicks ask (default: the node's)"
    )
    _add_clicks(parser)
    parser.add_argument(
        "--view", action="store_true", help="serve it live to a browser, to look and to click, until Ctrl-C"
    )
    for node in NODES:
        parser.add_argument(
            f"--{node}", action="append", default=[], metavar="NAME=VALUE", help=f"a parameter of {node}_node"
        )
    values = parser.parse_args(arguments)
    given = {node: _pairs(getattr(values, node)) for node in NODES}
    if values.model:
        given["prompt" if values.click else "scene"]["model"] = values.model
    return DemoOptions(
        sequence=_sequence(values),
        bag=values.bag,
        frames=values.frames,
        rounds=_rounds(values),
        rate_hz=values.rate,
        lossless=values.lossless,
        out=values.out,
        clicks=_clicks(values),
        places=tuple(tuple(place) for place in values.at),
        view=values.view,
        **given,
    )


def _add_clicks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--click",
        type=int,
        nargs="?",
        const=CLICKED_OBJECTS,
        default=0,
        metavar="N",
        help=f"when all is fused click on N objects (default {CLICKED_OBJECTS}) by prompt_node, correct and accept",
    )
    parser.add_argument(
        "--at",
        type=float,
        nargs=3,
        action="append",
        default=[],
        metavar=("X", "Y", "Z"),
        help="with --click: click here, m in the frame of the fused cloud, instead of on objects that are known",
    )


def _clicks(values: argparse.Namespace) -> int:
    """Number of objects to click on.

    Raises:
        ConfigError: it is negative, or nobody knows where to click.
    """
    count = len(values.at) if values.click and values.at else values.click
    if values.click < 0:
        raise ConfigError(f"--click {values.click}: must be 0 or more objects")
    if values.at and not values.click:
        raise ConfigError("--at says where to click: it needs --click")
    if values.click and values.bag is not None:
        raise ConfigError("--click needs a sequence: it does not work with --bag")
    if values.click and values.data is not None and not values.at:
        raise ConfigError("--click on a recorded sequence needs places: --at X Y Z, m in the frame of its poses")
    return int(count)


def _rounds(values: argparse.Namespace) -> int:
    """How often the sequence is played, 0: until 80 s are full.

    Raises:
        ConfigError: less than once, or more than once what cannot be played again.
    """
    if values.rounds is None:
        return int(bool(values.frames or values.lossless or values.click or values.bag is not None))
    rounds = int(values.rounds)
    if rounds < 1:
        raise ConfigError(f"--rounds {rounds}: must be 1 or more")
    if rounds > 1 and (values.lossless or values.bag is not None):
        raise ConfigError("--rounds needs frames that are stamped anew: it does not work with --lossless or --bag")
    return rounds


def _sequence(values: argparse.Namespace) -> str:
    if values.data is not None:
        return str(values.data)
    return f"{ROOM_PREFIX}{values.seed}" if values.seed is not None else SourceConfig().sequence


def _pairs(settings: Sequence[str]) -> dict[str, str]:
    for setting in settings:
        if "=" not in setting:
            raise ConfigError(f"{setting!r}: parameters are given as NAME=VALUE")
    return {name: value for name, _, value in (setting.partition("=") for setting in settings)}
