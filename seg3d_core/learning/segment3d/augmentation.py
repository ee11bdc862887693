"""How a cloud is changed before it is learned from; section 5.2 of the method, and more. N points.

Each change is a function of a random generator and of what it changes: points (N, 3) in m, z up, or colours (N, 3) in
0..1, which stay in 0..1. There is at least one point. None writes into its argument.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64, Int64
from scipy.ndimage import uniform_filter1d
from scipy.spatial.transform import Rotation

from seg3d_core.errors import InputError
from seg3d_core.learning.segment3d.augmentation_kernels import displace, extent_of, outside_balls, turn_about
from seg3d_core.learning.segment3d.data_settings import AugmentationConfig
from seg3d_core.segment3d.voxel_input import COLOUR_STATISTICS

Points = Float32[np.ndarray, "N 3"]
Colours = Float32[np.ndarray, "N 3"]

MOST_NODES = 20_000_000
"""Of the grid of an elastic distortion: 240 MB."""

_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue in a shade of grey (ITU-R BT.601)."""


def kept_rows(rng: np.random.Generator, points: Points, config: AugmentationConfig) -> Int64[np.ndarray, " K"]:
    """Rows of the points that are not lost, ascending."""
    rows = np.arange(len(points))
    if config.holes:
        rows = rows[outside_holes(rng, points, config.holes, config.hole_m)]
    if config.lose:
        rows = rows[rng.random(len(rows), np.float32) >= rng.uniform(0, config.lose)]
    return rows


def move(rng: np.random.Generator, points: Points, config: AugmentationConfig) -> Points:
    """Points after all changes of geometry, in the order of the original.

    Raises:
        InputError: see ``distorted``.
    """
    if config.shift:
        points = shifted(rng, centred(points))
    for axis in (0, 1):
        if rng.random() < config.flip:
            points = flipped(points, axis)
    if rng.random() < config.distort:
        for grain_m, strength_m in config.distortions:
            points = distorted(rng, points, grain_m, strength_m)
    if config.scale:
        points = scaled(rng, points, config.scale)
    if config.zoom != (1, 1):
        points = zoomed(rng, points, *config.zoom)
    if config.turn_deg or config.lean_deg:
        points = turned(rng, points, config.turn_deg, config.lean_deg)
    if config.jitter_m:
        points = jittered(rng, points, config.jitter_m)
    return points


def recolour(rng: np.random.Generator, rgb: Colours, config: AugmentationConfig) -> Colours:
    """Colours after all changes of them, those of the original in its order."""
    if rng.random() < config.no_colour:
        return colourless(rgb)
    if config.hue_deg:
        rgb = hue_turned(rng, rgb, config.hue_deg)
    if rng.random() < config.grey:
        rgb = greyed(rgb)
    if config.brightness or config.contrast:
        rgb = relit(rng, rgb, config.brightness, config.contrast)
    if config.colour_shift:
        rgb = colour_shifted(rng, rgb, config.colour_shift)
    if config.colour_noise:
        rgb = speckled(rng, rgb, config.colour_noise)
    return rgb


def centred(points: Points) -> Points:
    """The mean at the origin."""
    _, _, mean = extent_of(points)
    return points - mean.astype(np.float32)


def shifted(rng: np.random.Generator, points: Points) -> Points:
    """On each axis moved by half of a number drawn from the range of the coordinates."""
    lower, upper, _ = extent_of(points)
    offset = rng.uniform(lower, upper) / 2
    return points + offset.astype(np.float32)


def flipped(points: Points, axis: int) -> Points:
    """Mirrored on one axis; the largest coordinate becomes 0."""
    mirrored = points.copy()
    mirrored[:, axis] = points[:, axis].max() - points[:, axis]
    return mirrored


def distorted(rng: np.random.Generator, points: Points, grain_m: float, strength_m: float) -> Points:
    """Moved by smooth noise (elastic distortion): normal on a grid of that grain, blurred, interpolated between.

    Args:
        rng: draws the noise.
        points: m.
        grain_m: distance of the nodes, m.
        strength_m: deviation of the noise before it is blurred, m; blurring leaves about a ninth.

    Raises:
        InputError: the cloud is so large that the grid has more than ``MOST_NODES``.
    """
    lower, upper, _ = extent_of(points)
    extent = (upper - lower).astype(np.float64)
    nodes = (extent // grain_m).astype(np.int64) + 3
    if nodes.prod() > MOST_NODES:
        size = " x ".join(f"{side:.1f}" for side in extent)
        raise InputError(
            f"a cloud of {size} m has {nodes.prod()} nodes of {grain_m:g} m, distortion takes at most {MOST_NODES}"
        )
    noise = blurred(rng.standard_normal((*nodes, 3), np.float32))
    moved: Points = displace(points, noise, lower - np.float32(grain_m), grain_m, strength_m)
    return moved


def blurred(noise: Float32[np.ndarray, "X Y Z 3"]) -> Float32[np.ndarray, "X Y Z 3"]:
    """Averaged over three neighbours on each axis, twice; beyond the borders there is 0."""
    for _ in range(2):
        for axis in range(3):
            noise = uniform_filter1d(noise, 3, axis, mode="constant")
    return noise


def scaled(rng: np.random.Generator, points: Points, reach: float) -> Points:
    """Each axis stretched about the origin by a factor of its own, within 1 -+ ``reach``."""
    return points * rng.uniform(1 - reach, 1 + reach, 3).astype(np.float32)


def zoomed(rng: np.random.Generator, points: Points, low: float, high: float) -> Points:
    """Larger by a factor from ``low`` to ``high``, small and large ones alike often."""
    return points * np.float32(np.exp(rng.uniform(np.log(low), np.log(high))))


def turned(rng: np.random.Generator, points: Points, turn_deg: float, lean_deg: float) -> Points:
    """About the mean: about z within -+ ``turn_deg``, then about y, then about x, within -+ ``lean_deg`` each."""
    reach = np.array([turn_deg, lean_deg, lean_deg])
    rotation = Rotation.from_euler("zyx", rng.uniform(-reach, reach), degrees=True).as_matrix()
    _, _, mean = extent_of(points)
    moved: Points = turn_about(points, rotation, mean)
    return moved


def jittered(rng: np.random.Generator, points: Points, most_m: float) -> Points:
    """Each moved by normal noise, of one deviation for all, up to ``most_m``."""
    deviation_m = np.float32(rng.uniform(0, most_m))
    moved: Points = points + deviation_m * rng.standard_normal(points.shape, np.float32)
    return moved


def outside_holes(
    rng: np.random.Generator, points: Points, most: int, radii_m: tuple[float, float]
) -> Int64[np.ndarray, " K"]:
    """Rows of the points outside of up to ``most`` balls about some of them, of radii from .. to (m)."""
    count = int(rng.integers(most + 1)) if len(points) else 0
    centres = points[rng.integers(len(points), size=count)] if count else points[:0]
    return np.flatnonzero(outside_balls(points, centres, rng.uniform(*radii_m, count)))


def relit(rng: np.random.Generator, rgb: Colours, brightness: float, contrast: float) -> Colours:
    """One factor for all colours within 1 -+ ``contrast``, then one sum within -+ ``brightness``."""
    factor, plus = 1 + rng.uniform(-contrast, contrast), rng.uniform(-brightness, brightness)
    return _in_range(rgb * np.float32(factor) + np.float32(plus))


def colour_shifted(rng: np.random.Generator, rgb: Colours, reach: float) -> Colours:
    """Red, green and blue each moved by a number of its own within -+ ``reach``."""
    return _in_range(rgb + rng.uniform(-reach, reach, 3).astype(np.float32))


def hue_turned(rng: np.random.Generator, rgb: Colours, reach_deg: float) -> Colours:
    """Turned about the axis of greys, one angle within -+ ``reach_deg`` for all."""
    rotation = hue_rotation(float(rng.uniform(-reach_deg, reach_deg)))
    return _in_range(turn_about(rgb, rotation, np.zeros(3)))


def hue_rotation(angle_deg: float) -> Float64[np.ndarray, "3 3"]:
    """Red to green is 120 degrees; greys stay."""
    matrix: Float64[np.ndarray, "3 3"] = Rotation.from_rotvec(
        np.radians(angle_deg) * np.ones(3) / np.sqrt(3)
    ).as_matrix()
    return matrix


def speckled(rng: np.random.Generator, rgb: Colours, most: float) -> Colours:
    """Normal noise on every colour, of one deviation for all, up to ``most``."""
    deviation = np.float32(rng.uniform(0, most))
    return _in_range(rgb + deviation * rng.standard_normal(rgb.shape, np.float32))


def greyed(rgb: Colours) -> Colours:
    """Shades of grey of the same luminance."""
    return np.repeat((rgb * _LUMINANCE).sum(axis=1, keepdims=True), 3, axis=1)


def colourless(rgb: Colours) -> Colours:
    """The mean colour everywhere, as the predictor takes a cloud without colours."""
    return np.broadcast_to(np.array(COLOUR_STATISTICS["imagenet"][0], np.float32), rgb.shape).copy()


def _in_range(rgb: Colours) -> Colours:
    clipped: Colours = np.clip(rgb, 0, 1)
    return clipped
