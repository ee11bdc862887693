"""What prompt_node's services do with the session, and what they say; on the worker thread."""

from __future__ import annotations

from collections.abc import Callable

from seg3d_core.errors import ConfigError
from seg3d_core.interaction.session import ObjectSession
from seg3d_ros.prompt_view import describe


class PromptActions:
    """One function per service. What cannot be done raises a ``Seg3dError`` and leaves the session as it was.

    Args:
        session: the one of now.
        file: where accepted instances are kept; empty where that is not set.
    """

    def __init__(self, session: Callable[[], ObjectSession], file: Callable[[], str]) -> None:
        self._session_now = session
        self._file_now = file

    def by_service(self) -> dict[str, Callable[[], str]]:
        """Each action by the name of its service."""
        return {
            "new_object": self.new_object,
            "undo": self.undo,
            "clear": self.clear,
            "accept": self.accept,
            "reject": self.reject,
            "next_candidate": self.next_candidate,
            "save_instances": self.save_instances,
            "load_instances": self.load_instances,
        }

    def new_object(self) -> str:
        """Begin another object; one in progress is dropped."""
        dropped = "the one in progress is dropped, " if self._session.busy else ""
        self._session.new_object()
        return f"{dropped}click on object {self._number}"

    def undo(self) -> str:
        """Take back the last prompt."""
        return describe(self._session.undo(), self._number)

    def clear(self) -> str:
        """Take back all prompts of the object in progress."""
        if not self._session.busy:
            return "nothing is selected"
        self._session.clear()
        then = "undo brings it back" if self._session.undo_steps else "a newer cloud is taken"
        return f"nothing is selected; {then}"

    def accept(self) -> str:
        """Keep the object in progress under its id."""
        selection, number = self._session.selection, self._number
        self._session.accept()
        return f"accepted {describe(selection, number)}"

    def reject(self) -> str:
        """Drop the object in progress."""
        self._session.reject()
        return f"dropped, click on object {self._number}"

    def next_candidate(self) -> str:
        """Mean the next candidate."""
        return describe(self._session.next_candidate(), self._number)

    def save_instances(self) -> str:
        """Write all accepted instances to the file."""
        self._session.accepted.save(self._file)
        return f"saved {len(self._session.accepted)} instances to {self._file}"

    def load_instances(self) -> str:
        """Add the instances of the file."""
        cloud = self._session.cloud
        loaded = self._session.accepted.load(self._file, None if cloud is None else cloud.frame_id)
        ids = ", ".join(str(instance.instance_id) for instance in loaded) or "none"
        return f"{len(loaded)} instances of {self._file} are there: {ids}"

    @property
    def _session(self) -> ObjectSession:
        return self._session_now()

    @property
    def _number(self) -> int:
        """The id that the object in progress will have."""
        return self._session.accepted.next_id

    @property
    def _file(self) -> str:
        file = self._file_now()
        if not file:
            raise ConfigError("instances_file is empty: set the parameter to the path of an .npz file")
        return file
