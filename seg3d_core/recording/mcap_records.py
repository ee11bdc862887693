"""Records of MCAP files: an opcode, a length, and a body of little-endian numbers and strings (https://mcap.dev/spec)."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO
from zlib import crc32

import lz4.frame

from seg3d_core.errors import ConfigError, InputError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAGIC = b"\x89MCAP0\r\n"
HEADER, FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
MESSAGE_INDEX, CHUNK_INDEX, STATISTICS, METADATA, METADATA_INDEX = 0x07, 0x08, 0x0B, 0x0C, 0x0D
SUMMARY_OFFSET, DATA_END = 0x0E, 0x0F

HEAD = struct.Struct("<BQ")
"""Before every body: opcode, length of the body."""

MESSAGE_HEAD = struct.Struct("<HIQQ")
"""Channel, sequence number, time of recording (ns), time of publication (ns)."""

_CHUNK_HEAD = struct.Struct("<QQQI")

COMPRESSORS: Mapping[str, Callable[[bytes], bytes]] = {
    "none": lambda data: data,
    "lz4": lz4.frame.compress,
    "zstd": lambda data: zstd.compress(data, 1),
}
_NAMES = {"none": "", "lz4": "lz4", "zstd": "zstd"}
_DECOMPRESSORS: Mapping[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    "lz4": lz4.frame.decompress,
    "zstd": zstd.decompress,
}


@dataclass(frozen=True)
class Chunk:
    """Records that were compressed together.

    Attributes:
        compression: "", "lz4" or "zstd".
        stored_size: bytes that the records take in the file.
        content: the records.
    """

    compression: str
    stored_size: int
    content: bytes


def record(opcode: int, body: bytes) -> bytes:
    """A whole record."""
    return HEAD.pack(opcode, len(body)) + body


def text(value: str) -> bytes:
    """A string as it stands in a body."""
    data = value.encode()
    return struct.pack("<I", len(data)) + data


def mapping(values: Mapping[str, str]) -> bytes:
    """A map of strings as it stands in a body."""
    pairs = b"".join(text(key) + text(value) for key, value in values.items())
    return struct.pack("<I", len(pairs)) + pairs


def chunk_record(content: bytes, start_ns: int, end_ns: int, compression: str) -> tuple[bytes, Chunk]:
    """The record of a chunk, and the chunk.

    Raises:
        ConfigError: ``compression`` is not among ``COMPRESSORS``.
    """
    if compression not in COMPRESSORS:
        raise ConfigError(f"compression {compression!r}: known are {', '.join(COMPRESSORS)}")
    stored = COMPRESSORS[compression](content)
    name = _NAMES[compression]
    head = _CHUNK_HEAD.pack(start_ns, end_ns, len(content), crc32(content))
    body = head + text(name) + struct.pack("<Q", len(stored)) + stored
    return record(CHUNK, body), Chunk(name, len(stored), content)


def read_chunk(body: bytes) -> Chunk:
    """The chunk in the body of its record.

    Raises:
        InputError: damaged, or of an unknown compression.
    """
    try:
        _, _, size, checksum = _CHUNK_HEAD.unpack_from(body)
        compression, at = read_text(body, _CHUNK_HEAD.size)
        (stored_size,) = struct.unpack_from("<Q", body, at)
        stored = body[at + 8 : at + 8 + stored_size]
        content = bytes(_DECOMPRESSORS[compression](stored))
    except KeyError as error:
        raise InputError(f"chunk is compressed with {error}, known are lz4 and zstd") from error
    except (struct.error, UnicodeDecodeError, RuntimeError, ValueError, zstd.ZstdError) as error:
        raise InputError(f"chunk is damaged: {error}") from error
    if len(content) != size or (checksum and crc32(content) != checksum):
        raise InputError(f"chunk is damaged: {len(content)} bytes, expected {size} bytes of another checksum")
    return Chunk(compression, stored_size, content)


def records_in(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Opcode, offset of the record, and body, of each record in a chunk.

    Raises:
        InputError: a record runs beyond the end.
    """
    at = 0
    while at < len(content):
        if at + HEAD.size > len(content):
            raise InputError(f"chunk is damaged: half a record at byte {at}")
        opcode, length = HEAD.unpack_from(content, at)
        start = at + HEAD.size
        if start + length > len(content):
            raise InputError(f"chunk is damaged: record at byte {at} claims {length} bytes")
        yield opcode, at, content[start : start + length]
        at = start + length


def read_text(body: bytes, at: int) -> tuple[str, int]:
    """A string of a body and the offset behind it. Raises ``struct.error`` or ``UnicodeDecodeError``."""
    (length,) = struct.unpack_from("<I", body, at)
    end = at + 4 + length
    if end > len(body):
        raise struct.error(f"string of {length} bytes in a body of {len(body)} bytes")
    return body[at + 4 : end].decode(), end


def read_mapping(body: bytes, at: int) -> dict[str, str]:
    """A map of strings of a body. Raises ``struct.error`` or ``UnicodeDecodeError``."""
    (length,) = struct.unpack_from("<I", body, at)
    at, end = at + 4, at + 4 + length
    values = {}
    while at < end:
        key, at = read_text(body, at)
        values[key], at = read_text(body, at)
    return values


def read_record(file: BinaryIO, size: int) -> tuple[int, int, bytes] | None:
    """Opcode, offset and body of the record where ``file`` of ``size`` bytes stands; None if it is not all there."""
    at = file.tell()
    head = file.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    opcode, length = HEAD.unpack(head)
    if at + HEAD.size + length > size:
        return None
    return opcode, at, file.read(length)


HEADER_BYTES = MAGIC + record(HEADER, text("ros2") + text("seg3d"))
"""What a file begins with: the profile, and what writes it."""
