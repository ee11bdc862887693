"""PCD files, version 0.6 and 0.7: text, binary and binary_compressed.

Open3D reads them too, but returns what it has of a truncated file, and pypcd4 needs a compiler for its LZF module.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seg3d_core.data.lzf_kernels import lzf_decompress
from seg3d_core.data.ply_body import parse_numbers
from seg3d_core.data.ply_header import is_count
from seg3d_core.errors import InputError

_CODES = {"F": "f", "I": "i", "U": "u"}
_SIZES = {"F": (4, 8), "I": (1, 2, 4, 8), "U": (1, 2, 4, 8)}
_MAX_COUNT = 4096
"""Numbers per field and point; the longest in use are histograms of some hundred."""


@dataclass(frozen=True)
class PcdTable:
    """Rows of a PCD file.

    Attributes:
        rows: (N,) structured array, field names as in the file.
        is_organised: the points are the pixels of an image, row by row (HEIGHT > 1).
    """

    rows: NDArray[Any]
    is_organised: bool


def parse_pcd(data: bytes) -> PcdTable:
    """The points of a PCD file, as stored: a VIEWPOINT other than the origin is not applied, as in PCL.

    Raises:
        InputError: not a PCD file, truncated, or damaged.
    """
    entries, start = _header(data)
    dtype = _dtype(entries)
    width, height = (_number(entries, name) for name in ("WIDTH", "HEIGHT"))
    count = _number(entries, "POINTS") if "POINTS" in entries else width * height
    if count != width * height:
        raise InputError(f"PCD header says POINTS {count} but WIDTH {width} x HEIGHT {height}")
    kind = " ".join(entries["DATA"])
    readers = {"ascii": _text, "binary": _binary, "binary_compressed": _compressed}
    if kind not in readers:
        raise InputError(f"PCD DATA {kind!r} is not known, expected one of {', '.join(readers)}")
    return PcdTable(readers[kind](data[start:], dtype, count), height > 1)


def write_pcd(path: Path, rows: NDArray[Any]) -> None:
    """Write a structured array (4- or 1-byte scalars) as a binary PCD file."""
    rows = rows.astype(rows.dtype.newbyteorder("<"))
    names = rows.dtype.names or ()
    header = [
        "# .PCD v0.7 - Point Cloud Data file format",
        "VERSION 0.7",
        "FIELDS " + " ".join(names),
        "SIZE " + " ".join(str(rows.dtype[name].itemsize) for name in names),
        "TYPE " + " ".join(rows.dtype[name].kind.upper() for name in names),
        "COUNT " + " ".join("1" for _ in names),
        f"WIDTH {len(rows)}",
        "HEIGHT 1",
        "VIEWPOINT 0 0 0 1 0 0 0",
        f"POINTS {len(rows)}",
        "DATA binary",
    ]
    with path.open("wb") as file:
        file.write(("\n".join(header) + "\n").encode("ascii"))
        rows.tofile(file)


def _header(data: bytes) -> tuple[dict[str, list[str]], int]:
    """Header entries by name, and the offset of the data."""
    entries: dict[str, list[str]] = {}
    start = 0
    while "DATA" not in entries:
        stop = data.find(b"\n", start)
        if stop < 0 or len(entries) > 20:
            raise InputError("not a PCD file, or truncated: the header has no DATA line")
        line = data[start:stop].decode("ascii", "replace").strip()
        start = stop + 1
        if line and not line.startswith("#"):
            name, *words = line.split()
            entries[name.upper()] = words
    for name in ("FIELDS", "SIZE", "TYPE", "WIDTH", "HEIGHT"):
        if name not in entries:
            raise InputError(f"the PCD header has no {name} line")
    return entries, start


def _number(entries: dict[str, list[str]], name: str) -> int:
    words = entries[name]
    if len(words) != 1 or not is_count(words[0]):
        raise InputError(f"PCD header line {name} {' '.join(words)!r} is not a number")
    return int(words[0])


def _dtype(entries: dict[str, list[str]]) -> np.dtype[Any]:
    fields = entries["FIELDS"]
    if not fields:
        raise InputError("the PCD header names no fields")
    counts = entries.get("COUNT", ["1"] * len(fields))
    if not len(fields) == len(entries["SIZE"]) == len(entries["TYPE"]) == len(counts):
        raise InputError("PCD header lines FIELDS, SIZE, TYPE and COUNT differ in length")
    columns: list[Any] = []
    rows = zip(fields, entries["SIZE"], entries["TYPE"], counts, strict=True)
    for index, (name, size, kind, count) in enumerate(rows):
        is_known = size in map(str, _SIZES.get(kind, ()))
        if not (is_known and is_count(count) and 0 < int(count) <= _MAX_COUNT):
            raise InputError(f"PCD field {name} has TYPE {kind} SIZE {size} COUNT {count}, which does not exist")
        # PCL writes padding as fields called "_", any number of them.
        name = f"_{index}" if name == "_" else name
        columns.append((name, f"<{_CODES[kind]}{size}", (int(count),) if count != "1" else ()))
    if len({column[0] for column in columns}) != len(columns):
        raise InputError(f"PCD field names repeat: {' '.join(fields)}")
    return np.dtype(columns)


def _text(data: bytes, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
    numbers = parse_numbers(data)
    names = dtype.names or ()
    widths = [int(np.prod(dtype[name].shape)) for name in names]
    if len(numbers) < count * sum(widths):
        raise InputError(f"truncated: {count} points need {count * sum(widths)} numbers, {len(numbers)} are there")
    table = numbers[: count * sum(widths)].reshape(count, sum(widths))
    rows = np.zeros(count, dtype)
    columns = np.split(table, np.cumsum(widths)[:-1], axis=1)
    for name, column in zip(names, columns, strict=True):
        rows[name] = _fitting(column, name, dtype[name]).reshape(rows[name].shape)
    return rows


def _fitting(values: NDArray[np.float64], name: str, dtype: np.dtype[Any]) -> NDArray[np.float64]:
    base = dtype.base
    if base.kind != "f" and values.size:
        limits = np.iinfo(base)
        if not (values.min() >= limits.min and values.max() <= limits.max):
            raise InputError(f"PCD field {name} is outside {limits.min}..{limits.max}, the range of its type")
    return values


def _binary(data: bytes, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
    if len(data) < count * dtype.itemsize:
        raise InputError(f"truncated: {count} points need {count * dtype.itemsize} bytes, {len(data)} are there")
    return np.frombuffer(data, dtype, count)


def _compressed(data: bytes, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
    """LZF of the columns one after the other, behind its compressed and plain size."""
    packed, plain = struct.unpack_from("<II", data) if len(data) >= 8 else (0, -1)
    # A token of 3 bytes unpacks to at most 264: a larger promise is damage, and must not allocate gigabytes.
    if plain != count * dtype.itemsize or len(data) < 8 + packed or plain > 264 * packed:
        raise InputError(
            f"truncated or damaged: {count} points need {count * dtype.itemsize} bytes, the compressed block says "
            f"{packed} bytes for {plain}, and {max(len(data) - 8, 0)} are there"
        )
    columns, produced = lzf_decompress(np.frombuffer(data, np.uint8, packed, 8), plain)
    if produced != plain:
        raise InputError(f"damaged: the compressed block does not unpack to {plain} bytes")
    rows = np.empty(count, dtype)
    start = 0
    for name in dtype.names or ():
        size = dtype[name].itemsize * count
        rows[name] = columns[start : start + size].view(dtype[name].base).reshape(rows[name].shape)
        start += size
    return rows
