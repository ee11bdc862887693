"""Writing rosbag2 recordings (MCAP) without ROS, from the bytes that messages are on the wire."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Literal

from rosbags.interfaces import Connection, Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import StoragePlugin, Writer, WriterError
from rosbags.typesys import Stores, TypesysError, get_types_from_msg, get_typestore

from seg3d_core.errors import InputError

_METADATA_VERSION: Literal[8] = 8
"""The newest that Humble's rosbag2 reads, too: version 9 writes QoS in another form."""

_FOREVER = QosTime(9_223_372_036, 854_775_807)
"""What rosbag2 writes for a deadline, lifespan or lease that is not set."""


class BagWriter:
    """A new recording (MCAP) of messages given as CDR bytes; a context manager. Threads may write at the same time.

    What was written stays readable when the block ends by an exception.

    Args:
        path: folder to make; its name is the recording's.
        overwrite: replace a recording that is already there; anything else is never deleted.

    Raises:
        InputError: the path exists (and is not a recording to overwrite) or cannot be made.
    """

    def __init__(self, path: str | Path, overwrite: bool = False) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        self._connections: dict[str, tuple[Connection, bool]] = {}
        self._store = get_typestore(Stores.ROS2_JAZZY)
        self._is_open = True
        if overwrite:
            _remove_recording(self.path)
        try:
            self._writer = Writer(self.path, version=_METADATA_VERSION, storage_plugin=StoragePlugin.MCAP)
            self._writer.open()
        except (WriterError, OSError) as error:
            raise InputError(f"cannot record to {self.path}: {error}") from error

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def topic(
        self, name: str, type_name: str | type, latched: bool = False, definition: str = ""
    ) -> Callable[[int, bytes], None]:
        """Announce a topic; the result records one message: ``record(stamp_ns, data)``.

        ``type_name`` is "package/msg/Name" or the message class. ``definition`` is the text of the .msg file, needed
        for types outside ROS 2's common packages; types that it refers to must be known.

        Raises:
            InputError: the type is unknown, or the topic was announced before in another way.
        """
        type_name = type_name if isinstance(type_name, str) else _type_name(type_name)
        with self._lock:
            if name not in self._connections:
                self._connections[name] = (self._connect(name, type_name, latched, definition), latched)
            connection, was_latched = self._connections[name]
        if (connection.msgtype, was_latched) != (type_name, latched):
            raise InputError(
                f"topic {name} is recorded as {connection.msgtype}, latched={was_latched}; it cannot become "
                f"{type_name}, latched={latched}"
            )

        def record(stamp_ns: int, data: bytes) -> None:
            self._write(connection, stamp_ns, data)

        return record

    def write(self, topic: str, stamp_ns: int, data: bytes) -> None:
        """Record one message of an announced topic: time of recording (ns) and CDR bytes.

        Raises:
            InputError: the topic was not announced, the recording is closed, or the disk is full.
        """
        with self._lock:
            if topic not in self._connections:
                raise InputError(f"topic {topic} was not announced; announced are {', '.join(self._connections)}")
            connection = self._connections[topic][0]
        self._write(connection, stamp_ns, data)

    def close(self) -> None:
        """Write index and metadata; nothing can be recorded afterwards. A second call does nothing.

        Raises:
            InputError: the disk is full or gone; what was written before stays readable in the .mcap file.
        """
        with self._lock:
            if self._is_open:
                self._is_open = False
                try:
                    self._writer.close()
                except OSError as error:
                    raise InputError(f"cannot finish the recording {self.path}: {error.strerror or error}") from error

    def _write(self, connection: Connection, stamp_ns: int, data: bytes) -> None:
        with self._lock:
            if not self._is_open:
                raise InputError(f"the recording {self.path} is closed, {connection.topic} cannot be recorded")
            try:
                self._writer.write(connection, stamp_ns, data)
            except OSError as error:
                raise InputError(f"cannot record to {self.path}: {error.strerror or error}") from error

    def _connect(self, name: str, type_name: str, latched: bool, definition: str) -> Connection:
        if not self._is_open:
            raise InputError(f"the recording {self.path} is closed, {name} cannot be announced")
        try:
            if definition and type_name not in self._store.fielddefs:
                self._store.register(get_types_from_msg(definition, type_name))
            return self._writer.add_connection(
                name, type_name, typestore=self._store, offered_qos_profiles=[_qos(latched)]
            )
        except (KeyError, TypesysError) as error:
            raise InputError(f"topic {name}: the definition of {type_name} is not known: {error}") from error


def _type_name(kind: type) -> str:
    """Full type name of a generated message class, which lives in module package.msg._name."""
    package, section, *_ = [*kind.__module__.split("."), ""]
    return f"{package}/{section}/{kind.__name__}"


def _qos(latched: bool) -> Qos:
    durability = QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE
    return Qos(
        QosHistory.KEEP_LAST, 1 if latched else 10, QosReliability.RELIABLE, durability,
        _FOREVER, _FOREVER, QosLiveliness.AUTOMATIC, _FOREVER, False,
    )  # fmt: skip


def _remove_recording(path: Path) -> None:
    if path.is_dir() and any(path.iterdir()):
        strange = [
            file.name
            for file in sorted(path.iterdir())
            if file.suffix not in (".mcap", ".db3") and file.name != "metadata.yaml"
        ]
        if strange:
            raise InputError(f"{path} is not overwritten: it holds {strange[0]}, which is no part of a recording")
    if path.is_dir():
        shutil.rmtree(path)
