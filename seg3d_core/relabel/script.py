"""Scripts of actions in YAML, for tests and batch jobs.

    - propose: graph
    - click: [0.42, 0.25, 0.1]
    - exclude: [0.60, 0.25, 0.0]
    - choose: 2
    - accept: box
    - merge: [3, [0.1, 0.4, 0.16]]
    - undo

A list is for every scene; a mapping has a list for each scene by its name, "*" for all others. Wherever an instance is
meant, its id or a place (m) on it will do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from seg3d_core.errors import InputError
from seg3d_core.relabel.actions import Accept, Action, action_from_json
from seg3d_core.relabel.session import RelabelSession

Resolve = Callable[[RelabelSession], Action]
"""The action that a step means in a scene as it is then."""

OTHERS = "*"


@dataclass(frozen=True)
class SceneScript:
    """The steps for one scene.

    Attributes:
        digest: the same for the same steps.
        steps: in order.
    """

    digest: str
    steps: tuple[Resolve, ...]


class Script:
    """A file of steps.

    Raises:
        InputError: it cannot be read, is no YAML, or a step is malformed; the message says which.
    """

    def __init__(self, path: Path) -> None:
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise InputError(f"cannot read the script {path}: {error}") from error
        lists = content if isinstance(content, dict) else {OTHERS: content}
        self._scenes = {str(name): _scene_script(steps, f"{path}, {name}") for name, steps in lists.items()}

    def steps_for(self, scene: str) -> SceneScript:
        """What is to be done to the scene of that name; perhaps nothing."""
        return self._scenes.get(scene) or self._scenes.get(OTHERS) or SceneScript("", ())


def _scene_script(steps: Any, where: str) -> SceneScript:
    if not isinstance(steps, list):
        raise InputError(f"{where}: expected a list of steps, got {steps!r}")
    resolved = []
    for number, step in enumerate(steps, 1):
        try:
            resolved.append(_step(step))
        except InputError as error:
            raise InputError(f"{where}, step {number}: {error}") from error
    text = json.dumps(steps, sort_keys=True, default=str)
    return SceneScript(hashlib.sha256(text.encode()).hexdigest()[:16], tuple(resolved))


def _step(step: Any) -> Resolve:
    """Of one line: a name, or a name with a value."""
    name, value = (step, None) if isinstance(step, str) else _single(step)
    make = _STEPS.get(name)
    if make is None:
        raise InputError(f"{name!r} is unknown; there are: {', '.join(_STEPS)}")
    return make(value)


def _single(step: Any) -> tuple[str, Any]:
    if not isinstance(step, dict) or len(step) != 1:
        raise InputError(f"expected a name or NAME: VALUE, got {step!r}")
    ((name, value),) = step.items()
    return str(name), value


def _fixed(kind: str, key: str = "", **rest: Any) -> Callable[[Any], Resolve]:
    """A step whose value is one field of the action, or all of its fields where there is no ``key``."""

    def make(value: Any) -> Resolve:
        fields = {} if value is None else value if isinstance(value, dict) else {key: value}
        action = action_from_json({"do": kind, **rest, **fields})
        return lambda session: action

    return make


def _box(value: Any) -> Resolve:
    if not isinstance(value, list) or len(value) != 2:
        raise InputError(f"box: expected two opposite corners, got {value!r}")
    return _fixed("box")({"corner_m": value[0], "opposite_m": value[1]})


def _instance(kind: str) -> Callable[[Any], Resolve]:
    """A step about one instance: it alone, or with the other fields of the action."""

    def make(value: Any) -> Resolve:
        fields = dict(value) if isinstance(value, dict) else {"instance": value}
        find = _reference(fields.pop("instance", None))
        action_from_json({"do": kind, "instance_id": 1, **fields})
        return lambda session: action_from_json({"do": kind, "instance_id": find(session), **fields})

    return make


def _instances(kind: str) -> Callable[[Any], Resolve]:
    def make(value: Any) -> Resolve:
        if value is not None and not isinstance(value, list):
            raise InputError(f"{kind}: expected a list of instances, got {value!r}")
        found = [_reference(one) for one in value or ()]
        return lambda session: action_from_json({"do": kind, "instance_ids": [find(session) for find in found]})

    return make


def _reference(value: Any) -> Callable[[RelabelSession], int]:
    """An instance by its id, or by a place on it."""
    if isinstance(value, int) and not isinstance(value, bool):
        return lambda session: int(value)
    if isinstance(value, list) and len(value) == 3 and all(isinstance(one, (int, float)) for one in value):
        place = np.array(value, np.float64)
        return lambda session: session.instance_at(place)
    raise InputError(f"{value!r} is no instance: expected its id, or x, y, z (m) of a place on it")


def _accept(value: Any) -> Resolve:
    return _fixed("accept", "name")(value) if value is not None else lambda session: Accept()


_STEPS: dict[str, Callable[[Any], Resolve]] = {
    "new": _fixed("new"),
    "click": _fixed("click", "point_m"),
    "exclude": _fixed("click", "point_m", is_foreground=False),
    "choose": _fixed("choose", "candidate"),
    "box": _box,
    "lasso": _fixed("lasso"),
    "edit": _instance("edit"),
    "accept": _accept,
    "delete": _instance("delete"),
    "merge": _instances("merge"),
    "split": _instance("split"),
    "label": _instance("label"),
    "confirm": _instances("confirm"),
    "propose": _fixed("propose", "model"),
    "undo": _fixed("undo"),
}
