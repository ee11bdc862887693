"""RVL depth compression (Wilson, "Fast Lossless Depth Image Compression", ISS 2017).

The stream is a sequence of 32-bit words of eight nibbles, most significant first. A number is coded in nibbles of
three bits, least significant first; the nibble's top bit says that another one follows. Numbers alternate: a count of
zero pixels, a count of non-zero pixels, then one zigzag-coded difference to the previous non-zero pixel for each.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_MAX_NIBBLES = 11
"""Eleven nibbles carry 33 bits; nothing valid is longer."""


@njit(cache=True, nogil=True)
def _read_number(words, nibble):  # type: ignore[no-untyped-def]
    """The number at a nibble position and the position behind it; (-1, position) at the end or on a broken code."""
    value = np.int64(0)
    for digit in range(_MAX_NIBBLES):
        if nibble >= words.size * 8:
            return np.int64(-1), nibble
        bits = np.int64(words[nibble >> 3] >> np.uint32(28 - 4 * (nibble & 7))) & 15
        nibble += 1
        value |= (bits & 7) << (3 * digit)
        if bits < 8:
            return value, nibble
    return np.int64(-1), nibble


@njit(cache=True, nogil=True)
def decode_rvl(words, pixels):  # type: ignore[no-untyped-def]
    """Fill the flat uint16 ``pixels`` from uint32 ``words``; returns how many pixels the stream held.

    Fewer than ``pixels.size`` means that the stream ended early, is broken, or holds more than the image.
    """
    done = 0
    nibble = 0
    previous = np.int64(0)
    while done < pixels.size:
        zeros, nibble = _read_number(words, nibble)
        if zeros < 0 or zeros > pixels.size - done:
            return done
        pixels[done : done + zeros] = 0
        done += zeros
        count, nibble = _read_number(words, nibble)
        if count < 0 or count > pixels.size - done:
            return done
        # Two empty runs make no progress; no encoder writes them.
        if zeros == 0 and count == 0:
            return done
        for _ in range(count):
            zigzag, nibble = _read_number(words, nibble)
            if zigzag < 0:
                return done
            previous += (zigzag >> 1) ^ -(zigzag & 1)
            pixels[done] = np.uint16(previous & 0xFFFF)
            done += 1
    return done


@njit(cache=True, nogil=True)
def _write_number(words, nibble, value):  # type: ignore[no-untyped-def]
    """Put a number at a nibble position of zeroed words; the position behind it."""
    while True:
        bits = value & 7
        value >>= 3
        if value:
            bits |= 8
        words[nibble >> 3] |= np.uint32(bits) << np.uint32(28 - 4 * (nibble & 7))
        nibble += 1
        if not value:
            return nibble


@njit(cache=True, nogil=True)
def encode_rvl(pixels, words):  # type: ignore[no-untyped-def]
    """Write the flat uint16 ``pixels`` into zeroed uint32 ``words``; returns how many words that took.

    ``words`` must have room for one word a pixel and two more: no pixel takes more than six nibbles, no run's count
    more than its run has pixels.
    """
    at = 0
    nibble = 0
    previous = np.int64(0)
    while at < pixels.size:
        start = at
        while at < pixels.size and pixels[at] == 0:
            at += 1
        nibble = _write_number(words, nibble, np.int64(at - start))
        start = at
        while at < pixels.size and pixels[at] != 0:
            at += 1
        nibble = _write_number(words, nibble, np.int64(at - start))
        for place in range(start, at):
            step = np.int64(pixels[place]) - previous
            nibble = _write_number(words, nibble, (step << 1) ^ (step >> 63))
            previous = np.int64(pixels[place])
    return (nibble + 7) >> 3
