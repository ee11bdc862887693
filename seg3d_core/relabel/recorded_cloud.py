"""The cloud that a recording is relabelled on where it has no images, with the instances that the robot found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int32

from seg3d_core.data.bag_clouds import CLOUD, decode_cloud, decode_labelled, input_cloud_topic
from seg3d_core.data.bags import BagReader
from seg3d_core.data.scenes.bag_images import header_of
from seg3d_core.data.scenes.bag_topics import has_depth_images
from seg3d_core.errors import InputError
from seg3d_core.types import Cloud

_FOUND = "/instance_cloud"
"""How topics of clouds with instances end."""


@dataclass(frozen=True, eq=False)
class RecordedCloud:
    """A cloud of a recording.

    Attributes:
        cloud: its points, stamped.
        instance_id: (N,) what was found in it, ``IGNORE`` for nothing; None where no result has its stamp and points.
        found_on: topic of that result; empty where there is none.
    """

    cloud: Cloud
    instance_id: Int32[np.ndarray, " N"] | None = None
    found_on: str = ""


def topic_to_relabel(bag: Path, wanted: str) -> str:
    """The topic of clouds that a recording is relabelled on; empty: its images are fused.

    Args:
        bag: recording.
        wanted: empty: the only topic of clouds, where the recording has no images of depth.

    Raises:
        InputError: unreadable; ``wanted`` has no clouds; or there are several topics of them.
    """
    if not wanted:
        with BagReader(bag) as reader:
            if has_depth_images(reader.topics()):
                return ""
    return input_cloud_topic(bag, wanted)


def newest_cloud(bag: Path, topic: str) -> RecordedCloud:
    """The newest cloud of a topic in which instances were found (``.../instance_cloud``), else the newest of all.

    Raises:
        InputError: unreadable, or the cloud is damaged.
    """
    with BagReader(bag) as reader:
        recorded = _stamps(reader, topic)
        found = {
            stamp_ns: (name, at_ns)
            for name in sorted(each.name for each in reader.topics() if each.type_name == CLOUD and each.count)
            if name.endswith(_FOUND) and name != topic
            for stamp_ns, at_ns in _stamps(reader, name).items()
        }
        both = recorded.keys() & found.keys()
        stamp_ns = max(both) if both else max(recorded)
        cloud = decode_cloud(_message(reader, topic, recorded[stamp_ns], stamp_ns))
        if not both:
            return RecordedCloud(cloud)
        name, at_ns = found[stamp_ns]
        labelled = decode_labelled(_message(reader, name, at_ns, stamp_ns))
    if not np.array_equal(labelled.cloud.points, cloud.points):
        return RecordedCloud(cloud)
    return RecordedCloud(cloud, labelled.instance_id, name)


def _stamps(reader: BagReader, topic: str) -> dict[int, int]:
    """When the newest message of each stamp was recorded, ns, by stamp, ns."""
    return {header_of(message.data)[0]: message.stamp_ns for message in reader.messages([topic])}


def _message(reader: BagReader, topic: str, recorded_ns: int, stamp_ns: int) -> bytes:
    for message in reader.messages([topic], recorded_ns, recorded_ns + 1):
        if header_of(message.data)[0] == stamp_ns:
            return message.data
    raise InputError(f"{topic} at {stamp_ns} ns is gone")
