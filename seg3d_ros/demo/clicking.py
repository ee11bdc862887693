"""Which objects the demo clicks on, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from seg3d_core.config import RoomConfig
from seg3d_core.errors import Seg3dError
from seg3d_core.evaluation.clicks import overlap
from seg3d_core.learning.clicks import SimulatedClick, next_click
from seg3d_core.types import Cloud, Instances
from seg3d_ros.demo.click_user import ClickUser

FEWEST_POINTS = 150
"""What shows less is not clicked on."""

GOOD_ENOUGH = 0.9
"""Nobody corrects a mask that overlaps so much with what is meant."""


@dataclass(frozen=True, eq=False)
class Target:
    """What the user means.

    Attributes:
        name: for people.
        mask: (N,) its points in the fused cloud; None where there is no ground truth.
        place: the row of the only click then.
    """

    name: str
    mask: np.ndarray | None
    place: int = -1


@dataclass(frozen=True, eq=False)
class Step:
    """One click and its answer: (N,) mask, overlap with the truth (None where there is none), seconds."""

    click: SimulatedClick
    mask: np.ndarray
    iou: float | None
    seconds: float


@dataclass(eq=False)
class ClickedTarget:
    """All steps on one object."""

    target: Target
    steps: list[Step] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Clicked:
    """All objects that were clicked on, and what the node published as accepted, on the cloud that they are in."""

    objects: list[ClickedTarget]
    accepted: Instances


def targets_in_room(seed: int, cloud: Cloud, count: int) -> list[Target]:
    """Objects of a rendered room as they show in its fused cloud, from the largest to the smallest that is clear."""
    from seg3d_core.data.rooms import STRUCTURE_IDS, make_room
    from seg3d_core.evaluation.rooms import label_room

    labelled = label_room(make_room(seed, RoomConfig()), cloud)
    ids, sizes = np.unique(labelled.instance_id, return_counts=True)
    shown = [(size, number) for number, size in zip(ids.tolist(), sizes.tolist(), strict=True)
             if number > 0 and number not in STRUCTURE_IDS and size >= FEWEST_POINTS]  # fmt: skip
    ranked = [number for _, number in sorted(shown, reverse=True)]
    chosen = np.unique(np.linspace(0, len(ranked) - 1, min(count, len(ranked))).round().astype(int)) if ranked else []
    return [
        Target(str(labelled.names.get(ranked[at], ranked[at])), labelled.instance_id == ranked[at]) for at in chosen
    ]


def targets_at(places: Sequence[tuple[float, float, float]], cloud: Cloud) -> list[Target]:
    """What stands at these places (m, in the frame of the cloud); the nearest points are clicked on."""
    rows = [int(np.square(cloud.points - np.float32(place)).sum(axis=1).argmin()) for place in places]
    return [
        Target(f"at {place[0]:g} {place[1]:g} {place[2]:g}", None, row) for place, row in zip(places, rows, strict=True)
    ]


def click_on(user: ClickUser, cloud: Cloud, target: Target, clicks: int) -> ClickedTarget:
    """Click on the object, correct the mask where it is most wrong, and accept it.

    Raises:
        Seg3dError: the node does not answer, or answers with points of another cloud.
    """
    clicked = ClickedTarget(target)
    while len(clicked.steps) < clicks:
        before = clicked.steps[-1].mask if clicked.steps else None
        click = (
            SimulatedClick(target.place, True) if target.mask is None else next_click(cloud.points, target.mask, before)
        )
        answer = user.click(cloud.points[click.row], click.is_foreground, cloud.frame_id)
        mask = rows_of(answer.cloud, cloud)
        iou = None if target.mask is None else overlap(mask, target.mask)
        clicked.steps.append(Step(click, mask, iou, answer.seconds))
        if iou is None or iou >= GOOD_ENOUGH:
            break
    user.press("accept")
    return clicked


def rows_of(part: Cloud, whole: Cloud) -> np.ndarray:
    """(N,) which points of ``whole`` are those of ``part``.

    Raises:
        Seg3dError: a point of ``part`` is not one of ``whole``.
    """
    keys, wanted = _keys(whole.points), _keys(part.points)
    found = np.isin(keys, wanted)
    if not np.isin(wanted, keys).all():
        raise Seg3dError(f"the mask has {int((~np.isin(wanted, keys)).sum())} points that the clicked cloud has not")
    return found


def accepted_on(cloud: Cloud, points: Cloud, ids: np.ndarray) -> Instances:
    """Objects given by their points, with the id of each point, as instances of ``cloud``; the latest comes first.

    Where objects overlap, the point is the latest one's: it was accepted by somebody who saw the others.
    """
    known = np.unique(ids)[::-1]
    masks = np.array([rows_of(points.select(ids == number), cloud) for number in known]).reshape(len(known), len(cloud))
    return Instances(cloud, masks, np.ones(len(known), np.float32), known)


def _keys(points: np.ndarray) -> np.ndarray:
    """Coordinates as one value each, to be compared bit by bit."""
    return np.ascontiguousarray(points, np.float32).view("S12").ravel()
