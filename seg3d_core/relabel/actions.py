"""Everything that can be done to the labels of a scene: small values that a browser, a script and a journal share.

Places are metres in the frame of the scene's cloud. Instance ids are those of ``InstanceRecord``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from seg3d_core.errors import InputError

Place = tuple[float, float, float]
Matrix = tuple[float, ...]
"""A 4x4 matrix, row by row."""


@dataclass(frozen=True)
class New:
    """Begin another object; the one in progress is rejected."""


@dataclass(frozen=True)
class Click:
    """On the object in progress, or beside it; the first one begins an object."""

    point_m: Place
    is_foreground: bool = True


@dataclass(frozen=True)
class Choose:
    """Which of the candidates is meant, from 1."""

    candidate: int


@dataclass(frozen=True)
class Box:
    """The object between two opposite corners of a box along the axes."""

    corner_m: Place
    opposite_m: Place


@dataclass(frozen=True)
class Lasso:
    """The object inside a closed line that was drawn over a view.

    Attributes:
        outline: corners of the line as (x/z, y/z) in the optical frame of the view.
        T_world_camera: of the view, 16 numbers.
    """

    outline: tuple[tuple[float, float], ...]
    T_world_camera: Matrix


@dataclass(frozen=True)
class Edit:
    """Correct an instance: it becomes the object in progress."""

    instance_id: int


@dataclass(frozen=True)
class Accept:
    """Keep the object in progress.

    Attributes:
        name: what it is; empty: as before, or not known.
        over: whether it takes points from everything, or leaves other instances that a person accepted theirs.
    """

    name: str = ""
    over: Literal["everything", "unaccepted"] = "everything"


@dataclass(frozen=True)
class Delete:
    """The points of an instance belong to none."""

    instance_id: int


@dataclass(frozen=True)
class Merge:
    """Several instances are one; it has the lowest of their ids."""

    instance_ids: tuple[int, ...]


@dataclass(frozen=True)
class Split:
    """An instance is several; the largest keeps the id.

    Attributes:
        instance_id: of the instance.
        points_m: one place on each of the parts; none: what does not hang together is apart.
    """

    instance_id: int
    points_m: tuple[Place, ...] = ()


@dataclass(frozen=True)
class Label:
    """Call an instance something."""

    instance_id: int
    name: str


@dataclass(frozen=True)
class Confirm:
    """A person has looked at proposals and finds them right; no ids: at all there are."""

    instance_ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Propose:
    """Let a model find instances where there are none; its earlier proposals go, unless a person accepted them.

    Attributes:
        model: as of ``seg3d segment --model``: graph, point_sam_proposals, a checkpoint of Segment3D.
    """

    model: str = "graph"


@dataclass(frozen=True)
class Undo:
    """Take back the last action that was not undone."""


Prompting = Click | Choose | Box | Lasso | Edit
"""Actions that change the object in progress, and no labels."""

Action = New | Prompting | Accept | Delete | Merge | Split | Label | Confirm | Propose | Undo

ACTIONS: dict[str, type[Any]] = {
    kind.__name__.lower(): kind
    for kind in (New, Click, Choose, Box, Lasso, Edit, Accept, Delete, Merge, Split, Label, Confirm, Propose, Undo)
}
"""By the name that scripts and journals use."""


def action_to_json(action: Action) -> dict[str, Any]:
    """For a journal."""
    return {"do": type(action).__name__.lower(), **asdict(action)}


def action_from_json(values: dict[str, Any]) -> Action:
    """What ``action_to_json`` made, or somebody wrote by hand.

    Raises:
        InputError: no action has that name, or its values do not fit.
    """
    name = values.get("do")
    if name not in ACTIONS:
        raise InputError(f"there is no action {name!r}; there are: {', '.join(ACTIONS)}")
    rest = {key: value for key, value in values.items() if key != "do"}
    unknown = set(rest) - set(ACTIONS[name].__dataclass_fields__)
    if unknown:
        known = ", ".join(ACTIONS[name].__dataclass_fields__) or "nothing"
        raise InputError(f"{name}: {sorted(unknown)[0]!r} is unknown, it takes {known}")
    try:
        action: Action = TypeAdapter(ACTIONS[name]).validate_python(rest)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{name}: {where or 'values'}: {first['msg']}, got {first['input']!r}") from error
    return action
