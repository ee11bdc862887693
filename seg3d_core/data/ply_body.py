"""The data behind a PLY header, text or binary: tables of scalars, and tables with lists.

Rows with lists are read at once where every row has the first row's list lengths (all triangles, the usual mesh), row
by row otherwise.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seg3d_core.data.ply_header import Element, Property
from seg3d_core.errors import InputError

Polygons = list[NDArray[np.int64]]
"""(F, L) arrays of vertex numbers, one per run of faces with equal length."""


class BinaryBody:
    """Data of a binary file from ``offset`` on; ``byte_order`` is "<" or ">"."""

    def __init__(self, data: bytes, offset: int, byte_order: str) -> None:
        self._data = data
        self._offset = offset
        self._order = byte_order

    def scalars(self, element: Element) -> NDArray[Any]:
        """(count,) structured array of an element without lists: a view of the file's bytes."""
        dtype = np.dtype([(prop.name, self._order + prop.code) for prop in element.properties])
        return self._take(dtype, element.count, element)

    def lists(self, element: Element, wanted: str) -> Polygons:
        """The list property ``wanted``: (F, L) arrays, one per run of equal length, in file order."""
        if element.count == 0:
            return []
        start = self._offset
        first = self._row(element, wanted)[1]
        dtype = self._uniform_dtype(element, first)
        self._offset = start
        if dtype.itemsize * element.count <= len(self._data) - start:
            rows = self._take(dtype, element.count, element)
            if all((rows[f"#{name}"] == length).all() for name, length in first.items()):
                return [rows[wanted].astype(np.int64)]
            self._offset = start
        return [self._row(element, wanted)[0] for _ in range(element.count)]

    def _row(self, element: Element, wanted: str) -> tuple[NDArray[np.int64], dict[str, int]]:
        """The next row's ``wanted`` list as (1, L) and the lengths of all its lists."""
        values = np.zeros((1, 0), np.int64)
        lengths: dict[str, int] = {}
        for prop in element.properties:
            length = 1
            if prop.length_code:
                length = int(self._take(np.dtype(self._order + prop.length_code), 1, element)[0])
                lengths[prop.name] = length
                if length < 0:
                    raise InputError(f"PLY element {element.name} has a list {prop.name} of length {length}")
            items = self._take(np.dtype(self._order + prop.code), length, element)
            if prop.name == wanted:
                values = items.astype(np.int64)[None]
        return values, lengths

    def _uniform_dtype(self, element: Element, lengths: dict[str, int]) -> np.dtype[Any]:
        fields: list[Any] = []
        for prop in element.properties:
            if prop.length_code:
                fields.append((f"#{prop.name}", self._order + prop.length_code))
                fields.append((prop.name, self._order + prop.code, (lengths[prop.name],)))
            else:
                fields.append((prop.name, self._order + prop.code))
        return np.dtype(fields)

    def _take(self, dtype: np.dtype[Any], count: int, element: Element) -> NDArray[Any]:
        left = len(self._data) - self._offset
        if dtype.itemsize * count > left:
            raise InputError(
                f"truncated: PLY element {element.name} ({element.count} rows) needs {dtype.itemsize * count} more "
                f"bytes, {left} are left"
            )
        values = np.frombuffer(self._data, dtype, count, self._offset)
        self._offset += dtype.itemsize * count
        return values


class TextBody:
    """Data of an ascii file from ``offset`` on: numbers between white space, rows need not be lines."""

    def __init__(self, data: bytes, offset: int) -> None:
        self._numbers = parse_numbers(data[offset:])
        self._offset = 0

    def scalars(self, element: Element) -> NDArray[Any]:
        """(count,) structured array of an element without lists."""
        columns = len(element.properties)
        table = self._take(element.count * columns, element).reshape(element.count, columns)
        rows = np.zeros(element.count, np.dtype([(prop.name, prop.code) for prop in element.properties]))
        for column, prop in zip(table.T, element.properties, strict=True):
            rows[prop.name] = _checked(column, prop)
        return rows

    def lists(self, element: Element, wanted: str) -> Polygons:
        """The list property ``wanted``: (F, L) arrays, one per run of equal length, in file order."""
        if element.count == 0:
            return []
        start = self._offset
        values, where = self._row(element, wanted)
        width = self._offset - start
        self._offset = start
        if width * element.count <= len(self._numbers) - start:
            table = self._take(width * element.count, element).reshape(element.count, width)
            if all((table[:, column] == table[0, column]).all() for column in where.values()):
                first = where[wanted] + 1
                return [table[:, first : first + values.shape[1]].astype(np.int64)]
            self._offset = start
        return [self._row(element, wanted)[0] for _ in range(element.count)]

    def _row(self, element: Element, wanted: str) -> tuple[NDArray[np.int64], dict[str, int]]:
        """The next row's ``wanted`` list as (1, L) and the columns in which the lengths of all its lists stand."""
        values = np.zeros((1, 0), np.int64)
        columns: dict[str, int] = {}
        start = self._offset
        for prop in element.properties:
            length = 1
            if prop.length_code:
                columns[prop.name] = self._offset - start
                length = int(_checked(self._take(1, element), Property(prop.name, prop.length_code))[0])
                if length < 0:
                    raise InputError(f"PLY element {element.name} has a list {prop.name} of length {length}")
            items = _checked(self._take(length, element), prop)
            if prop.name == wanted:
                values = items.astype(np.int64)[None]
        return values, columns

    def _take(self, count: int, element: Element) -> NDArray[np.float64]:
        left = len(self._numbers) - self._offset
        if count > left:
            raise InputError(
                f"truncated: PLY element {element.name} ({element.count} rows) needs {count} more numbers, "
                f"{left} are left"
            )
        self._offset += count
        return self._numbers[self._offset - count : self._offset]


Body = BinaryBody | TextBody
"""Reads the elements of a file one after the other."""


def parse_numbers(text: bytes) -> NDArray[np.float64]:
    """All numbers of a text between white space; "nan" and "inf" are numbers.

    Raises:
        InputError: something else stands between them.
    """
    with warnings.catch_warnings():
        # numpy up to 2.x announces text it cannot read by this warning, later by ValueError.
        warnings.simplefilter("error", DeprecationWarning)
        try:
            return np.fromstring(text.decode("ascii").strip(), dtype=np.float64, sep=" ")
        except (DeprecationWarning, ValueError) as error:
            raise InputError(f"the data holds something that is not a number: {error}") from error


def _checked(values: NDArray[np.float64], prop: Property) -> NDArray[np.float64]:
    """``values`` if the property's integer type can hold them: numpy would wrap 300 to 44 in a uchar."""
    if prop.code[0] == "f":
        return values
    limits = np.iinfo(prop.code)
    bad = ~((values >= limits.min) & (values <= limits.max) & (values == np.round(values)))
    if bad.any():
        raise InputError(f"PLY property {prop.name} is {values[bad][0]:g}, its type holds {limits.min}..{limits.max}")
    return values
