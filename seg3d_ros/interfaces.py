"""Message types by name: their classes, and the text of their definitions."""

from __future__ import annotations

import importlib
import os
import re
import sys
from pathlib import Path
from typing import Any

_FIELD = re.compile(r"^\s*([A-Za-z]\w*(?:/[A-Za-z]\w*)*)(?:<=\d+)?(?:\[[^\]]*\])?\s+[A-Za-z]\w*", re.MULTILINE)
"""A line of a .msg file that declares a field or a constant; the first group is the type."""

_PLAIN = {
    "bool", "byte", "char", "float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64",
    "uint64", "string", "wstring",
}  # fmt: skip


def message_class(type_name: str) -> Any:
    """The class of "package/msg/Name".

    Raises:
        ImportError: the package is not installed, or is of another age.
    """
    package, section, name = type_name.split("/")
    module = importlib.import_module(f"{package}.{section}")
    try:
        return getattr(module, name)
    except AttributeError as error:
        raise ImportError(f"{package}.{section} has no {name}") from error


def definition_texts(type_name: str) -> dict[str, str]:
    """The .msg files of a type and of all types that it refers to, by type name; those that are installed."""
    texts: dict[str, str] = {}
    waiting = [type_name]
    while waiting:
        name = waiting.pop()
        path = _definition_file(name)
        if name in texts or path is None:
            continue
        texts[name] = path.read_text(encoding="utf-8")
        waiting += _referred(texts[name], name.split("/")[0])
    return texts


def _definition_file(type_name: str) -> Path | None:
    package, section, name = type_name.split("/")
    prefixes = [*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix]
    paths = [Path(prefix) / "share" / package / section / f"{name}.msg" for prefix in prefixes if prefix]
    return next((path for path in paths if path.is_file()), None)


def _referred(text: str, package: str) -> list[str]:
    names = []
    for kind in _FIELD.findall(re.sub(r"#.*", "", text)):
        if kind not in _PLAIN:
            parts = kind.split("/")
            names.append(f"{parts[0] if len(parts) > 1 else package}/msg/{parts[-1]}")
    return names
