"""``seg3d doctor``: what is installed, what is missing, and the command that helps.

ROS is only looked for, never imported: the core does not know it. What may crash or fail on import (numba, Open3D,
torch) is imported in a process of its own.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import importlib.util
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

MIN_PYTHON = (3, 10)
IMPORT_TIMEOUT_S = 120.0

PLAIN_PACKAGES = {
    "numpy": "numpy", "scipy": "scipy", "PIL": "pillow", "yaml": "pyyaml", "pydantic": "pydantic",
    "jaxtyping": "jaxtyping", "rosbags": "rosbags", "safetensors": "safetensors",
}  # fmt: skip
"""Module and PyPI name of what is needed and harmless to look for."""

SYSTEM_LIBRARIES = {
    "libusb-1.0.so.0": "libusb-1.0-0", "libGL.so.1": "libgl1", "libEGL.so.1": "libegl1", "libgomp.so.1": "libgomp1",
}  # fmt: skip
"""What Open3D's wheel expects of the system, and the Debian package that has it."""

MESSAGE_PACKAGES = (
    "builtin_interfaces", "std_msgs", "sensor_msgs", "geometry_msgs", "nav_msgs", "visualization_msgs",
    "diagnostic_msgs", "lifecycle_msgs", "std_srvs",
)  # fmt: skip

OPTIONAL_ROS = {
    "tf2_ros": "without it camera poses come from a topic (pose_source:=pose_topic), not from tf",
    "message_filters": "not needed: colour and depth are paired without it",
    "vision_msgs": "without it ~/instances (Detection3DArray) is not published",
    "launch_ros": "without it start nodes by: python -m seg3d_ros.scene_node",
}
"""ROS packages that PyPI does not have, and what their absence means."""


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        name: what was looked for.
        state: "ok", "missing" or "broken".
        detail: its version, or what is wrong.
        advice: command or sentence; empty where nothing needs to be done.
        is_essential: seg3d cannot do without it.
    """

    name: str
    state: str
    detail: str
    advice: str = ""
    is_essential: bool = False

    @property
    def is_fatal(self) -> bool:
        """Whether seg3d cannot work because of this."""
        return self.is_essential and self.state != "ok"


def examine(with_dds: bool = True) -> list[Finding]:
    """Look at everything; ``with_dds`` also sends messages between two ROS processes for some seconds."""
    findings = [_python()]
    findings += [_package(module, package) for module, package in PLAIN_PACKAGES.items()]
    findings += [_importable("numba"), _open3d(), _torch(), *_segment3d()]
    findings += _ros()
    if with_dds and _is_there("rclpy"):
        findings.append(_dds())
    return findings


def report(findings: Sequence[Finding]) -> str:
    """The findings as a table, and a last line that sums up."""
    width = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        first, *more = finding.detail.splitlines() or [""]
        lines.append(f"{finding.state:8}{finding.name:{width + 2}}{first}")
        lines += [f"{'':{width + 10}}{line}" for line in more]
        lines += [f"{'':{width + 10}}-> {line}" for line in finding.advice.splitlines()]
    fatal = [finding.name for finding in findings if finding.is_fatal]
    ros = all(finding.state == "ok" for finding in findings if finding.name in ("rclpy", "messages"))
    verdict = f"seg3d cannot work: {', '.join(fatal)}" if fatal else "seg3d can work"
    return "\n".join([*lines, "", verdict + ("" if fatal or ros else ", its ROS nodes cannot")])


def _python() -> Finding:
    wanted = ".".join(map(str, MIN_PYTHON))
    state = "ok" if sys.version_info >= MIN_PYTHON else "broken"
    advice = "" if state == "ok" else f"Python {wanted} or newer is needed"
    return Finding("python", state, f"{platform.python_version()} ({sys.executable})", advice, True)


def _is_there(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _version(*packages: str) -> str:
    for package in packages:
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "version unknown"


def _pip(package: str) -> str:
    return f"{sys.executable} -m pip install {package}"


def _from_checkout(extra: str = "") -> str:
    """Never by name alone: whoever owns that name on PyPI, it is not us."""
    root = Path(__file__).resolve().parents[1]
    return _pip(f"'{root}{extra}'") if (root / "setup.py").is_file() else "./run setup   (in a checkout of seg3d_ros)"


def _package(module: str, package: str) -> Finding:
    if not _is_there(module):
        return Finding(package, "missing", "", _pip(package), True)
    return Finding(package, "ok", _version(package), is_essential=True)


def _run(code: str) -> tuple[bool, str]:
    """Run Python code in a process of its own: whether it went well, and its last line of output or error."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=IMPORT_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return False, f"no answer in {IMPORT_TIMEOUT_S:g} s"
    if done.returncode == 0:
        return True, (done.stdout.strip().splitlines() or [""])[-1]
    last = (done.stderr.strip().splitlines() or [f"ended with code {done.returncode}"])[-1]
    return False, last


def _importable(module: str) -> Finding:
    if not _is_there(module):
        return Finding(module, "missing", "", _pip(module), True)
    works, answer = _run(f"import {module}; print({module}.__version__)")
    if works:
        return Finding(module, "ok", answer, is_essential=True)
    return Finding(module, "broken", answer, _pip(f"--force-reinstall {module}"), True)


def _open3d(load: Callable[[str], object] = ctypes.CDLL) -> Finding:
    finding = _importable("open3d")
    if finding.state != "broken":
        return finding
    missing = []
    for library, package in SYSTEM_LIBRARIES.items():
        try:
            load(library)
        except OSError:
            missing.append(package)
    if not missing:
        return finding
    advice = f"sudo apt-get update && sudo apt-get install -y {' '.join(missing)}"
    return Finding("open3d", "broken", finding.detail, advice, True)


def _torch() -> Finding:
    if not _is_there("torch"):
        return Finding("torch", "missing", "without it: graph segmentation only, no Segment3D", _pip("'torch>=2.6'"))
    code = (
        "import torch; c = torch.cuda; n = c.device_count();"
        "print(torch.__version__ + ', ' + (', '.join(c.get_device_name(i) for i in range(n)) or 'no CUDA device'))"
    )
    works, answer = _run(code)
    return Finding("torch", "ok" if works else "broken", answer, "" if works else _pip("--force-reinstall torch"))


def _segment3d() -> list[Finding]:
    """Which device and engine the network would run on."""
    if not _is_there("torch"):
        return []
    code = "from seg3d_core.segment3d.availability import availability; print(' | '.join(availability()))"
    works, answer = _run(code)
    return [Finding("segment3d", "ok" if works else "broken", answer.replace(" | ", "\n"))]


def _ros() -> list[Finding]:
    distro = os.environ.get("ROS_DISTRO", "")
    findings = [_rclpy(distro), _messages(distro)]
    for module, meaning in OPTIONAL_ROS.items():
        if _is_there(module):
            findings.append(Finding(module, "ok", _version(module)))
        else:
            command = f"sudo apt-get install -y {_deb(distro, module)}" if distro else ""
            findings.append(Finding(module, "missing", meaning, command))
    return findings


def _deb(distro: str, package: str) -> str:
    return f"ros-{distro}-{package.replace('_', '-')}"


def _rclpy(distro: str) -> Finding:
    if _is_there("rclpy"):
        middleware = os.environ.get("RMW_IMPLEMENTATION", "the default middleware")
        origin = f"ROS 2 {distro}" if distro else "ROS 2 from wheels"
        return Finding("rclpy", "ok", f"{_version('rclpy', 'ros-rclpy')}, {origin}, {middleware}")
    if distro:
        return Finding("rclpy", "missing", "no ROS nodes", f"sudo apt-get install -y {_deb(distro, 'rclpy')}")
    advice = "source /opt/ros/<distro>/setup.bash, or, without a ROS distribution, on Python 3.11 or 3.12:\n"
    return Finding("rclpy", "missing", "no ROS nodes", advice + _from_checkout("[ros]"))


def _messages(distro: str) -> Finding:
    missing = [package for package in MESSAGE_PACKAGES if not _is_there(package)]
    detail = f"{len(MESSAGE_PACKAGES) - len(missing)} of {len(MESSAGE_PACKAGES)} packages"
    if not missing:
        return Finding("messages", "ok", detail)
    names = [_deb(distro, package) if distro else f"ros-{package.replace('_', '-')}" for package in missing]
    command = f"sudo apt-get install -y {' '.join(names)}" if distro else _pip(" ".join(names))
    return Finding("messages", "missing", f"{detail}; missing: {', '.join(missing)}", command)


def _dds() -> Finding:
    """Measured in a process of its own, by the package that knows ROS."""
    if not _is_there("seg3d_ros"):
        return Finding("dds", "missing", "not measured: seg3d_ros is not installed", _from_checkout())
    try:
        done = subprocess.run(
            [sys.executable, "-m", "seg3d_ros.dds_check"], capture_output=True, text=True, timeout=60, check=False
        )
    except subprocess.TimeoutExpired:
        return Finding("dds", "broken", "not measured: no answer in 60 s")
    output = done.stdout.strip() or (done.stderr.strip().splitlines() or ["no output"])[-1]
    detail = "\n".join(line for line in output.splitlines() if not line.startswith("-> "))
    advice = "\n".join(line[3:] for line in output.splitlines() if line.startswith("-> "))
    return Finding("dds", "ok" if done.returncode == 0 else "broken", detail, advice)
