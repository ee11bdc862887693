"""Compiled search and sorting of pairs of rows."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def table_pairs(
    keys: np.ndarray, steps: np.ndarray, table: np.ndarray, tiles: int, tile_rows: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where pairs begin, input rows and output rows: what ``table`` (row or -1 by key) holds ``steps`` from each key.

    Ordered by tile of output rows, then by step, then by output row.
    """
    starts = np.zeros(tiles * len(steps) + 1, np.int64)
    inputs = np.empty(12 * len(keys) + tile_rows, np.int32)
    outputs = np.empty_like(inputs)
    count = 0
    for tile in range(tiles):
        last = min((tile + 1) * tile_rows, len(keys))
        for k in range(len(steps)):
            if count + tile_rows > len(inputs):
                inputs, outputs = _longer(inputs, count), _longer(outputs, count)
            for row in range(tile * tile_rows, last):
                found = table[keys[row] + steps[k]]
                # Written over by the next one where nothing is found: no branch to mispredict.
                inputs[count] = found
                outputs[count] = row
                count += found >= 0
            starts[tile * len(steps) + k + 1] = count
    return starts, inputs[:count].copy(), outputs[:count].copy()


@njit(cache=True, nogil=True)
def _longer(values: np.ndarray, count: int) -> np.ndarray:
    longer = np.empty(2 * len(values), values.dtype)
    longer[:count] = values[:count]
    return longer


@njit(cache=True, nogil=True)
def sorted_pairs(
    kernel_rows: np.ndarray, inputs: np.ndarray, outputs: np.ndarray, tiles: int, tile_rows: int, volume: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs by tile of their output row, then by kernel row; where each of these groups begins comes first."""
    ends = np.zeros(tiles * volume + 1, np.int64)
    for pair in range(len(inputs)):
        ends[outputs[pair] // tile_rows * volume + kernel_rows[pair] + 1] += 1
    starts = np.cumsum(ends)
    places = starts.copy()
    sorted_inputs = np.empty(len(inputs), np.int32)
    sorted_outputs = np.empty(len(inputs), np.int32)
    for pair in range(len(inputs)):
        group = outputs[pair] // tile_rows * volume + kernel_rows[pair]
        sorted_inputs[places[group]] = inputs[pair]
        sorted_outputs[places[group]] = outputs[pair]
        places[group] += 1
    return starts, sorted_inputs, sorted_outputs
