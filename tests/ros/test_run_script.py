"""./run: the decisions it takes before and between calls of pip. What it installs is tried by running it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from seg3d_ros.dds_profile import profile_variable

ROOT = Path(__file__).resolve().parents[2]
TORCH_ABSENT = 'NO_TORCH=; VENV=/nonexistent; pip_install() { echo "pip $*"; }; '


def bash(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script in which the functions of ./run are known."""
    inherited = {name: value for name, value in os.environ.items() if name != "ROS_DISTRO"}
    return subprocess.run(
        ["bash", "-c", f"source {ROOT}/run; {script}"],
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_is_free_and_unknown_commands_are_refused() -> None:
    shown = subprocess.run([ROOT / "run", "--help"], capture_output=True, text=True, timeout=10, check=True)
    assert shown.stdout.startswith("usage: ./run COMMAND")
    refused = subprocess.run([ROOT / "run", "tset"], capture_output=True, text=True, timeout=10, check=False)
    assert refused.returncode == 2
    assert "unknown command tset" in refused.stderr


def test_python_that_is_not_there_is_named() -> None:
    result = bash("choose_python", SEG3D_PYTHON="python3.99")
    assert result.returncode == 2
    assert "no Python 3.11 or 3.12 found (looked at: python3.99)" in result.stderr


@pytest.mark.parametrize(("version", "accepted"), [("3.10", False), ("3.11", True), ("3.12", True), ("3.13", False)])
def test_wheels_need_their_pythons(tmp_path: Path, version: str, accepted: bool) -> None:
    interpreter = tmp_path / "python3"
    interpreter.write_text(f"#!/bin/sh\necho {version}\n")
    interpreter.chmod(0o755)
    assert (bash("choose_python", SEG3D_PYTHON=str(interpreter)).returncode == 0) is accepted
    beside_ros = bash("choose_python", SEG3D_PYTHON=str(interpreter), ROS_DISTRO="jazzy")
    assert beside_ros.returncode == 0


@pytest.mark.parametrize(
    ("installed", "wanted"),
    [("1.26.4", "1.26.4"), ("2.3.4", "2.3.4"), ("1.21.5", "1.26.4")],
    ids=["jazzy", "newer", "humble"],
)
def test_beside_a_distribution_its_ros_and_numpy_are_kept(tmp_path: Path, installed: str, wanted: str) -> None:
    interpreter = tmp_path / "python3"
    interpreter.write_text(f"#!/bin/sh\necho {installed}\n")
    interpreter.chmod(0o755)
    lines = bash(f"locked_requirements {interpreter}", ROS_DISTRO="jazzy").stdout.splitlines()
    assert [line for line in lines if line.startswith("numpy")] == [f"numpy=={wanted}"]
    assert not [line for line in lines if line.startswith("ros-")]
    assert [line for line in lines if line.startswith("open3d==")]


def test_without_a_distribution_the_lock_is_used_as_it_is() -> None:
    assert bash("locked_requirements python3").stdout == (ROOT / "requirements.lock").read_text()


def test_installed_torch_is_never_touched(tmp_path: Path) -> None:
    interpreter = tmp_path / "bin" / "python"
    interpreter.parent.mkdir()
    interpreter.write_text("#!/bin/sh\nexit 0\n")
    interpreter.chmod(0o755)
    for gpu in ("true", "false"):
        result = bash(f"{TORCH_ABSENT} VENV={tmp_path}; has_nvidia_gpu() {{ {gpu}; }}; install_torch")
        assert result.returncode == 0
        assert "pip" not in result.stdout + result.stderr


def test_a_machine_without_gpu_gets_the_cpu_build() -> None:
    result = bash(f"{TORCH_ABSENT} has_nvidia_gpu() {{ false; }}; install_torch")
    assert result.stdout.split() == ["pip", "--only-binary", ":all:", "torch==2.13.0+cpu"]


def test_a_machine_without_gpu_never_gets_the_cuda_build() -> None:
    script = f'{TORCH_ABSENT} pip_install() {{ echo "pip $*"; false; }}; has_nvidia_gpu() {{ false; }}; install_torch'
    result = bash(script)
    assert result.returncode == 0
    assert result.stdout.count("pip") == 1
    assert "/bin/pip install torch==2.13.0" in result.stderr


def test_a_gpu_gets_the_plain_build() -> None:
    result = bash(f"{TORCH_ABSENT} has_nvidia_gpu() {{ true; }}; install_torch")
    assert result.stdout.split() == ["pip", "torch==2.13.0"]


@pytest.mark.parametrize(
    ("torch", "triton", "installs"),
    [
        ("2.13.0+cpu", "", True),
        ("2.13.0+cpu", "3.7.1", False),
        ("2.13.0", "", False),
        ("2.9.1+cpu", "", False),
        ("", "", False),
    ],
)
def test_triton_is_installed_for_tests_beside_our_cpu_build(torch: str, triton: str, installs: bool) -> None:
    versions = f'version_of() {{ case $1 in torch) v="{torch}" ;; *) v="{triton}" ;; esac; echo $v; [ -n "$v" ]; }}'
    result = bash(f'{versions}; pip_install() {{ echo "pip $*"; }}; install_triton')
    assert result.returncode == 0
    assert ("triton==3.7.1" in result.stdout) == installs


def test_missing_system_packages_are_named_with_the_command() -> None:
    result = bash('id() { echo 1000; }; system_packages "Open3D: libGL.so.1: no such file" libgl1 libegl1')
    assert result.returncode == 2
    assert "Open3D: libGL.so.1: no such file" in result.stderr
    assert "sudo apt-get update && sudo apt-get install -y libgl1 libegl1" in result.stderr


@pytest.mark.parametrize(
    ("distribution", "variable"),
    [("jazzy", "FASTRTPS_DEFAULT_PROFILES_FILE"), ("", "FASTDDS_DEFAULT_PROFILES_FILE")],
)
def test_the_dds_profile_is_set_unless_the_user_has_one(
    monkeypatch: pytest.MonkeyPatch, distribution: str, variable: str
) -> None:
    monkeypatch.setenv("ROS_DISTRO", distribution)
    assert profile_variable() == variable
    script = f"unset {variable}; ros_environment; printenv {variable}"
    assert bash(script, ROS_DISTRO=distribution).stdout.strip() == f"{ROOT}/config/fastdds.xml"
    kept = bash(f"ros_environment; printenv {variable}", ROS_DISTRO=distribution, **{variable: "/mine.xml"})
    assert kept.stdout.strip() == "/mine.xml"


@pytest.mark.parametrize(("chosen", "expected"), [({}, "2"), ({"MALLOC_ARENA_MAX": "7"}, "7")])
def test_there_are_few_heaps_unless_the_user_wants_more(
    monkeypatch: pytest.MonkeyPatch, chosen: dict[str, str], expected: str
) -> None:
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    assert bash("ros_environment; printenv MALLOC_ARENA_MAX", **chosen).stdout.strip() == expected
