"""Which topics of a recording are one RGB-D camera's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field

from seg3d_core.config import Config
from seg3d_core.data.bags import BagTopic
from seg3d_core.data.scenes.bag_images import COMPRESSED, INFO, RAW
from seg3d_core.errors import InputError

_REGISTERED = ("aligned", "registered")


class BagTopicsConfig(Config):
    """What to read of a rosbag2 recording; what is empty is found by the names that camera drivers use."""

    colour_topic: str = Field("", description="Topic of colour images (Image or CompressedImage); empty: found.")
    depth_topic: str = Field("", description="Topic of depth images (Image or compressedDepth); empty: found.")
    colour_info: str = Field("", description="Topic of the colour camera's CameraInfo; empty: beside the images.")
    depth_info: str = Field("", description="Topic of the depth camera's CameraInfo; empty: beside the images.")
    pose_topic: str = Field(
        "",
        description="Topic of the colour camera's poses (PoseStamped); empty: tf, or camera_pose where there is none.",
    )
    fixed_frame: str = Field("", description="Frame that poses are taken in; empty: map, odom or world.")


@dataclass(frozen=True)
class RgbdTopics:
    """Names of the topics, and the type of each."""

    colour: str
    depth: str
    colour_info: str
    depth_info: str
    types: dict[str, str]


def choose_topics(topics: Sequence[BagTopic], config: BagTopicsConfig, bag: str) -> RgbdTopics:
    """As configured, else by name: depth images have "depth" in theirs; registered ones ("aligned") are preferred.

    Raises:
        InputError: nothing fits, or several do.
    """
    types = {topic.name: topic.type_name for topic in topics if topic.count}
    images = [name for name, kind in types.items() if kind in (RAW, COMPRESSED)]
    depth = config.depth_topic or _one(_best([n for n in images if _is_depth(n)]), "depth", types, bag)
    colour = config.colour_topic or _one(_best([n for n in images if _is_colour(n)]), "colour", types, bag)
    colour_info = config.colour_info or _info(colour, types)
    depth_info = config.depth_info or _info(depth, types)
    if depth_info not in types and not config.depth_info and _is_registered(depth):
        depth_info = colour_info  # what is registered to colour is seen by the colour camera
    chosen = RgbdTopics(colour, depth, colour_info, depth_info, types)
    for name in (chosen.colour, chosen.depth, chosen.colour_info, chosen.depth_info):
        if name not in types:
            raise InputError(f"{bag} has no messages on topic {name}; it has {_listed(types)}")
    return chosen


def has_depth_images(topics: Sequence[BagTopic]) -> bool:
    """Whether a recording has images of depth, by the names of its topics."""
    return any(topic.type_name in (RAW, COMPRESSED) and topic.count and _is_depth(topic.name) for topic in topics)


def _is_depth(name: str) -> bool:
    return "depth" in name.lower()


def _is_registered(name: str) -> bool:
    return any(word in name for word in _REGISTERED)


def _is_colour(name: str) -> bool:
    return not _is_depth(name) and any(word in name.lower() for word in ("color", "colour", "rgb"))


def _best(names: list[str]) -> list[str]:
    """Registered before raw, rectified before raw, uncompressed before compressed."""
    for words in (_REGISTERED, ("rect",)):
        wanted = [name for name in names if any(word in name for word in words)]
        names = wanted or names
    plain = [name for name in names if "compressed" not in name.lower()]
    return plain or names


def _one(names: list[str], what: str, types: dict[str, str], bag: str) -> str:
    setting = f"--set bag.{what}_topic=NAME"
    if not names:
        raise InputError(f"{bag} has no topic of {what} images by its name; name it with {setting}: {_listed(types)}")
    if len(names) > 1:
        raise InputError(f"{bag} has several topics of {what} images; choose with {setting}: {', '.join(names)}")
    return names[0]


def _info(image: str, types: dict[str, str]) -> str:
    """CameraInfo beside an image topic: in its namespace, or in that of the uncompressed one."""
    parent = image.rpartition("/")[0]
    choices = [f"{parent}/camera_info", f"{parent.rpartition('/')[0]}/camera_info"]
    return next((name for name in choices if types.get(name) == INFO), choices[0])


def _listed(types: dict[str, str]) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in sorted(types.items())) or "no messages at all"
