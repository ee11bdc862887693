"""The small text files beside RGB-D images: matrices, lists of stamps, numbered file names."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from seg3d_core.errors import InputError


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        InputError: it is missing or not text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error


def read_matrix(path: Path, rows: int, columns: int) -> Float64[np.ndarray, "R C"]:
    """A matrix of numbers between white space; may hold inf and NaN.

    Raises:
        InputError: the file is missing, holds something else, or another count of numbers.
    """
    try:
        numbers = np.array(read_text(path).split(), np.float64)
    except ValueError as error:
        raise InputError(f"{path}: {error}, expected a {rows}x{columns} matrix") from error
    if numbers.size != rows * columns:
        raise InputError(f"{path}: {numbers.size} numbers, expected a {rows}x{columns} matrix")
    return numbers.reshape(rows, columns)


def read_intrinsics(path: Path) -> Float64[np.ndarray, "3 3"]:
    """K, px, from a 3x3 matrix or the upper left of a 4x4 one.

    Raises:
        InputError: the file is missing or holds another count of numbers.
    """
    size = 4 if len(read_text(path).split()) == 16 else 3
    return read_matrix(path, size, size)[:3, :3].copy()


def read_rows(path: Path, columns: int) -> list[list[str]]:
    """Words of each line that is neither empty nor a comment (#).

    Raises:
        InputError: the file is missing, or a line has fewer than ``columns`` words.
    """
    rows = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) < columns:
            raise InputError(f"{path}, line {number}: {len(words)} columns, expected {columns}: {line.strip()!r}")
        rows.append(words)
    return rows


def stamp_ns(text: str, path: Path) -> int:
    """Nanoseconds of a time written in seconds, exactly: a float64 of today's time is only good to 0.2 µs.

    Raises:
        InputError: not a number, or beyond the 292 years that 64 bits of nanoseconds hold.
    """
    try:
        nanoseconds = Decimal(text) * 1_000_000_000
        in_range = abs(nanoseconds) < 1 << 63
    except ArithmeticError as error:
        raise InputError(f"{path}: {text!r} is not a time in seconds") from error
    if not in_range:
        raise InputError(f"{path}: a time of {text} s is out of range, at most {(1 << 63) // 10**9} s is possible")
    return int(nanoseconds.to_integral_value())


def numbered_files(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    """Files of a folder by stem, in the order of their numbers (2 before 10), others by name behind them.

    Raises:
        InputError: the folder is missing or holds no such file.
    """
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}")
    files = [file for file in folder.iterdir() if file.suffix.lower() in suffixes]
    if not files:
        raise InputError(f"{folder} holds no {' or '.join(suffixes)} file")
    files.sort(key=lambda file: (not file.stem.isdecimal(), int(file.stem) if file.stem.isdecimal() else 0, file.name))
    return {file.stem: file for file in files}
