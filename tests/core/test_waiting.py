"""Threads of PyTorch and Open3D sleep while they wait, unless the user chose."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(("chosen", "expected"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
@pytest.mark.parametrize("module", ["seg3d_core.cli", "seg3d_ros"])
def test_the_policy_is_there_before_a_library_can_read_it(module: str, chosen: str | None, expected: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    if chosen is not None:
        environment["OMP_WAIT_POLICY"] = chosen
    program = (
        f"import os, sys, {module}\n"
        f"if hasattr({module}, 'main'):\n"
        f"    {module}.main(['segment', 'missing.ply', '-o', 'out.ply'])\n"
        "print(os.environ['OMP_WAIT_POLICY'], *({'torch', 'open3d'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.split() == [expected]
