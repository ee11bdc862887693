"""What people read is what the code does: generated tables, parameter files, launch arguments, README commands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytest.importorskip("rclpy", reason="needs rclpy: the ROS wheels (Python 3.11, 3.12) or a sourced ROS 2")

from seg3d_ros.documentation import NODES, documents, with_tables
from seg3d_ros.parameters import parameter_specs
from seg3d_ros.settings import FusionNodeConfig, NodeConfig, PromptNodeConfig, SceneNodeConfig

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", list(documents()), ids=lambda path: path.name)
def test_generated_files_are_up_to_date(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == documents()[path], "run ./run docs"


def test_only_what_is_between_markers_is_replaced() -> None:
    text = "before\n<!-- table: topics source_node -->\nold\n<!-- end -->\nafter\n"
    made = with_tables(text)
    assert made.startswith("before\n<!-- table: topics source_node -->\n| |")
    assert made.endswith("\n<!-- end -->\nafter\n")
    assert "old" not in made
    assert with_tables(made) == made


PARAMETER_FILES = [("scene", SceneNodeConfig), ("fusion", FusionNodeConfig), ("prompt", PromptNodeConfig)]


@pytest.mark.parametrize(("file", "config"), PARAMETER_FILES)
def test_parameter_files_are_the_defaults(file: str, config: type[NodeConfig]) -> None:
    values = yaml.safe_load((ROOT / "config" / f"{file}.yaml").read_text())["/**"]["ros__parameters"]
    assert config.build(values) == config()
    # A ROS parameter has one type for good: 1 in a file would not be a float.
    for spec in parameter_specs(config):
        value = values
        for part in spec.name.split("."):
            value = value[part]
        assert type(value) is spec.type, spec.name


def test_every_parameter_is_explained() -> None:
    specs = [(node, spec) for node, config in NODES.items() for spec in parameter_specs(config)]
    assert [f"{node} {spec.name}" for node, spec in specs if not spec.description.endswith((".", "none"))] == []


def test_readme_names_only_parameters_that_exist() -> None:
    known = {spec.name for config in NODES.values() for spec in parameter_specs(config)}
    named = set(re.findall(r"`((?:graph|tracking|fusion|camera|interaction|point_sam|scene)(?:\.[a-z0-9_]+)+)", README))
    assert named
    assert named <= known


def anchors(text: str) -> set[str]:
    """What links of a Markdown file can lead to."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README):
        path, _, anchor = target.partition("#")
        file = ROOT / (path or "README.md")
        assert file.exists(), target
        assert not anchor or anchor in anchors(file.read_text(encoding="utf-8")), target


def readme_commands() -> list[tuple[str, list[str]]]:
    """Commands of the blocks that are marked for it, each with the output lines shown below it."""
    commands: list[tuple[str, list[str]]] = []
    for block in re.findall(r"<!-- tested -->\n```console\n(.*?)```", README, flags=re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                commands.append((line[2:], []))
            else:
                commands[-1][1].append(line)
    return commands


@pytest.mark.ros
@pytest.mark.parametrize(("command", "shown"), readme_commands(), ids=[command for command, _ in readme_commands()])
def test_readme_commands_work(command: str, shown: list[str]) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    if command.startswith("seg3d ") and not (Path(sys.executable).parent / "seg3d").exists():
        command = f"{sys.executable} -m seg3d_core {command.removeprefix('seg3d ')}"
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(
        command, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for line in shown:
        assert line in done.stdout.splitlines(), f"{command} does not print {line!r}"
