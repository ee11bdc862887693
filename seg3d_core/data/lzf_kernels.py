"""Decompression of LZF, the compression of binary_compressed PCD files.

A control byte below 32 announces that many literal bytes plus one. Otherwise its upper three bits (7: plus the next
byte) hold the length minus two, and its lower five bits with the following byte the distance minus one, of a copy from
the output.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def lzf_decompress(data, size):  # type: ignore[no-untyped-def]
    """Decompress the uint8 array ``data`` to at most ``size`` bytes.

    Returns the output (uint8, ``size`` long) and how many bytes of it were produced, or -1 where the data refers
    outside the output or ends within a token.
    """
    out = np.empty(size, np.uint8)
    read = 0
    written = 0
    while read < data.size:
        control = int(data[read])
        read += 1
        if control < 32:
            length = control + 1
            if read + length > data.size or written + length > size:
                return out, -1
            out[written : written + length] = data[read : read + length]
            read += length
            written += length
            continue
        length = control >> 5
        if length == 7:
            if read >= data.size:
                return out, -1
            length += int(data[read])
            read += 1
        length += 2
        if read >= data.size:
            return out, -1
        source = written - ((control & 31) << 8) - int(data[read]) - 1
        read += 1
        if source < 0 or written + length > size:
            return out, -1
        # Byte by byte: source and target overlap where a short pattern repeats.
        for i in range(length):
            out[written + i] = out[source + i]
        written += length
    return out, written
