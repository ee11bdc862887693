"""The text header of a PLY file: which elements follow, with which properties, in which byte order."""

from __future__ import annotations

from dataclasses import dataclass

from seg3d_core.errors import InputError

MAX_HEADER_BYTES = 1 << 20
"""A header longer than this is not a header."""

NUMPY_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1",
    "short": "i2", "int16": "i2", "ushort": "u2", "uint16": "u2",
    "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4",
    "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
}  # fmt: skip
"""PLY's scalar types (old and new names) as numpy codes without byte order."""

_BYTE_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}


@dataclass(frozen=True)
class Property:
    """One column of an element: a scalar, or a list whose length is stored in front of it.

    Attributes:
        name: as written in the header.
        code: numpy code of the value, or of the list's items.
        length_code: numpy code of the list's length; empty for a scalar.
    """

    name: str
    code: str
    length_code: str = ""


@dataclass(frozen=True)
class Element:
    """A table of ``count`` rows."""

    name: str
    count: int
    properties: tuple[Property, ...]

    @property
    def has_lists(self) -> bool:
        """Whether rows may differ in size."""
        return any(prop.length_code for prop in self.properties)


@dataclass(frozen=True)
class Header:
    """What precedes the data.

    Attributes:
        byte_order: "<", ">" or "" for text.
        elements: in file order.
        size: bytes up to the first byte of data.
    """

    byte_order: str
    elements: tuple[Element, ...]
    size: int


def is_count(word: str) -> bool:
    """Whether a word of a header is a number of rows that a file can have: int() refuses thousands of digits."""
    return word.isdecimal() and len(word) < 19


def parse_header(data: bytes) -> Header:
    """Parse the header at the start of ``data``.

    Raises:
        InputError: not a PLY file, the header does not end, or a line of it cannot be understood.
    """
    if data[:3] != b"ply":
        raise InputError(f"not a PLY file: it begins with {data[:3]!r} instead of b'ply'")
    end = data.find(b"end_header", 0, MAX_HEADER_BYTES)
    stop = data.find(b"\n", end)
    if end < 0 or stop < 0:
        raise InputError("truncated: the PLY header has no end_header line")
    byte_order = None
    elements: list[Element] = []
    for line in data[:end].decode("ascii", "replace").splitlines()[1:]:
        words = line.split()
        if not words or words[0] in ("comment", "obj_info"):
            continue
        if words[0] == "format" and len(words) == 3 and words[1] in _BYTE_ORDERS:
            byte_order = _BYTE_ORDERS[words[1]]
        elif words[0] == "element" and len(words) == 3 and is_count(words[2]):
            elements.append(Element(words[1], int(words[2]), ()))
        elif words[0] == "property" and elements:
            elements[-1] = _with_property(elements[-1], words)
        else:
            raise InputError(f"PLY header line not understood: {line.strip()!r}")
    if byte_order is None:
        raise InputError("the PLY header has no format line")
    return Header(byte_order, tuple(elements), stop + 1)


def _with_property(element: Element, words: list[str]) -> Element:
    is_list = len(words) == 5 and words[1] == "list"
    types = words[2:4] if is_list else words[1:2]
    if (len(words) != 3 and not is_list) or any(name not in NUMPY_TYPES for name in types):
        raise InputError(f"PLY header line not understood: {' '.join(words)!r}")
    if any(prop.name == words[-1] for prop in element.properties):
        raise InputError(f"PLY element {element.name} has two properties called {words[-1]}")
    codes = [NUMPY_TYPES[name] for name in types]
    if is_list and codes[0][0] == "f":
        raise InputError(f"PLY list {words[-1]} has a length of type {types[0]}, expected an integer type")
    prop = Property(words[-1], codes[-1], codes[0] if is_list else "")
    return Element(element.name, element.count, (*element.properties, prop))
