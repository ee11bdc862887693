"""Rows and ids of a change as text for a journal: small, and quick where most of a scene changes hands."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
from jaxtyping import Int32, Int64
from numpy.typing import NDArray

_DENSE = 16
"""Where at least one of so many rows is among them, a bit for each row is less than a step from one to the next."""


def rows_to_json(rows: Int64[np.ndarray, " R"]) -> dict[str, Any]:
    """Ascending rows: the first, how many, and either a bit for each row from there on or the steps between them."""
    first, last = (int(rows[0]), int(rows[-1])) if len(rows) else (0, 0)
    if last - first >= _DENSE * len(rows):
        return {"first": first, "count": len(rows), "steps": _packed(np.diff(rows, prepend=first).astype("<i4"))}
    there = np.zeros(last - first + 1, np.bool_)
    there[rows - first] = True
    return {"first": first, "count": len(rows), "bits": _packed(np.packbits(there))}


def rows_from_json(values: dict[str, Any] | str) -> Int64[np.ndarray, " R"]:
    """What ``rows_to_json`` made, or the text that journals of format 1 have: the steps from row 0 on.

    Raises:
        ValueError, KeyError, TypeError, zlib.error: it is damaged.
    """
    if isinstance(values, str):
        return np.cumsum(_unpacked(values, "<i4"), dtype=np.int64)
    rows: Int64[np.ndarray, " R"]
    if "steps" in values:
        rows = np.cumsum(_unpacked(values["steps"], "<i4"), dtype=np.int64)
    else:
        rows = np.flatnonzero(np.unpackbits(_unpacked(values["bits"], "u1")))
    if len(rows) != values["count"]:
        raise ValueError(f"{len(rows)} rows instead of {values['count']}")
    return rows + np.int64(values["first"])


def ids_to_json(ids: Int32[np.ndarray, " R"]) -> int | str:
    """One number where all are the same, as mostly."""
    if len(ids) and (ids == ids[0]).all():
        return int(ids[0])
    return _packed(ids.astype("<i4"))


def ids_from_json(value: int | str, count: int) -> Int32[np.ndarray, " R"]:
    """What ``ids_to_json`` made of ``count`` ids.

    Raises:
        ValueError, TypeError, zlib.error: it is damaged.
    """
    if isinstance(value, int):
        return np.full(count, value, np.int32)
    ids = _unpacked(value, "<i4").astype(np.int32)
    if len(ids) != count:
        raise ValueError(f"{count} points but {len(ids)} ids")
    return ids


def _packed(numbers: NDArray[np.generic]) -> str:
    return base64.b64encode(zlib.compress(numbers.tobytes(), 1)).decode()


def _unpacked(text: str, kind: str) -> NDArray[Any]:
    return np.frombuffer(zlib.decompress(base64.b64decode(text, validate=True)), kind)
