"""Writes what documentation and settings files repeat from the code: ``python -m seg3d_ros.documentation``.

Parameters come from the config classes, topics and services from ``seg3d_ros.topics``. ``--check`` writes nothing and
fails when a file is out of date.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from seg3d_core.config import Config
from seg3d_ros.bag_source_node import BagSourceConfig
from seg3d_ros.parameters import ParameterSpec, parameter_specs
from seg3d_ros.recorder_settings import RecorderNodeConfig
from seg3d_ros.settings import FusionNodeConfig, PromptNodeConfig, SceneNodeConfig
from seg3d_ros.source_node import SourceConfig
from seg3d_ros.topics import Endpoint, endpoints
from seg3d_ros.viewer_settings import ViewerNodeConfig

ROOT = Path(__file__).resolve().parent.parent
NODES: dict[str, type[Config]] = {
    "scene_node": SceneNodeConfig,
    "fusion_node": FusionNodeConfig,
    "prompt_node": PromptNodeConfig,
    "recorder_node": RecorderNodeConfig,
    "viewer_node": ViewerNodeConfig,
    "source_node": SourceConfig,
    "bag_source_node": BagSourceConfig,
}
NOTICE = "Written by `./run docs` from the code; edit the config classes and seg3d_ros/topics.py instead."


def documents() -> dict[Path, str]:
    """All generated files and what should be in them."""
    readme = ROOT / "README.md"
    return {
        ROOT / "docs" / "parameters.md": _page("Parameters", {name: parameter_table(name) for name in NODES}),
        ROOT / "docs" / "topics.md": _page("Topics and services", {name: topic_table(name) for name in NODES}),
        ROOT / "config" / "scene.yaml": parameter_file("scene_node"),
        ROOT / "config" / "fusion.yaml": parameter_file("fusion_node"),
        ROOT / "config" / "prompt.yaml": parameter_file("prompt_node"),
        ROOT / "config" / "recorder.yaml": parameter_file("recorder_node"),
        ROOT / "config" / "viewer.yaml": parameter_file("viewer_node"),
        readme: with_tables(readme.read_text(encoding="utf-8")),
    }


def parameter_table(node: str) -> str:
    """Markdown table of a node's parameters; a star marks those that may be changed while the node runs."""
    header = "| parameter | default | range | meaning |\n|---|---|---|---|\n"
    return header + "\n".join(_parameter_row(spec) for spec in parameter_specs(NODES[node]))


def topic_table(node: str) -> str:
    """Markdown table of a node's topics and services."""
    header = "| | name | type | meaning |\n|---|---|---|---|\n"
    return header + "\n".join(_topic_row(endpoint) for endpoint in endpoints(node))


def parameter_file(node: str) -> str:
    """YAML parameter file of a node with every default, explained; valid under any namespace and node name."""
    lines = [
        f"# Every parameter of {node} with its default. To change some, write a file with those alone and launch with",
        "# params_file:=FILE. (dynamic): ros2 param set works while the node runs.",
        f"# {NOTICE}",
        "/**:",
        "  ros__parameters:",
        *_yaml_lines(parameter_specs(NODES[node])),
    ]
    return "\n".join(lines) + "\n"


def with_tables(text: str) -> str:
    """The README with the tables between its ``<!-- table: KIND NODE -->`` and ``<!-- end -->`` markers made anew."""
    kinds = {"topics": topic_table, "parameters": parameter_table}
    head, *sections = text.split("<!-- table: ")
    for section in sections:
        name, _, rest = section.partition(" -->")
        kind, node = name.split()
        tail = rest.partition("<!-- end -->")[2]
        head += f"<!-- table: {name} -->\n{kinds[kind](node)}\n<!-- end -->{tail}"
    return head


def _page(title: str, tables: dict[str, str]) -> str:
    parts = [f"<!-- {NOTICE} -->", f"# {title}"]
    if title == "Parameters":
        parts.append("A star: may be changed while the node runs. The others are read when the node is configured.")
    for node, table in tables.items():
        parts += [f"## {node}", table]
    return "\n\n".join(parts) + "\n"


def _parameter_row(spec: ParameterSpec) -> str:
    star = " *" if spec.dynamic else ""
    meaning = spec.description.replace("<", "&lt;")
    allowed = ", ".join(f"`{choice}`" for choice in spec.choices) or _range(spec)
    return f"| `{spec.name}`{star} | `{_scalar(spec.default)}` | {allowed} | {meaning} |"


def _topic_row(endpoint: Endpoint) -> str:
    return f"| {endpoint.kind} | `{endpoint.name}` | {endpoint.type} | {endpoint.meaning} |"


def _range(spec: ParameterSpec) -> str:
    if spec.low is None and spec.high is None:
        return ""
    low = "-inf" if spec.low is None else f"{'above ' if spec.open_low else ''}{spec.low:g}"
    high = "inf" if spec.high is None else f"{'below ' if spec.open_high else ''}{spec.high:g}"
    return f"{low} to {high}"


def _scalar(value: object) -> str:
    """One value as YAML, text always quoted."""
    style = '"' if isinstance(value, str) else None
    return yaml.safe_dump(value, default_style=style, width=10_000).splitlines()[0]


def _yaml_lines(specs: Iterable[ParameterSpec]) -> Iterator[str]:
    open_groups: list[str] = []
    for spec in specs:
        *groups, name = spec.name.split(".")
        pairs = itertools.zip_longest(groups, open_groups)
        shared = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
        for depth in range(shared, len(groups)):
            yield f"{_indent(depth)}{groups[depth]}:"
        open_groups = groups
        comment = f"{_indent(len(groups))}# "
        yield from textwrap.wrap(_about(spec), 118, initial_indent=comment, subsequent_indent=comment)
        yield f"{_indent(len(groups))}{name}: {_scalar(spec.default)}"


def _indent(depth: int) -> str:
    """Of what lies in so many groups."""
    return "    " + "  " * depth


def _about(spec: ParameterSpec) -> str:
    allowed = f"One of {', '.join(spec.choices)}." if spec.choices else _range(spec)
    return " ".join(part for part in (spec.description, allowed, "(dynamic)" if spec.dynamic else "") if part)


def main() -> int:
    """Write the files, or with ``--check`` say which are out of date; the exit status."""
    parser = argparse.ArgumentParser(prog="./run docs", description="Write the generated documentation anew.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is out of date")
    check = parser.parse_args().check
    for path, text in documents().items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if check:
            print(f"{path.relative_to(ROOT)} is out of date: ./run docs", file=sys.stderr)
            return 1
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
