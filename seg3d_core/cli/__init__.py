"""The command ``seg3d``.

Each command is a module of this package with one function ``add(commands)``, which describes it to argparse and sets
``run``: options in, exit code out. Commands import what they need when they run: --help and doctor must answer at
once, and doctor must answer even where numba or Open3D cannot be imported.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from seg3d_core.cli import (
    bags,
    bench,
    convert,
    data,
    doctor,
    download,
    evaluate,
    label,
    prompt,
    propose,
    relabel,
    segment,
    train,
)
from seg3d_core.errors import Seg3dError
from seg3d_core.waiting import yield_while_waiting

COMMANDS = (segment, prompt, propose, evaluate, data, bags, label, relabel, train, convert, download, bench, doctor)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code: 0 done, 1 doctor found fault, 2 an error said in one line."""
    yield_while_waiting()
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="seg3d: %(message)s", stream=sys.stderr)
    # Which device and engine were chosen is worth a line; what other libraries think of themselves is not.
    logging.getLogger("seg3d_core").setLevel(logging.INFO)
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
    for command in COMMANDS:
        command.add(commands)
    return parser
