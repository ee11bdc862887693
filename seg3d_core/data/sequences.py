"""Posed RGB-D sequences: what they look like to the rest of the program, and how a folder becomes one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64, Int64

from seg3d_core.data.folder_sequences import open_plain, open_scannet
from seg3d_core.data.recorded_sequence import RecordedSequence
from seg3d_core.data.registration import check_registered
from seg3d_core.data.tum_sequences import open_tum
from seg3d_core.errors import InputError
from seg3d_core.types import RgbdFrame

REGISTRATION_FRAMES = 8
_LAYOUTS = (
    "plain (color/ depth/ pose/ intrinsics.txt), ScanNet export (color/ depth/ pose/ intrinsic/) or TUM RGB-D "
    "(rgb.txt depth.txt groundtruth.txt)"
)


@runtime_checkable
class RgbdSequence(Protocol):
    """Posed RGB-D frames in the order of time, each made or read when it is asked for."""

    @property
    def up(self) -> Float64[np.ndarray, " 3"]:
        """Unit vector against gravity in the world frame."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> RgbdFrame: ...

    @property
    def stamps_ns(self) -> Int64[np.ndarray, " F"]:
        """Time of each frame, increasing, ns."""
        ...


def open_sequence(path: str | Path, registration_frames: int = REGISTRATION_FRAMES) -> RecordedSequence:
    """Open a sequence; its layout is recognised by its files.

    ``registration_frames`` frames spread over the sequence are read and checked for depth that is displaced against
    colour; 0 leaves that out.

    Raises:
        InputError: no such folder, no known layout, files missing or damaged, or depth not registered to colour.
    """
    folder = Path(path)
    sequence = _opener(folder)(folder)
    chosen = np.unique(np.linspace(0, len(sequence) - 1, registration_frames).astype(int))
    check_registered((sequence[int(index)] for index in chosen), str(folder))
    return sequence


def _opener(folder: Path) -> Callable[[Path], RecordedSequence]:
    if not folder.is_dir():
        raise InputError(
            f"{folder} is {'a file, expected the folder' if folder.exists() else 'not there: the folder'} "
            "of an RGB-D sequence"
        )
    if (folder / "rgb.txt").is_file() and (folder / "depth.txt").is_file():
        return open_tum
    if (folder / "color").is_dir() and (folder / "intrinsic").is_dir():
        return open_scannet
    if (folder / "color").is_dir():
        return open_plain
    if (folder.parent / "color").is_dir():
        raise InputError(f"{folder} is one part of a sequence: open {folder.parent}")
    inside = ", ".join(sorted(entry.name for entry in folder.iterdir())[:8])
    raise InputError(f"{folder} holds no known RGB-D sequence: expected {_LAYOUTS}; found {inside or 'nothing'}")
