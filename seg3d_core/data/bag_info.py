"""What is in a recording: rates, gaps, whether its images and clouds have poses, and what was clicked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seg3d_core.data.bag_poses import camera_transforms
from seg3d_core.data.bags import BagReader, BagTopic
from seg3d_core.data.scenes.bag_images import header_of
from seg3d_core.data.scenes.bag_recording import FIXED_FRAMES
from seg3d_core.data.transform_tree import TransformTree
from seg3d_core.errors import InputError

PROMPTS = ("clicked_point", "clicked_point_negative", "prompt_goal", "prompt_box", "prompt_instance", "accepted")
"""Last parts of the names of topics by which people say what they mean."""

GAP_FACTOR = 5.0
"""A pause is a gap when it is so many times as long as is usual for its topic, and at least ``LEAST_GAP_S``."""
LEAST_GAP_S = 0.5

_POSED = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/PointCloud2")


@dataclass(frozen=True)
class TopicInfo:
    """One topic.

    Attributes:
        topic: name, type, count, whether it is latched.
        size_bytes: of all its messages.
        rate_hz: messages a second, without the gaps; 0 for fewer than two.
        gaps: pauses that are much longer than usual.
        longest_gap_s: the longest pause between two messages, s.
        backwards: messages whose header stamp is before that of the message before.
        posed: messages whose frame has a pose in the fixed frame at their stamp; None where that is not asked.
        why_not: why the first one without a pose has none.
    """

    topic: BagTopic
    size_bytes: int
    rate_hz: float
    gaps: int
    longest_gap_s: float
    backwards: int
    posed: int | None
    why_not: str


@dataclass(frozen=True)
class BagInfo:
    """A recording.

    Attributes:
        path: of the recording.
        topics: by name.
        start_ns, duration_s: time of recording of the first message, ns, and from there to the last, s.
        fixed_frame: in which poses were looked up; empty where there are none.
        problems: what somebody who wants to use the recording should know, in words.
    """

    path: Path
    topics: tuple[TopicInfo, ...]
    start_ns: int
    duration_s: float
    fixed_frame: str
    problems: tuple[str, ...]

    @property
    def prompts(self) -> dict[str, int]:
        """How often each kind of prompt is there."""
        return {
            one.topic.name: one.topic.count
            for one in self.topics
            if one.topic.name.rpartition("/")[2] in PROMPTS and one.topic.count
        }


class _Seen:
    """What is remembered of the messages of one topic."""

    def __init__(self) -> None:
        self.stamps_ns: list[int] = []
        self.headers: list[tuple[int, str]] = []
        self.size = 0


def inspect_bag(path: Path, report: Callable[[int, int], None] = lambda done, total: None) -> BagInfo:
    """Read a recording once, all of it.

    Args:
        path: folder with metadata.yaml, .mcap or .db3 file.
        report: told how many messages were read, of how many.

    Raises:
        InputError: unreadable or damaged.
    """
    with BagReader(path) as reader:
        topics = reader.topics()
        seen = {topic.name: _Seen() for topic in topics}
        total = sum(topic.count for topic in topics)
        for number, message in enumerate(reader.messages(), 1):
            one = seen[message.topic]
            one.stamps_ns.append(message.stamp_ns)
            one.size += len(message.data)
            if message.type_name in _POSED:
                one.headers.append(header_of(message.data))
            report(number, total)
    tree, fixed, missing = _poses(path, seen)
    rows = tuple(_topic_info(topic, seen[topic.name], tree, fixed) for topic in topics)
    stamps = [stamp for one in seen.values() for stamp in one.stamps_ns] or [0]
    problems = [missing] if missing else []
    problems += [words for row in rows for words in _problems(row)]
    return BagInfo(path, rows, min(stamps), (max(stamps) - min(stamps)) * 1e-9, fixed, tuple(problems))


def _poses(path: Path, seen: dict[str, _Seen]) -> tuple[TransformTree | None, str, str]:
    """All transforms, the fixed frame among them, and why there is none."""
    frames = [frame for one in seen.values() for _, frame in one.headers[:1]]
    if not frames:
        return None, "", ""
    try:
        tree = camera_transforms(path, frames[0])
    except InputError as error:
        return None, "", str(error)
    fixed = next((name for name in FIXED_FRAMES if name in tree.frames), "")
    missing = f"none of {', '.join(FIXED_FRAMES)} is among the recorded frames: {', '.join(tree.frames[:12])}"
    return tree, fixed, "" if fixed else missing


def _topic_info(topic: BagTopic, seen: _Seen, tree: TransformTree | None, fixed: str) -> TopicInfo:
    pauses_s = np.diff(np.sort(np.array(seen.stamps_ns, np.int64))).astype(np.float64) * 1e-9
    usual_s = float(np.median(pauses_s)) if len(pauses_s) else 0.0
    is_gap = pauses_s > max(GAP_FACTOR * usual_s, LEAST_GAP_S)
    steady_s = float(pauses_s[~is_gap].sum())
    gaps = 0 if topic.is_latched else int(is_gap.sum())
    headers = np.array([stamp for stamp, _ in seen.headers], np.int64)
    posed, why_not = None, ""
    if seen.headers and tree is not None and fixed:
        posed, why_not = _posed(seen.headers, tree, fixed)
    return TopicInfo(
        topic,
        seen.size,
        int((~is_gap).sum()) / steady_s if steady_s > 0 else 0.0,
        gaps,
        float(pauses_s.max(initial=0.0)),
        int((np.diff(headers) < 0).sum()),
        posed,
        why_not,
    )


def _posed(headers: list[tuple[int, str]], tree: TransformTree, fixed: str) -> tuple[int, str]:
    posed, why_not = 0, ""
    for stamp_ns, frame in headers:
        if frame.lstrip("/") == fixed:
            posed += 1
            continue
        try:
            tree.lookup(fixed, frame, stamp_ns)
            posed += 1
        except InputError as error:
            why_not = why_not or str(error)
    return posed, why_not


def _problems(row: TopicInfo) -> list[str]:
    name, count = row.topic.name, row.topic.count
    problems = []
    if row.gaps:
        problems.append(f"{name}: {row.gaps} gaps, the longest of {row.longest_gap_s:.1f} s")
    if row.backwards:
        problems.append(f"{name}: {row.backwards} stamps are before that of the message before: a clock went back")
    if row.posed is not None and row.posed < count:
        problems.append(f"{name}: {count - row.posed} of {count} have no pose, the first because: {row.why_not}")
    return problems
