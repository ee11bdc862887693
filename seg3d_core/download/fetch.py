"""A released file, fetched and proven to be what was released."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from seg3d_core.download.released import ReleasedFile
from seg3d_core.download.transfer import Report, Transfer, UnreachableError
from seg3d_core.errors import CheckpointError, InputError


@dataclass(frozen=True)
class Fetched:
    """A file that is here now.

    Attributes:
        path: of the file.
        size: bytes.
        sha256: of its content, hexadecimal.
        is_verified: whether size and checksum were published, and are these.
        was_here: nothing was downloaded.
    """

    path: Path
    size: int
    sha256: str
    is_verified: bool
    was_here: bool


def fetch(
    released: ReleasedFile,
    folder: Path,
    url: str | None = None,
    report: Report = lambda have, total: None,
    pause: Callable[[float], None] = time.sleep,
) -> Fetched:
    """Have the file in ``folder``: checked if it is there, fetched otherwise. It appears complete or not at all.

    Args:
        released: which one.
        folder: made where it is missing.
        url: another address of the same file.
        report: told how many bytes are here, of how many.
        pause: waits so many seconds before another attempt.

    Raises:
        UnreachableError: no server answered; the message says what to do without a network.
        CheckpointError: the server refused or broke off again and again, or what came, or lies there, is another file.
        InputError: the folder cannot be written, or the disk is full.
        ConfigError: ``url`` is neither http:// nor https://.
    """
    target = folder / released.file_name
    if target.exists():
        return _checked(released, target, target, was_here=True)
    _make(folder)
    part = target.with_name(target.name + ".part")
    address = url or released.url
    try:
        Transfer(address, part, released.size, released.sha256 is not None, report, pause).run()
    except UnreachableError as error:
        raise UnreachableError(f"{error}\n{without_network(released, target)}") from None
    except CheckpointError as error:
        raise CheckpointError(f"{error}\n{by_hand(released, target)}") from None
    try:
        fetched = _checked(released, part, target, was_here=False)
    except CheckpointError:
        part.unlink(missing_ok=True)
        raise
    part.replace(target)
    return fetched


def without_network(released: ReleasedFile, target: Path) -> str:
    """What to do on a machine that reaches nothing."""
    return f"Without a network: on a machine that has one, {_steps(released, target)}"


def by_hand(released: ReleasedFile, target: Path) -> str:
    """What to do where the address does not answer as it should."""
    return f"By hand: {_steps(released, target)}"


def described(released: ReleasedFile) -> str:
    """Size and checksum as far as they are known."""
    if released.size is None or released.sha256 is None:
        return "size and checksum were never published"
    return f"{released.size:,} bytes, sha256 {released.sha256}"


def _steps(released: ReleasedFile, target: Path) -> str:
    return (
        f"open {released.page} in a browser, save {released.file_there} ({described(released)}), and copy it to "
        f"{target.absolute()}. The same command then checks it."
    )


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {folder}: {error.strerror or error}") from error


def _checked(released: ReleasedFile, path: Path, target: Path, was_here: bool) -> Fetched:
    """What is known of ``path``, which is or becomes ``target``."""
    size, digest, first = _read(path)
    what = f"{path} is another file than the released one" if was_here else "what came is not the released file"
    remedy = "delete it, or name another folder with --to" if was_here else "it was deleted"
    if released.size not in (None, size):
        raise CheckpointError(f"{what}: it has {size:,} bytes instead of {released.size:,}; {remedy}")
    if released.sha256 not in (None, digest):
        raise CheckpointError(f"{what}: its sha256 is {digest} instead of {released.sha256}; {remedy}")
    if not first.startswith(released.begins_with):
        raise CheckpointError(f"{what}: it begins with {first!r} instead of {released.begins_with!r}; {remedy}")
    return Fetched(target, size, digest, released.sha256 is not None, was_here)


def _read(path: Path) -> tuple[int, str, bytes]:
    """Bytes, sha256, and the first bytes."""
    digest, size, first = hashlib.sha256(), 0, b""
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                first = first or block[:16]
                digest.update(block)
                size += len(block)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    return size, digest.hexdigest(), first
