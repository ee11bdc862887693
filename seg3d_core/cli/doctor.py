"""``seg3d doctor``."""

from __future__ import annotations

import argparse
from typing import Any

_HELP = """\
Say what is installed, what is missing, and which command installs it.

Where ROS 2 is there, also measure over three seconds whether large messages survive between two processes.
Exit code 0 when everything that seg3d cannot do without is there, 1 otherwise.
"""


def add(commands: Any) -> None:
    """Describe the command to argparse."""
    command = commands.add_parser(
        "doctor",
        help="what is installed and what is missing",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--no-dds", action="store_true", help="leave out the measurement between two ROS processes")
    command.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from seg3d_core.doctor import examine, report

    findings = examine(with_dds=not options.no_dds)
    print(report(findings))
    return int(any(finding.is_fatal for finding in findings))
