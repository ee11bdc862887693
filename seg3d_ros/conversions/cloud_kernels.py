"""Compiled point loops of ``cloud_reading`` and ``cloud_writing``: bytes to arrays and back, each in one pass.

Points are read as 32-bit words, because the layouts that cameras and fusion publish (x y z rgb in 16, 32 or 48 bytes)
are whole words; ``cloud_reading`` brings every other layout into that form first.
"""

from __future__ import annotations

import numpy as np
from numba import njit

NO_FIELD = -1
_BLOCK = 512
"""Points that are looked at together: their bytes and their results stay in the first-level cache."""
_EXPONENT = np.int32(0x7F800000)
"""All of these bits are set in NaN and infinity, and in no other float32."""
_UNIT = np.float32(1 / 255)
_U1, _U2, _U3, _U4, _U5, _U6 = (np.uint64(number) for number in range(1, 7))
_BYTE = np.int32(255)

# What the compiler needs to make vectors of a loop: unsigned indices, because the test for negative (from the end)
# ones is a branch; steps that are written down; and 32-bit integers throughout, which Numba makes 64-bit ones of
# when it may.


@njit(cache=True, nogil=True)
def read_points(words, height, width, row, step, x, colour, points, rgb, kept):  # type: ignore[no-untyped-def]
    """Pack the points with finite coordinates; returns how many there are.

    ``words`` (int32) is flat memory; ``row``, ``step`` and the places ``x`` (y and z follow it) and ``colour``
    (0x00RRGGBB, or NO_FIELD) count words. Fills the front of the flat ``points`` (3 N, bits of float32 as int32),
    ``rgb`` (3 N, float32) and, when points were dropped, of ``kept`` (N) = row-major source index.
    """
    count = 0
    packed = np.empty(_BLOCK, np.int32)
    for v in range(height):
        for u in range(0, width, _BLOCK):
            size = min(_BLOCK, width - u)
            source = v * width + u
            start = v * row + u * step
            if step == 4 and x == 0 and colour == 3:
                _split_points(words, start, size, points, rgb, count)
            else:
                _copy_points(words, start + x, step, size, points, count)
                if colour != NO_FIELD:
                    _copy_words(words, start + colour, step, size, packed)
                    _unpack_colours(packed, size, rgb, count)
            if _all_finite(points, count, size):
                if count < source:
                    _count_up(kept, count, size, source)
                count += size
            else:
                if count == source:
                    _count_up(kept, 0, count, 0)
                count = _keep_finite(size, source, points, rgb, kept, count)
    return count


@njit(cache=True, nogil=True)
def _split_points(words, start, size, points, rgb, count):  # type: ignore[no-untyped-def]
    """Points of x, y, z and colour in four words, in one pass."""
    source, target = np.uint64(start), np.uint64(3 * count)
    for index in range(np.uint64(size)):
        place, to = source + index * _U4, target + index * _U3
        x, y, z, bits = words[place], words[place + _U1], words[place + _U2], words[place + _U3]
        points[to], points[to + _U1], points[to + _U2] = x, y, z
        rgb[to] = _unit_of(bits, np.int32(16))
        rgb[to + _U1] = _unit_of(bits, np.int32(8))
        rgb[to + _U2] = _unit_of(bits, np.int32(0))


@njit(cache=True, nogil=True)
def _unit_of(bits, shift):  # type: ignore[no-untyped-def]
    return np.float32(np.int32((bits >> shift) & _BYTE)) * _UNIT


@njit(cache=True, nogil=True)
def _copy_points(words, start, step, size, points, count):  # type: ignore[no-untyped-def]
    source, target, stride = np.uint64(start), np.uint64(3 * count), np.uint64(step)
    for index in range(np.uint64(size - 1)):
        place, to = source + index * stride, target + index * _U3
        # Four values at once make one vector; the fourth is overwritten by the next point.
        a, b, c, d = words[place], words[place + _U1], words[place + _U2], words[place + _U3]
        points[to], points[to + _U1], points[to + _U2], points[to + _U3] = a, b, c, d
    place, to = source + np.uint64(size - 1) * stride, target + np.uint64(size - 1) * _U3
    a, b, c = words[place], words[place + _U1], words[place + _U2]
    points[to], points[to + _U1], points[to + _U2] = a, b, c


@njit(cache=True, nogil=True)
def _copy_words(words, start, step, size, packed):  # type: ignore[no-untyped-def]
    source, stride = np.uint64(start), np.uint64(step)
    for index in range(np.uint64(size)):
        packed[index] = words[source + index * stride]


@njit(cache=True, nogil=True)
def _unpack_colours(packed, size, rgb, count):  # type: ignore[no-untyped-def]
    target = np.uint64(3 * count)
    for index in range(np.uint64(size)):
        bits, to = packed[index], target + index * _U3
        rgb[to] = _unit_of(bits, np.int32(16))
        rgb[to + _U1] = _unit_of(bits, np.int32(8))
        rgb[to + _U2] = _unit_of(bits, np.int32(0))


@njit(cache=True, nogil=True)
def _all_finite(points, count, size):  # type: ignore[no-untyped-def]
    largest = np.int32(0)
    for index in range(np.uint64(3 * count), np.uint64(3 * (count + size))):
        largest = max(largest, np.int32(points[index] & _EXPONENT))
    return largest != _EXPONENT


@njit(cache=True, nogil=True)
def _count_up(kept, start, size, source):  # type: ignore[no-untyped-def]
    for index in range(size):
        kept[start + index] = source + index


@njit(cache=True, nogil=True)
def _keep_finite(size, source, points, rgb, kept, count):  # type: ignore[no-untyped-def]
    """Move the finite ones of the ``size`` points behind ``count`` together; returns the new count."""
    first, has_colour = count, rgb.size > 0
    for index in range(size):
        place, to = np.uint64(3 * (first + index)), np.uint64(3 * count)
        x, y, z = points[place], points[place + _U1], points[place + _U2]
        points[to], points[to + _U1], points[to + _U2] = x, y, z
        if has_colour:
            rgb[to], rgb[to + _U1], rgb[to + _U2] = rgb[place], rgb[place + _U1], rgb[place + _U2]
        kept[count] = source + index
        # A dropped point is overwritten by the next one: no branch to mispredict.
        count += _is_finite(x) & _is_finite(y) & _is_finite(z)
    return count


@njit(cache=True, nogil=True)
def _is_finite(bits):  # type: ignore[no-untyped-def]
    return (bits & _EXPONENT) != _EXPONENT


@njit(cache=True, nogil=True)
def are_unit_normals(normals):  # type: ignore[no-untyped-def]
    """Whether every three of the flat normals (3 N) have length 1 within 1 %; NaN has not."""
    good = 0
    for index in range(np.uint64(normals.size // 3)):
        place = index * _U3
        x, y, z = normals[place], normals[place + _U1], normals[place + _U2]
        good += abs(x * x + y * y + z * z - np.float32(1)) <= np.float32(0.02)
    return good == normals.size // 3


@njit(cache=True, nogil=True)
def pack_rgb(rgb, step, at, words):  # type: ignore[no-untyped-def]
    """Flat colour in 0..1 (3 N), clipped, NaN = 0, to 0x00RRGGBB in every ``step``-th of ``words`` from ``at``."""
    count = rgb.size // 3
    packed = np.empty(_BLOCK, np.uint32)
    for begin in range(0, count, _BLOCK):
        size = min(_BLOCK, count - begin)
        _pack_block(rgb, begin, size, packed)
        stride, to = np.uint64(step), np.uint64(at + begin * step)
        for index in range(np.uint64(size)):
            words[to + index * stride] = packed[index]


@njit(cache=True, nogil=True)
def _pack_block(rgb, begin, size, packed):  # type: ignore[no-untyped-def]
    first = np.uint64(3 * begin)
    for index in range(np.uint64(size)):
        place = first + index * _U3
        red, green, blue = _to_byte(rgb[place]), _to_byte(rgb[place + _U1]), _to_byte(rgb[place + _U2])
        packed[index] = np.uint32((red << np.int32(16)) | (green << np.int32(8)) | blue)


@njit(cache=True, nogil=True)
def _to_byte(value):  # type: ignore[no-untyped-def]
    positive = value if value > np.float32(0) else np.float32(0)
    clipped = positive if positive < np.float32(1) else np.float32(1)
    return np.int32(clipped * np.float32(255) + np.float32(0.5))


@njit(cache=True, nogil=True)
def place_triples(triples, step, at, words):  # type: ignore[no-untyped-def]
    """Copy flat (3 N) words, three by three, to every ``step``-th of ``words`` from ``at``."""
    stride, first = np.uint64(step), np.uint64(at)
    for index in range(np.uint64(triples.size // 3)):
        place, to = index * _U3, first + index * stride
        words[to], words[to + _U1], words[to + _U2] = triples[place], triples[place + _U1], triples[place + _U2]


@njit(cache=True, nogil=True)
def place_labelled(triples, table, rows, words):  # type: ignore[no-untyped-def]
    """Flat (3 N) words, each three followed by the row of the (R, 3) ``table`` that ``rows`` (N,) names; -1 = last."""
    last = len(table) - 1
    for index in range(np.uint64(rows.size)):
        row = np.uint64(rows[index] if rows[index] >= 0 else last)
        place, to = index * _U3, index * _U6
        words[to], words[to + _U1], words[to + _U2] = triples[place], triples[place + _U1], triples[place + _U2]
        words[to + _U3], words[to + _U4], words[to + _U5] = table[row, 0], table[row, 1], table[row, 2]
