"""What a step of training sees of the views: a random cut, turned, recoloured, normalised, with masks in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from seg3d_core.learning.point_sam.shapes import shapes_view
from seg3d_core.learning.point_sam.views import View
from seg3d_core.point_sam.normalisation import Normalisation
from seg3d_core.point_sam_config import PointSamSettings

FEWEST_MASK_POINTS = 20
"""Objects of fewer points in a sample are not asked for: nobody could click on them."""
_LARGEST_SHARE = 0.9
_PARTS_WEIGHT = 0.15
"""Of all parts of an object together; the object has 1."""
_SHAPES_SHARE, _CUT_SHARE = 0.4, 0.75
_GREY = 2 * PointSamSettings.build({}).missing_colour - 1
_ATTEMPTS = 20


@dataclass(frozen=True, eq=False)
class Sample:
    """A cloud as the network takes it, and some objects in it.

    Attributes:
        xyz: (N, 3) normalised, y up.
        rgb: (N, 3) in -1..1.
        masks: (M, N) each of ``FEWEST_MASK_POINTS`` points at least, and not of all.
    """

    xyz: Float32[np.ndarray, "N 3"]
    rgb: Float32[np.ndarray, "N 3"]
    masks: Bool[np.ndarray, "M N"]


def draw_sample(rng: np.random.Generator, views: Sequence[View], points: int, masks: int) -> Sample:
    """A sample of so many points and masks, of one of ``views`` or of simple bodies on a plane."""
    for _ in range(_ATTEMPTS):
        if rng.uniform() < _SHAPES_SHARE or not views:
            view = shapes_view(rng, 12 * points)
        else:
            view = views[int(rng.integers(len(views)))]
        view = _cut(rng, view)
        if len(view.points) < points // 2:
            continue
        view = view.select(_thinned(rng, len(view.points), points))
        candidates = possible_masks(view)
        if len(candidates.rows):
            return _made(rng, view, candidates.drawn(rng, masks))
    raise AssertionError(f"{_ATTEMPTS} views in a row show no object")


def plain_sample(view: View, points: int, rng: np.random.Generator) -> Sample | None:
    """A view as it is, all its objects; None where it has none. For validation."""
    view = view.select(_thinned(rng, len(view.points), points))
    candidates = possible_masks(view)
    objects = candidates.rows[candidates.is_object]
    if not len(objects):
        return None
    xyz = Normalisation.of(view.points, "z").apply(view.points)
    return Sample(np.clip(xyz, -1, 1), _scaled(view), objects)


@dataclass(frozen=True, eq=False)
class Candidates:
    """Objects and parts of a view that can be asked for.

    Attributes:
        rows: (C, N) their masks.
        weights: (C,) how often each is asked for, relatively.
        is_object: (C,) the others are parts and structure.
    """

    rows: Bool[np.ndarray, "C N"]
    weights: Float64[np.ndarray, " C"]
    is_object: Bool[np.ndarray, " C"]

    def drawn(self, rng: np.random.Generator, count: int) -> Bool[np.ndarray, "M N"]:
        """So many masks; repeated only where there are not as many objects."""
        share = self.weights / self.weights.sum()
        rows = rng.choice(len(share), count, replace=int(self.is_object.sum()) < count, p=share)
        return self.rows[rows]


def possible_masks(view: View) -> Candidates:
    """Every object and part that is large enough, the surface of the room (or plane) among them, seldom."""
    rows, weights, is_object = [], [], []
    for number, count in zip(*np.unique(view.objects, return_counts=True), strict=True):
        if not _fits(int(count), len(view.points)):
            continue
        mask = view.objects == number
        rows.append(mask)
        weights.append(0.1 if number == 0 else 4.0 if number == view.focus else 1.0)
        is_object.append(number != 0)
        if number:
            parts = [view.parts == part for part in np.unique(view.parts[mask])]
            parts = [part for part in parts if _fits(int(part.sum()), len(part)) and part.sum() < 0.9 * count]
            rows += parts
            weights += [_PARTS_WEIGHT / max(1, len(parts))] * len(parts)
            is_object += [False] * len(parts)
    shape = (len(rows), len(view.points))
    return Candidates(np.array(rows, bool).reshape(shape), np.array(weights), np.array(is_object, bool))


def _fits(count: int, points: int) -> bool:
    return FEWEST_MASK_POINTS <= count <= _LARGEST_SHARE * points


def _cut(rng: np.random.Generator, view: View) -> View:
    """The surroundings of one object, or all of it."""
    if rng.uniform() > _CUT_SHARE:
        return view
    numbers = np.unique(view.objects[view.objects > 0])
    if not len(numbers):
        return view
    number = view.focus if view.focus and rng.uniform() < 0.7 else int(rng.choice(numbers))
    on = view.points[view.objects == number]
    if not len(on):
        return view
    low, high = on.min(axis=0), on.max(axis=0)
    size_m = float(np.linalg.norm(high - low))
    centre = (low + high) / 2 + rng.normal(0, 0.3, 3) * size_m / 2
    reach_m = max(0.1, size_m * np.exp(rng.uniform(np.log(0.6), np.log(4))))
    cut = view.select(np.flatnonzero(np.linalg.norm(view.points - centre, axis=1) < reach_m))
    return replace(cut, focus=number)


def _thinned(rng: np.random.Generator, available: int, wanted: int) -> Int64[np.ndarray, " M"]:
    """Rows of exactly so many points; some twice where there are not as many."""
    order = rng.permutation(available)
    return order[:wanted] if available >= wanted else np.concatenate([order, rng.choice(available, wanted - available)])


def _made(rng: np.random.Generator, view: View, masks: Bool[np.ndarray, "M N"]) -> Sample:
    stretched = view.points @ (_turn(rng) * rng.uniform(0.85, 1.15, 3)[:, None]).T.astype(np.float32)
    xyz = Normalisation.of(stretched, "z").apply(stretched) * np.float32(rng.uniform(0.8, 1.0))
    return Sample(np.clip(xyz, -1, 1), _recoloured(rng, _scaled(view)), masks)


def _turn(rng: np.random.Generator) -> Float64[np.ndarray, "3 3"]:
    """About the vertical by any angle, mirrored half of the time, a little off the vertical; seldom any way at all."""
    if rng.uniform() < 0.15:
        random: Float64[np.ndarray, "3 3"] = np.linalg.qr(rng.normal(0, 1, (3, 3)))[0]
        return random
    angle, tilt = rng.uniform(-np.pi, np.pi), np.clip(rng.normal(0, 0.08, 2), -0.25, 0.25)
    cosine, sine = np.cos(angle), np.sin(angle)
    about_z = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]]) @ np.diag([rng.choice([-1, 1]), 1, 1])
    lean = np.array([[1, 0, tilt[0]], [0, 1, tilt[1]], [-tilt[0], -tilt[1], 1]])
    upright, scales = np.linalg.qr(lean)
    turn: Float64[np.ndarray, "3 3"] = upright * np.sign(np.diag(scales)) @ about_z
    return turn


def _scaled(view: View) -> Float32[np.ndarray, "N 3"]:
    return view.rgb.astype(np.float32) / np.float32(127.5) - np.float32(1)


def _recoloured(rng: np.random.Generator, rgb: Float32[np.ndarray, "N 3"]) -> Float32[np.ndarray, "N 3"]:
    """Other light and other cameras; seldom other hues, or none."""
    kind = rng.uniform()
    if kind < 0.15:
        return np.full_like(rgb, _GREY)
    if kind < 0.3:
        rgb = rgb[:, rng.permutation(3)]
    gain = rng.uniform(0.7, 1.2) * rng.uniform(0.9, 1.1, 3)
    changed = (rgb + 1) * gain - 1 + rng.uniform(-0.15, 0.15) + rng.normal(0, rng.uniform(0, 0.05), rgb.shape)
    clipped: Float32[np.ndarray, "N 3"] = np.clip(changed, -1, 1).astype(np.float32)
    return clipped
