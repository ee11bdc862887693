"""Compiled loops of ``flat_items``: colours, their differences along edges, and the colours of regions."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def opponent_colours(rgb: np.ndarray, brightness_weight: float) -> np.ndarray:
    """(S, 3) float64 brightness times its weight, red against green, yellow against blue."""
    colours = np.empty((len(rgb), 3), np.float64)
    for i in range(len(rgb)):
        red, green, blue = np.float64(rgb[i, 0]), np.float64(rgb[i, 1]), np.float64(rgb[i, 2])
        colours[i, 0] = brightness_weight * (red + green + blue) / 3
        colours[i, 1] = red - green
        colours[i, 2] = (red + green) / 2 - blue
    return colours


@njit(cache=True, nogil=True)
def _distance(colours: np.ndarray, i: int, j: int) -> np.float32:
    x, y, z = colours[i, 0] - colours[j, 0], colours[i, 1] - colours[j, 1], colours[i, 2] - colours[j, 2]
    return np.float32(np.sqrt(x * x + y * y + z * z))


@njit(cache=True, nogil=True)
def colour_edges(
    a: np.ndarray, b: np.ndarray, regions: np.ndarray, is_flat: np.ndarray, colours: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Edges within flat regions: (E,) bool which they are, their ends, and the float32 colour distance of these."""
    inside = np.zeros(len(a), np.bool_)
    from_, to = np.empty(len(a), np.int32), np.empty(len(a), np.int32)
    steps = np.empty(len(a), np.float32)
    count = 0
    for e in range(len(a)):
        i, j = a[e], b[e]
        if regions[i] == regions[j] and is_flat[regions[i]]:
            inside[e] = True
            from_[count], to[count] = i, j
            steps[count] = _distance(colours, i, j)
            count += 1
    return inside, from_[:count], to[:count], steps[:count]


@njit(cache=True, nogil=True)
def mean_colours(colours: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """(R, 3) float64 mean colour of each label, black where a label has no sample."""
    sums = np.zeros((count, 3), np.float64)
    sizes = np.zeros(count, np.int64)
    for i in range(len(labels)):
        label = labels[i]
        sizes[label] += 1
        sums[label, 0] += colours[i, 0]
        sums[label, 1] += colours[i, 1]
        sums[label, 2] += colours[i, 2]
    for label in range(count):
        for channel in range(3):
            sums[label, channel] /= max(sizes[label], 1)
    return sums


@njit(cache=True, nogil=True)
def distances_of_means(means: np.ndarray, labels: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(E,) float32 distance between the mean colours of the labels at both ends."""
    distances = np.empty(len(a), np.float32)
    for e in range(len(a)):
        distances[e] = _distance(means, labels[a[e]], labels[b[e]])
    return distances


@njit(cache=True, nogil=True)
def weights_around_items(
    weights: np.ndarray, inside: np.ndarray, a: np.ndarray, b: np.ndarray, labels: np.ndarray, means: np.ndarray
) -> np.ndarray:
    """(E,) ``weights``, but the distance of the mean colours where an ``inside`` edge leads to another label."""
    changed = weights.copy()
    for e in range(len(a)):
        if inside[e] and labels[a[e]] != labels[b[e]]:
            changed[e] = _distance(means, labels[a[e]], labels[b[e]])
    return changed


@njit(cache=True, nogil=True)
def take_items_out(regions: np.ndarray, count: int, patches: np.ndarray, is_item: np.ndarray) -> np.ndarray:
    """(S,) int32 dense labels: the ``count`` regions that keep samples, in their order, then the items in theirs."""
    number = np.full(count + len(is_item), -1, np.int32)
    labels = np.empty(len(regions), np.int32)
    for i in range(len(regions)):
        labels[i] = count + patches[i] if is_item[patches[i]] else regions[i]
        number[labels[i]] = 0
    used = 0
    for label in range(len(number)):
        if number[label] == 0:
            number[label] = used
            used += 1
    for i in range(len(regions)):
        labels[i] = number[labels[i]]
    return labels


@njit(cache=True, nogil=True)
def scatter_matrices(points: np.ndarray, labels: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(R, 3, 3) float64 sum of the products of deviations from the mean, of the points of each label."""
    means, scatter = np.zeros((len(sizes), 3)), np.zeros((len(sizes), 3, 3))
    for i in range(len(labels)):
        for axis in range(3):
            means[labels[i], axis] += points[i, axis]
    for label in range(len(sizes)):
        for axis in range(3):
            means[label, axis] /= max(sizes[label], 1)
    for i in range(len(labels)):
        mean, sums = means[labels[i]], scatter[labels[i]]
        x, y, z = points[i, 0] - mean[0], points[i, 1] - mean[1], points[i, 2] - mean[2]
        sums[0, 0] += x * x
        sums[1, 0] += y * x
        sums[1, 1] += y * y
        sums[2, 0] += z * x
        sums[2, 1] += z * y
        sums[2, 2] += z * z
    for label in range(len(sizes)):
        for row in range(2):
            for column in range(row + 1, 3):
                scatter[label, row, column] = scatter[label, column, row]
    return scatter


@njit(cache=True, nogil=True)
def count_facing(normals: np.ndarray, labels: np.ndarray, directions: np.ndarray, least_cos: float) -> np.ndarray:
    """(R,) how many normals of each label are along its direction, or against it, by more than this cosine."""
    counts = np.zeros(len(directions), np.int64)
    for i in range(len(labels)):
        direction = directions[labels[i]]
        along = normals[i, 0] * direction[0] + normals[i, 1] * direction[1] + normals[i, 2] * direction[2]
        counts[labels[i]] += abs(along) > least_cos
    return counts
