"""The segmenter over a recording: everything that was recorded, and beside each cloud its instances."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from seg3d_core.config import FusionConfig, SegmentConfig, TrackingConfig
from seg3d_core.data.bag_clouds import CLOUD, decode_cloud, encode_cloud, encode_instances, input_cloud_topic
from seg3d_core.data.bags import BagReader, BagTopic
from seg3d_core.data.scenes.bag_recording import BagRecording
from seg3d_core.data.scenes.bag_topics import BagTopicsConfig
from seg3d_core.errors import InputError
from seg3d_core.geometry.tsdf import TsdfVolume
from seg3d_core.recording.bag_folder import BagFolder
from seg3d_core.recording.message import RecordedMessage
from seg3d_core.recording.settings import FileConfig
from seg3d_core.recording.topics import RecordedTopic, TypeDefinitions
from seg3d_core.segmenter import Segmenter
from seg3d_core.tracking.association import IdTracker
from seg3d_core.types import Cloud

INSTANCES_TOPIC, FUSED_TOPIC = "/seg3d/instance_cloud", "/seg3d/cloud"
"""Not the names that nodes use: what was found on the robot is in the recording, too."""


class BagRunConfig(SegmentConfig):
    """What is segmented of a recording, and how."""

    cloud_topic: str = Field(
        "", description="Topic of clouds to segment; empty: the only one, or, where there is none, fused images."
    )
    publish_period_s: float = Field(
        1.0,
        gt=0,
        le=3600,
        description="Images: the fused cloud is segmented whenever their stamps advanced by this, s.",
    )
    tracking: TrackingConfig = TrackingConfig()
    fusion: FusionConfig = FusionConfig()
    bag: BagTopicsConfig = Field(BagTopicsConfig.build({}), description="What to read of images.")


@dataclass(frozen=True)
class BagRun:
    """What was done.

    Attributes:
        clouds: that were segmented.
        instances: in the last one.
        ids: that were given in all.
        copied: messages of the source.
        left_out: topics of the source that are not in the result, and why.
        refused: clouds that could not be segmented, and why the first could not.
    """

    clouds: int
    instances: int
    ids: int
    copied: int
    left_out: tuple[str, ...]
    refused: tuple[str, ...]


@dataclass(frozen=True)
class _Given:
    """A cloud to segment; ``source`` says whether it is a message of the recording itself."""

    log_ns: int
    cloud: Cloud
    is_recorded: bool


def segment_bag(
    source: Path, target: Path, config: BagRunConfig, segmenter: Segmenter, report: Callable[[int, int], None]
) -> BagRun:
    """Write a recording like ``source`` with instances on ``INSTANCES_TOPIC``; the same every time.

    Each result has the time of recording, the stamp and the frame of its cloud. A recording without clouds is fused,
    and its growing cloud is in the result too (``FUSED_TOPIC``).

    Args:
        source: a recording.
        target: folder to make.
        config: what is segmented.
        segmenter: finds instances.
        report: told how many messages and images have been read, of how many.

    Raises:
        InputError: unreadable, nothing to segment, ``target`` exists, or the disk is full.
    """
    with BagReader(source) as reader:
        topics = reader.topics()
    if any(topic.name in (INSTANCES_TOPIC, FUSED_TOPIC) for topic in topics):
        raise InputError(f"{source} has {INSTANCES_TOPIC} already: run over the recording that it was made of")
    chosen = input_cloud_topic(source, config.cloud_topic)
    given, count = _recorded(source, chosen) if chosen else _fused(source, config)
    copy = _Copy(source)
    run = _Run(segmenter, IdTracker(config.tracking))
    # By size alone, so that the files are the same, too.
    files = FileConfig.build({"chunk_period_s": 3600.0})
    total = count + sum(topic.count for topic in topics)
    bag = BagFolder(target, files, {"model": config.model})
    try:
        merged = heapq.merge(copy.messages(), run.results(given), key=lambda message: message.log_ns)
        for message in merged:
            bag.write(message)
            report(copy.count + run.clouds, total)
    finally:
        bag.close()
    report(total, total)
    return BagRun(run.clouds, run.instances, len(run.ids), copy.count, copy.left_out, tuple(run.refused))


def _recorded(source: Path, topic: str) -> tuple[Iterator[_Given | InputError], int]:
    with BagReader(source) as reader:
        count = next(one.count for one in reader.topics() if one.name == topic)

    def clouds() -> Iterator[_Given | InputError]:
        with BagReader(source) as reader:
            for message in reader.messages([topic]):
                try:
                    yield _Given(message.stamp_ns, decode_cloud(message.data), True)
                except InputError as error:
                    yield error

    return clouds(), count


def _fused(source: Path, config: BagRunConfig) -> tuple[Iterator[_Given | InputError], int]:
    recording = BagRecording(source, config.bag)

    def clouds() -> Iterator[_Given | InputError]:
        volume = TsdfVolume(config.fusion)
        published_ns: int | None = None
        last = len(recording.frames) - 1
        for index in range(len(recording.frames)):
            frame = recording.read(index).frame
            volume.integrate(frame)
            published_ns = frame.stamp_ns if published_ns is None else published_ns
            if index == last or frame.stamp_ns - published_ns >= config.publish_period_s * 1e9:
                published_ns = frame.stamp_ns
                cloud = volume.extract()
                if len(cloud):
                    yield _Given(recording.recorded_ns(index), cloud, False)

    return clouds(), len(recording.frames)


class _Run:
    """Clouds to results."""

    def __init__(self, segmenter: Segmenter, tracker: IdTracker) -> None:
        self._segmenter, self._tracker = segmenter, tracker
        definitions = TypeDefinitions()
        self._fused = definitions.topic(FUSED_TOPIC, CLOUD, is_latched=True)
        self._instances = definitions.topic(INSTANCES_TOPIC, CLOUD, is_latched=True)
        self.clouds = self.instances = 0
        self.ids: set[int] = set()
        self.refused: list[str] = []

    def results(self, given: Iterator[_Given | InputError]) -> Iterator[RecordedMessage]:
        for each in given:
            self.clouds += 1
            if isinstance(each, InputError):
                self.refused.append(str(each))
                continue
            if not each.is_recorded:
                yield RecordedMessage(self._fused, each.log_ns, each.log_ns, encode_cloud(each.cloud))
            try:
                found = self._tracker.update(self._segmenter.segment(each.cloud))
            except InputError as error:
                self.refused.append(str(error))
                continue
            self.instances = len(found)
            self.ids |= set(found.instance_ids.tolist())
            yield RecordedMessage(self._instances, each.log_ns, each.log_ns, encode_instances(found))


def _like(topic: BagTopic, definitions: TypeDefinitions) -> RecordedTopic:
    """The same topic for another recording: with the definition that it came with, or the one that is known."""
    if not definitions.knows(topic.type_name) and topic.definition:
        return RecordedTopic(topic.name, topic.type_name, topic.definition, "", topic.is_latched)
    return definitions.topic(topic.name, topic.type_name, topic.is_latched)


class _Copy:
    """The messages of a recording, for another one."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self.count = 0
        definitions = TypeDefinitions()
        self._topics: dict[str, RecordedTopic] = {}
        left_out = []
        with BagReader(source) as reader:
            for topic in reader.topics():
                try:
                    self._topics[topic.name] = _like(topic, definitions)
                except InputError as error:
                    left_out.append(str(error))
        self.left_out = tuple(left_out)

    def messages(self) -> Iterator[RecordedMessage]:
        with BagReader(self._source) as reader:
            for message in reader.messages(list(self._topics)):
                self.count += 1
                topic = self._topics[message.topic]
                yield RecordedMessage(topic, message.stamp_ns, message.stamp_ns, message.data)
