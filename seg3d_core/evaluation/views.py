"""The images that a scene was made from, for models that look at them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from seg3d_core.baselines.sam3d import MaskedFrame
from seg3d_core.data.scenes import SceneFolder
from seg3d_core.errors import InputError


@runtime_checkable
class Views(Protocol):
    """Posed frames with 2-D masks."""

    def masked(self, source: str) -> Iterator[MaskedFrame]:
        """Frames in the order of time with the masks that ``source`` made, read one after the other.

        Raises:
            InputError: ``source`` has labelled none of them, or a file is missing or damaged.
        """
        ...

    def fingerprint(self, source: str) -> str:
        """Changes when the masks do."""
        ...


@dataclass(frozen=True, eq=False)
class FolderViews:
    """The frames of a scene folder and the masks that were written to it."""

    folder: SceneFolder

    def masked(self, source: str) -> Iterator[MaskedFrame]:
        """See ``Views``; frames without masks are left out, because not all have to be labelled."""
        labelled = [i for i in range(self.folder.frame_count) if self.folder.mask_path(source, i).is_file()]
        if not labelled:
            raise InputError(f"none of its frames has 2-D masks of {source!r}: seg3d label frames makes them")
        return self._read(source, labelled)

    def fingerprint(self, source: str) -> str:
        """See ``Views``; from sizes and times of the files, which are many."""
        total = hashlib.sha256()
        for index in range(self.folder.frame_count):
            path = self.folder.mask_path(source, index)
            if path.is_file():
                status = path.stat()
                total.update(f"{path.name} {status.st_size} {status.st_mtime_ns}\n".encode())
        return total.hexdigest()

    def _read(self, source: str, frames: list[int]) -> Iterator[MaskedFrame]:
        for index in frames:
            ids = self.folder.mask_ids(source, index)
            if ids is None:
                raise InputError(f"{self.folder.mask_path(source, index)} has gone")
            yield MaskedFrame(self.folder.frame(index), ids)
