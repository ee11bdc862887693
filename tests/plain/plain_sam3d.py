"""SAM3D's merging of two clouds, point by point and dictionary by dictionary."""

from __future__ import annotations

from collections import Counter

import numpy as np


def nearest(points, query, reach):
    distances = np.linalg.norm(points.astype(np.float64) - query, axis=1)
    row = int(distances.argmin()) if len(points) else -1
    return row if row >= 0 and distances[row] <= reach else None


def taken_over(own_points, own_labels, other_points, other_labels, reach, min_overlap):
    """Labels of the own points in the other's numbers; masks that are no other's have names ("own", number)."""
    own_sizes = Counter(label for label in own_labels if label >= 0)
    other_sizes = Counter(label for label in other_labels if label >= 0)
    common = {}
    result = [None] * len(own_points)
    for i, point in enumerate(own_points):
        row = nearest(other_points, point, reach)
        theirs = -1 if row is None else int(other_labels[row])
        if own_labels[i] < 0:
            result[i] = theirs if theirs >= 0 else None
        elif theirs >= 0:
            common.setdefault(int(own_labels[i]), Counter())[theirs] += 1
    for i, label in enumerate(own_labels):
        if label < 0:
            continue
        result[i] = ("own", int(label))
        counts = common.get(int(label))
        if counts:
            most = max(counts.values())
            best = min(other for other, count in counts.items() if count == most)
            if most >= min_overlap * min(own_sizes[int(label)], other_sizes[best]):
                result[i] = best
    return result


def large_only(labels, fewest):
    sizes = Counter(labels)
    return [label if label >= 0 and sizes[label] >= fewest else -1 for label in labels]


def numbered(names):
    """Whole numbers for names, None becomes -1."""
    known = {}
    return [-1 if name is None else known.setdefault(name, len(known)) for name in names]


def merge(a_points, a_labels, b_points, b_labels, voxel, reach, min_overlap, fewest):
    """Points and labels of both, one point a voxel, the first."""
    a_labels, b_labels = large_only(list(a_labels), fewest), large_only(list(b_labels), fewest)
    b_names = taken_over(b_points, b_labels, a_points, a_labels, reach, min_overlap)
    # What b took from a keeps a's number; its own masks come after.
    first = max([-1, *a_labels]) + 1
    b_numbers = [-1 if n is None else n if isinstance(n, int) else first + n[1] for n in b_names]
    a_names = taken_over(a_points, a_labels, b_points, b_numbers, reach, min_overlap)
    seen, points, names = set(), [], []
    both = [*a_names, *(None if number < 0 else number for number in b_numbers)]
    for point, name in zip([*a_points, *b_points], both, strict=True):
        key = tuple(np.floor(point / np.float64(voxel)).astype(int))
        if key not in seen:
            seen.add(key)
            points.append(point)
            names.append(name)
    return np.array(points), numbered(names)
