"""``./run demo``: play, fuse, segment, watch, and report."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec

from seg3d_core.config import DEFAULT_MODEL
from seg3d_core.errors import Seg3dError
from seg3d_core.optional import INSTALL_TORCH
from seg3d_ros.demo.options import DemoOptions, parse_options
from seg3d_ros.demo.report import write_report
from seg3d_ros.demo.session import play


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; 0 = results published and no node crashed, 1 = not so, 2 = wrong options or input."""
    try:
        options = _without_torch(parse_options(sys.argv[1:] if arguments is None else arguments))
        outcome = play(options)
        return write_report(options, outcome)
    except Seg3dError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ndemo: interrupted; the nodes were stopped", file=sys.stderr)
        return 130


def _without_torch(options: DemoOptions) -> DemoOptions:
    """Where PyTorch is missing and nobody named a segmenter: with the one that needs none, which is said."""
    if "model" in options.scene or options.clicks or find_spec("torch") is not None:
        return options
    print(f"PyTorch is not installed, so this is model graph; for {DEFAULT_MODEL}: {INSTALL_TORCH}", flush=True)
    return replace(options, scene={**options.scene, "model": "graph"})


if __name__ == "__main__":
    sys.exit(main())
