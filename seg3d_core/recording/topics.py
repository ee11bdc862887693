"""What a recorder has to know of a topic before it can write its messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from rosbags.typesys import Stores, TypesysError, get_types_from_msg, get_typestore

from seg3d_core.errors import InputError

_FOREVER = {"sec": 9_223_372_036, "nsec": 854_775_807}
"""What rosbag2 writes for a deadline, lifespan or lease that is not set."""


@dataclass(frozen=True)
class RecordedTopic:
    """A topic to record.

    Attributes:
        name: with leading slash.
        type_name: for example "sensor_msgs/msg/Image".
        definition: text of the type and of all that it refers to, as rosbag2 stores it.
        digest: RIHS01 hash of the type.
        is_latched: offered transient local: its last messages are repeated in every file.
    """

    name: str
    type_name: str
    definition: str
    digest: str
    is_latched: bool = False

    @property
    def qos(self) -> str:
        """``offered_qos_profiles`` as text, as rosbag2 writes it until version 8 of its metadata."""
        profile = {
            "history": 1,
            "depth": 1 if self.is_latched else 10,
            "reliability": 1,
            "durability": 1 if self.is_latched else 2,
            "deadline": _FOREVER,
            "lifespan": _FOREVER,
            "liveliness": 1,
            "liveliness_lease_duration": _FOREVER,
            "avoid_ros_namespace_conventions": False,
        }
        return str(yaml.safe_dump([profile], sort_keys=False)).strip()


class TypeDefinitions:
    """Definitions of message types: those of ROS 2's common packages, and others from the text of their .msg files."""

    def __init__(self) -> None:
        self._store = get_typestore(Stores.ROS2_JAZZY)

    def knows(self, type_name: str) -> bool:
        """Whether ``topic`` can be made without more texts."""
        return type_name in self._store.fielddefs

    def learn(self, texts: Mapping[str, str]) -> None:
        """Take over .msg files: their text by type name; types they refer to must be known or among them.

        Raises:
            InputError: a text is no definition.
        """
        for type_name, definition in texts.items():
            try:
                found: dict[str, Any] = get_types_from_msg(definition, type_name)
                self._store.register({name: fields for name, fields in found.items() if not self.knows(name)})
            except TypesysError as error:
                raise InputError(f"the definition of {type_name} cannot be read: {error}") from error

    def topic(self, name: str, type_name: str, is_latched: bool = False) -> RecordedTopic:
        """A topic of a known type.

        Raises:
            InputError: the type, or one that it refers to, is not known.
        """
        try:
            definition, _ = self._store.generate_msgdef(type_name, ros_version=2)
            digest = self._store.hash_rihs01(type_name)
        except (KeyError, TypesysError) as error:
            raise InputError(f"topic {name}: the definition of {type_name} is not known: {error}") from error
        return RecordedTopic(name, type_name, definition, digest, is_latched)
