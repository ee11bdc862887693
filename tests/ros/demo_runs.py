"""The demo in a process of its own, and what it printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run_demo(out: Path, domain: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ROS_DOMAIN_ID": str(domain)}
    return subprocess.run(
        [sys.executable, "-m", "seg3d_ros.demo", "--out", str(out), *arguments],
        cwd=ROOT, check=False, env=environment, capture_output=True, text=True, timeout=200,
    )  # fmt: skip


def figures(table: str, name: str) -> list[float]:
    """The numbers in one row of the table."""
    row = next(line for line in table.splitlines() if line.strip().startswith(name))
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?", row.split(name, 1)[1])]
