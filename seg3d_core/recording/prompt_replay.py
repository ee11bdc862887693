"""Logged prompts asked again, of another model: how far its masks agree with those that were accepted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64
from pydantic import Field
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_typestore
from scipy.spatial import cKDTree

from seg3d_core.data.bag_clouds import decode_cloud, decode_instances, input_cloud_topic
from seg3d_core.data.bag_poses import bag_transforms
from seg3d_core.data.bags import BagMessage, BagReader
from seg3d_core.data.transform_tree import TransformTree
from seg3d_core.errors import InputError
from seg3d_core.interaction.model import PromptModel
from seg3d_core.interaction.session import ObjectSession
from seg3d_core.interaction_config import InteractionConfig
from seg3d_core.point_sam_config import PromptModelConfig
from seg3d_core.types import Cloud, Instances

_STORE = get_typestore(Stores.ROS2_JAZZY)
_PROMPTS = ("clicked_point", "clicked_point_negative", "prompt_goal", "prompt_box", "prompt_instance")
_SAME_POINT_M = 1e-5
"""A point of the accepted object is a point of the cloud if it is no farther from it."""

_LEAST_SHARE = 0.5
"""So much of an accepted object must be on the cloud that is asked about, or it was accepted on another one."""


class ReplayConfig(PromptModelConfig):
    """What answers the prompts, and on which clouds."""

    cloud_topic: str = Field("", description="Topic of the clouds that were clicked on; empty: the only one.")
    interaction: InteractionConfig = InteractionConfig.build({})


@dataclass(frozen=True)
class ReplayedObject:
    """One object that was accepted.

    Attributes:
        instance_id: as it was given on the robot.
        prompts: that were asked until it was accepted.
        recorded, now: points of the accepted mask, and of the model's.
        iou: of the two; NaN where they cannot be compared.
        note: why not; empty where they can.
    """

    instance_id: int
    prompts: int
    recorded: int
    now: int
    iou: float
    note: str = ""


def replay_prompts(
    path: Path, config: ReplayConfig, model: PromptModel, report: Callable[[int, int], None]
) -> list[ReplayedObject]:
    """Ask ``model`` everything that was asked while ``path`` was recorded; a row for each object that was accepted.

    What was done by services (undo, next candidate, reject) is done again where prompt_node's ``actions`` are recorded.
    Where they are not, the empty mask that was published then tells that an object was dropped, and nothing else.

    Args:
        path: a recording with clouds, prompts and prompt_node's ``accepted``.
        config: see ``ReplayConfig``.
        model: what answers.
        report: told how many messages were read, of how many.

    Raises:
        InputError: unreadable, or without clouds, prompts or accepted objects.
    """
    cloud_topic = input_cloud_topic(path, config.cloud_topic)
    if not cloud_topic:
        raise InputError(f"{path} has no clouds, so that it is not known what was clicked on")
    with BagReader(path) as reader:
        names = {topic.name: topic for topic in reader.topics() if topic.count}
        used = [name for name in names if _last(name) in (*_PROMPTS, "accepted", "actions", "mask", "instance_cloud")]
        for needed in ("clicked_point or another prompt", "accepted"):
            wanted = _PROMPTS if needed != "accepted" else (needed,)
            if not any(_last(name) in wanted for name in used):
                raise InputError(f"{path} has no {needed}: nothing can be asked again; it has {', '.join(names)}")
        acts = any(_last(name) == "actions" for name in used)
        replay = _Replay(ObjectSession(model, config.interaction), _transforms(path), acts)
        total = sum(names[name].count for name in {*used, cloud_topic})
        for number, message in enumerate(reader.messages([*used, cloud_topic]), 1):
            replay.take("cloud" if message.topic == cloud_topic else _last(message.topic), message)
            report(number, total)
    return replay.rows


class _Replay:
    """A session that is asked what was asked."""

    def __init__(self, session: ObjectSession, tree: TransformTree | None, acts: bool) -> None:
        self.rows: list[ReplayedObject] = []
        self._session, self._tree, self._acts = session, tree, acts
        self._cloud: BagMessage | None = None
        self._found: BagMessage | None = None
        self._known: set[int] = set()
        self._prompts = 0
        self._dropped = False
        self._refusal = ""

    def take(self, what: str, message: BagMessage) -> None:
        if what == "cloud":
            self._cloud = message
        elif what == "instance_cloud":
            self._found = message
        elif what == "actions":
            self._act(_decoded(message).data)
        elif what == "mask":
            # An object that was accepted has an empty mask, too, just before or after; the next prompt tells.
            self._dropped = not self._acts and self._prompts > 0 and len(decode_cloud(message.data)) == 0
        elif what == "accepted":
            self._compare(decode_instances(message.data))
        else:
            self._prompt(what, message)

    def _act(self, action: str) -> None:
        """Do what a service did; ``accept`` is seen by what is accepted then."""
        session = self._session
        acts: dict[str, Callable[[], object]] = {
            "undo": session.undo,
            "clear": session.clear,
            "next_candidate": session.next_candidate,
            "reject": self._begin,
            "new_object": self._begin,
        }
        try:
            acts.get(action, lambda: None)()
        except InputError as error:
            self._refusal = f"{action}: {error}"

    def _prompt(self, what: str, message: BagMessage) -> None:
        if self._dropped:
            self._begin()
        self._prompts += 1
        try:
            if not self._session.busy and self._cloud is not None:
                self._session.set_cloud(decode_cloud(self._cloud.data))
            self._ask(what, _decoded(message))
        except InputError as error:
            self._refusal = f"{what}: {error}"

    def _ask(self, what: str, message: Any) -> None:
        session, cloud = self._session, self._session.cloud
        if cloud is None:
            raise InputError("there is no cloud before it")
        if what in ("clicked_point", "clicked_point_negative"):
            session.click(self._placed([message.point], message, cloud)[0], what == "clicked_point")
        elif what == "prompt_box":
            corners = self._placed(message.polygon.points, message, cloud)
            session.select_box(corners[0], corners[-1])
        elif what == "prompt_goal":
            x, y, _ = self._placed([message.pose.position], message, cloud)[0].tolist()
            session.select_goal(x, y, self._instances())
        elif (instances := self._instances()) is not None:
            session.select_instance_at(instances, self._placed([message.point], message, cloud)[0])

    def _instances(self) -> Instances | None:
        return None if self._found is None else decode_instances(self._found.data)

    def _placed(self, points: Any, message: Any, cloud: Cloud) -> Float64[np.ndarray, "P 3"]:
        """Points of a message in the frame of the cloud."""
        frame = message.header.frame_id.lstrip("/")
        places = np.array([[point.x, point.y, point.z] for point in points], np.float64)
        if frame in ("", cloud.frame_id.lstrip("/")):
            return places
        if self._tree is None:
            raise InputError(f"it is in frame {frame}, the cloud in {cloud.frame_id}, and there are no transforms")
        T_cloud_click = self._tree.lookup(cloud.frame_id, frame, cloud.stamp_ns)
        moved: Float64[np.ndarray, "P 3"] = places @ T_cloud_click[:3, :3].T + T_cloud_click[:3, 3]
        return moved

    def _compare(self, accepted: Instances) -> None:
        for row, instance_id in enumerate(accepted.instance_ids.tolist()):
            if instance_id not in self._known:
                self._known.add(instance_id)
                self.rows.append(self._compared(instance_id, accepted.cloud.select(accepted.masks[row])))
        self._begin()

    def _compared(self, instance_id: int, recorded: Cloud) -> ReplayedObject:
        selection, prompts, count = self._session.selection, self._prompts, len(recorded)
        if selection is None:
            note = self._refusal or "no prompts were recorded before it"
            return ReplayedObject(instance_id, prompts, count, 0, float("nan"), note)
        truth, share = _on(selection.cloud, recorded)
        now = int(selection.mask.sum())
        if share < _LEAST_SHARE:
            note = f"{share * 100:.0f} % of its points are on the cloud that was clicked on"
            return ReplayedObject(instance_id, prompts, count, now, float("nan"), note)
        iou = float((truth & selection.mask).sum() / max((truth | selection.mask).sum(), 1))
        return ReplayedObject(instance_id, prompts, count, now, iou, self._refusal)

    def _begin(self) -> None:
        """Another object."""
        self._session.new_object()
        self._prompts, self._dropped, self._refusal = 0, False, ""


def _on(cloud: Cloud, part: Cloud) -> tuple[Bool[np.ndarray, " N"], float]:
    """The points of ``cloud`` that are in ``part``, and how much of ``part`` they are."""
    if len(part) == 0:
        return np.zeros(len(cloud), np.bool_), 0.0
    # Both ways: a cloud may have several points at one place.
    mask: Bool[np.ndarray, " N"] = _near(part, cloud)
    return mask, float(_near(cloud, part).mean())


def _near(there: Cloud, points: Cloud) -> Bool[np.ndarray, " N"]:
    """Which of ``points`` are points of ``there``."""
    distances_m, _ = cKDTree(there.points).query(points.points, distance_upper_bound=_SAME_POINT_M)
    near: Bool[np.ndarray, " N"] = np.isfinite(distances_m)
    return near


def _transforms(path: Path) -> TransformTree | None:
    try:
        return bag_transforms(path)
    except InputError:  # clicks in the cloud's frame need none; others say so
        return None


def _decoded(message: BagMessage) -> Any:
    try:
        return _STORE.deserialize_cdr(message.data, message.type_name)
    except (SerdeError, ValueError, IndexError, KeyError, AssertionError) as error:
        raise InputError(f"{message.topic} at {message.stamp_ns} ns is damaged: {error}") from error


def _last(name: str) -> str:
    return name.rpartition("/")[2]
