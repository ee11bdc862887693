from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from seg3d_core import doctor
from seg3d_core.cli import main
from seg3d_core.doctor import Finding, examine, report

ROOT = Path(doctor.__file__).resolve().parents[1]


def states(findings: list[Finding]) -> dict[str, str]:
    return {finding.name: finding.state for finding in findings}


def by_name(findings: list[Finding], name: str) -> Finding:
    return next(finding for finding in findings if finding.name == name)


def test_this_environment_is_sound() -> None:
    findings = examine(with_dds=False)
    assert not [finding for finding in findings if finding.is_fatal]
    assert states(findings)["open3d"] == "ok"
    assert "seg3d can work" in report(findings)


def test_doctor_looks_at_ros_without_importing_it() -> None:
    code = "from seg3d_core import doctor; import sys; doctor.examine(with_dds=False); print('rclpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_missing_packages_come_with_their_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ROS_DISTRO", raising=False)
    monkeypatch.setattr(doctor, "_is_there", lambda module: module not in ("numba", "rclpy", "nav_msgs", "tf2_ros"))
    monkeypatch.setattr(doctor, "_run", lambda code: (True, "1.0"))
    findings = examine(with_dds=True)
    assert by_name(findings, "numba").advice == f"{sys.executable} -m pip install numba"
    assert by_name(findings, "numba").is_fatal
    assert "8 of 9 packages; missing: nav_msgs" in by_name(findings, "messages").detail
    assert by_name(findings, "messages").advice.endswith("-m pip install ros-nav-msgs")
    assert f"-m pip install '{ROOT}[ros]'" in by_name(findings, "rclpy").advice
    assert "dds" not in states(findings)
    assert main(["doctor"]) == 1
    assert "seg3d cannot work: numba" in capsys.readouterr().out


def test_beside_a_distribution_apt_is_advised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    monkeypatch.setattr(doctor, "_is_there", lambda module: module not in ("rclpy", "tf2_ros"))
    monkeypatch.setattr(doctor, "_run", lambda code: (True, "1.0"))
    findings = examine(with_dds=False)
    assert by_name(findings, "tf2_ros").advice == "sudo apt-get install -y ros-jazzy-tf2-ros"
    assert by_name(findings, "rclpy").advice == "sudo apt-get install -y ros-jazzy-rclpy"
    assert not [finding for finding in findings if finding.is_fatal]
    assert report(findings).endswith("seg3d can work, its ROS nodes cannot")


def test_libraries_that_open3d_misses_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    failure = "ImportError: libGL.so.1: cannot open shared object file: No such file or directory"
    monkeypatch.setattr(doctor, "_run", lambda code: (False, failure))

    def load(library: str) -> None:
        if library != "libusb-1.0.so.0":
            raise OSError(library)

    finding = doctor._open3d(load)
    assert (finding.state, finding.detail, finding.is_fatal) == ("broken", failure, True)
    assert finding.advice == "sudo apt-get update && sudo apt-get install -y libgl1 libegl1 libgomp1"
    finding = doctor._open3d(lambda library: None)
    assert "pip install --force-reinstall open3d" in finding.advice


def test_imports_that_fail_crash_or_hang_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor._run("print('first'); print('2.0')") == (True, "2.0")
    assert doctor._run("raise ImportError('libX')") == (False, "ImportError: libX")
    assert doctor._run("import os; os._exit(139)") == (False, "ended with code 139")
    monkeypatch.setattr(doctor, "IMPORT_TIMEOUT_S", 0.2)
    assert doctor._run("import time; time.sleep(9)") == (False, "no answer in 0.2 s")


def test_the_table_keeps_its_columns() -> None:
    table = report([
        Finding("numpy", "ok", "2.4", is_essential=True),
        Finding("longer_name", "broken", "one\ntwo", "do this\nand that"),
    ])  # fmt: skip
    assert table.splitlines()[:5] == [
        "ok      numpy        2.4",
        "broken  longer_name  one",
        "                     two",
        "                     -> do this",
        "                     -> and that",
    ]
