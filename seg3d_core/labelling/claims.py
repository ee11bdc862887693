"""Who labels a frame, where several processes label the same folder.

A claim is a locked file beside the file that is to be written. The system unlocks it when its process ends, however it
ends, so that a killed process claims nothing.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from seg3d_core.errors import InputError


@contextmanager
def claimed(target: Path) -> Iterator[bool]:
    """Whether ``target`` is ours to write until the block ends: no file of that name, no other process at it.

    Where the file system knows no locks everybody gets everything: work is done twice, files are still complete.

    Raises:
        InputError: nothing can be written beside ``target``.
    """
    path = target.with_name(f".{target.stem}.claim")
    is_left_over = path.exists()
    try:
        file = path.open("ab")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    with file:
        if not _is_locked_by_us(file, path):
            yield False
            return
        if is_left_over:
            _sweep(target)
        try:
            yield not target.exists()
        finally:
            path.unlink(missing_ok=True)


def _is_locked_by_us(file: IO[bytes], path: Path) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    try:
        # The one who held it before has removed it, and somebody else may have made another one.
        return os.fstat(file.fileno()).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False


def _sweep(target: Path) -> None:
    """Remove what a killed process had half written."""
    for temporary in target.parent.glob(f".{target.stem}-*{target.suffix}"):
        temporary.unlink(missing_ok=True)
