"""What is installed, and that the lock, setup.py and package.xml agree with the code."""

from __future__ import annotations

import ast
import os
import re
import runpy
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import setuptools
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
OPTIONAL_ROS = {"tf2_ros", "vision_msgs", "sensor_msgs_py", "tf_transformations"}
DISTRIBUTION_OF = {
    "PIL": "pillow",
    "backports": "backports.zstd",
    "compression": "backports.zstd",  # of which it is the later name
    "skimage": "scikit-image",
    "yaml": "pyyaml",
}
"""Modules whose distribution has another name."""
LOCKED_EXTRAS = ("ros", "train", "label", "ray", "test")
NEVER_IMPORTED = {"setuptools"}
"""Required all the same: colcon asks for it in ament_python packages."""


@pytest.fixture(scope="module")
def metadata() -> dict[str, Any]:
    """The arguments that setup.py gives to setup()."""
    captured: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setuptools, "setup", lambda **arguments: captured.update(arguments))
        patch.chdir(ROOT)
        runpy.run_path(str(ROOT / "setup.py"))
    return captured


def locked() -> list[Requirement]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def test_lock_is_pinned_and_names_no_host() -> None:
    assert "://" not in (ROOT / "requirements.lock").read_text()
    assert all(str(requirement.specifier).startswith("==") for requirement in locked())


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13"])
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_lock_satisfies_every_requirement(metadata: dict[str, Any], python: str, machine: str) -> None:
    environment = {"python_version": python, "python_full_version": f"{python}.5", "platform_machine": machine}
    environment |= {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
    pins = {
        canonicalize_name(pin.name): str(pin.specifier).removeprefix("==")
        for pin in locked()
        if pin.marker is None or pin.marker.evaluate(environment)
    }
    extras = metadata["extras_require"]
    for text in metadata["install_requires"] + [text for extra in LOCKED_EXTRAS for text in extras[extra]]:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate(environment):
            pin = pins.get(canonicalize_name(requirement.name))
            assert pin is not None, f"{text} is not in the lock for Python {python} on {machine}"
            assert requirement.specifier.contains(pin), f"{text}: the lock has {pin}"


USERS = {
    "torch": (
        "benchmark",
        "checkpoints",
        "devices.py",
        "labelling",
        "learning/averaging.py",
        "learning/point_sam",
        "learning/run_folder.py",
        "learning/segment3d",
        "point_ops",
        "point_sam",
        "segment3d",
        "sparse",
    ),
    "train": ("learning/segment3d",),
    "label": ("labelling",),
    "ray": ("labelling",),
}
"""Only these may import what an extra brings; Triton comes with PyTorch for CUDA."""


def imported_modules(package: str) -> Iterator[tuple[str, Path]]:
    """Top-level names of everything that a package imports, and where."""
    for file in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((alias.name.partition(".")[0], file) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                yield node.module.partition(".")[0], file


@pytest.mark.parametrize("package", ["seg3d_core", "seg3d_ros"])
def test_every_import_is_declared(metadata: dict[str, Any], package: str) -> None:
    required = {canonicalize_name(Requirement(text).name) for text in metadata["install_requires"]}
    extras = {
        extra: {canonicalize_name(Requirement(text).name) for text in metadata["extras_require"][extra]}
        for extra in USERS
    }
    extras["torch"].add("triton")
    wheels = {Requirement(text).name.removeprefix("ros-") for text in metadata["extras_require"]["ros"]}
    manifest = ElementTree.parse(ROOT / "package.xml")
    rosdep = {str(element.text) for element in manifest.iter("exec_depend")}
    for name, file in imported_modules(package):
        if name in sys.stdlib_module_names or name in ("seg3d_core", "seg3d_ros"):
            continue
        if name in rosdep:
            assert name in OPTIONAL_ROS or name.replace("_", "-") in wheels, f"{file}: no wheel of {name} is asked for"
        else:
            place = f"{file.relative_to(ROOT / package)}/"
            users = {extra: tuple(f"{each}/" for each in places) for extra, places in USERS.items()}
            allowed = required.union(*(extras[extra] for extra in USERS if place.startswith(users[extra])))
            known = canonicalize_name(DISTRIBUTION_OF.get(name, name)) in allowed
            assert known, f"{file} imports {name}, which setup.py does not require"


def test_every_requirement_is_used(metadata: dict[str, Any]) -> None:
    required = {canonicalize_name(Requirement(text).name) for text in metadata["install_requires"]}
    imported = {name for package in ("seg3d_core", "seg3d_ros") for name, _ in imported_modules(package)}
    used = {canonicalize_name(DISTRIBUTION_OF.get(name, name)) for name in imported}
    assert required - used == NEVER_IMPORTED


def test_package_xml_agrees_with_setup_py(metadata: dict[str, Any]) -> None:
    manifest = ElementTree.parse(ROOT / "package.xml").getroot()
    assert manifest.get("format") == "3"
    assert manifest.findtext("name") == metadata["name"]
    assert manifest.findtext("version") == metadata["version"]
    assert manifest.findtext("license") == metadata["license"]
    assert manifest.findtext("export/build_type") == "ament_python"


def test_every_command_is_there(metadata: dict[str, Any]) -> None:
    for entry in metadata["entry_points"]["console_scripts"]:
        module = entry.partition("= ")[2].partition(":")[0]
        file = ROOT / module.replace(".", "/")
        assert file.with_suffix(".py").is_file() or (file / "__init__.py").is_file(), entry


def installed_files(metadata: dict[str, Any]) -> set[str]:
    return {f"{folder}/{Path(file).name}" for folder, files in metadata["data_files"] for file in files}


def test_launch_and_config_are_installed_side_by_side(metadata: dict[str, Any]) -> None:
    files = installed_files(metadata)
    expected = {
        "launch/segment.launch.py",
        "config/scene.yaml",
        "config/fastdds.xml",
        "config/seg3d.rviz",
        "package.xml",
    }
    assert {f"share/seg3d_ros/{file}" for file in expected} <= files
    assert "share/ament_index/resource_index/packages/seg3d_ros" in files
    assert "share/seg3d_ros/config/cameras/realsense.yaml" in files


def test_wheel_holds_the_packages_and_nothing_else(metadata: dict[str, Any], tmp_path: Path) -> None:
    source = exported(tmp_path / "source")
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
        ".",
    ]
    subprocess.run(build, cwd=source, check=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {re.split(r"/|-0\.1\.0", name)[0] for name in names}
    assert tops == {"seg3d_core", "seg3d_ros"}
    shipped = {path.name for path in (ROOT / "seg3d_core" / "weights").iterdir()}
    assert {name.removeprefix("seg3d_core/weights/") for name in names if "/weights/" in name} == shipped != set()
    data = {name.partition(".data/data/")[2] for name in names if ".data/data/" in name}
    assert data == installed_files(metadata)


def test_colcon_builds_and_installs_everything(metadata: dict[str, Any], tmp_path: Path) -> None:
    if find_spec("colcon_ros") is None or find_spec("ament_package") is None:
        pytest.skip("colcon is not installed (colcon-common-extensions and ament_package)")
    exported(tmp_path / "src" / "seg3d_ros")
    environment = {**os.environ, "PYTHONPATH": ""}
    build = [sys.executable, "-m", "colcon", "build"]
    subprocess.run(build, cwd=tmp_path, env=environment, check=True, timeout=240, capture_output=True)
    prefix = tmp_path / "install" / "seg3d_ros"
    for file in installed_files(metadata):
        assert (prefix / file).exists(), file
    scene_node = prefix / "lib" / "seg3d_ros" / "scene_node"
    # An activated .venv must be honoured, whichever Python built the workspace.
    assert scene_node.read_text().startswith("#!/usr/bin/env python3")
    assert not list(prefix.rglob("tests"))


def exported(target: Path) -> Path:
    """The files of the checkout that git knows or would take, without what builds and runs left behind."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    for file in files:
        if (ROOT / file).is_file():
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            (target / file).write_bytes((ROOT / file).read_bytes())
    return target
