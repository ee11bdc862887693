from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from seg3d_ros.dds_profile import profile_variable

pytest.importorskip("rclpy", exc_type=ImportError)

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.ros


def run_check(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "seg3d_ros.dds_check"],
        cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_nothing_is_lost_with_the_shipped_profile(domain_id: int) -> None:
    done = run_check(ROS_DOMAIN_ID=str(domain_id))
    if "fastrtps" not in done.stdout:
        pytest.skip("the shipped profile is for Fast DDS")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("of 30 arrived") == 3
    assert "->" not in done.stdout
    assert "deprecated" not in done.stdout + done.stderr, "the variable's name does not fit the version"


def test_loss_comes_with_what_helps(capsys: pytest.CaptureFixture[str]) -> None:
    from seg3d_ros import dds_check

    arrived = dict.fromkeys(dds_check.KINDS, 30)
    assert dds_check.report(arrived) == 0
    arrived[dds_check.KINDS[2]] = 20
    assert dds_check.report(arrived) == 1
    said = capsys.readouterr().out
    assert "cloud 307200 points   4.9 MB  20 of 30 arrived" in said
    if "fastrtps" in said:
        assert f"-> export {profile_variable()}={ROOT / 'config' / 'fastdds.xml'}" in said
