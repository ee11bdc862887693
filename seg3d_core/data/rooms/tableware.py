"""Small things of kitchens and dining tables."""

from __future__ import annotations

import numpy as np

from seg3d_core.data.rooms.items import Item, Part
from seg3d_core.data.rooms.materials import METALS, Material, Rgb, muted, pick, plain, shaded, speckled, stripes, vivid
from seg3d_core.data.rooms.meshes import cylinder, revolution, superellipsoid, tube

FRUITS: tuple[Rgb, ...] = ((0.8, 0.16, 0.12), (0.9, 0.55, 0.1), (0.55, 0.72, 0.18), (0.92, 0.8, 0.2), (0.5, 0.15, 0.3))


def _glaze(rng: np.random.Generator) -> Material:
    colour = vivid(rng)
    kind = rng.integers(3)
    if kind == 0:
        return plain(colour)
    if kind == 1:
        return speckled(rng, colour, shaded(colour, 1.4), rng.uniform(0.008, 0.02))
    return stripes(colour, (0.93, 0.92, 0.88), rng.uniform(0.012, 0.03), 2)


def mug(rng: np.random.Generator) -> Item:
    """Mug with a handle."""
    radius, height_m, wall = rng.uniform(0.035, 0.048), rng.uniform(0.08, 0.12), 0.004
    low = radius * rng.uniform(0.8, 1.0)
    profile = [
        (0, 0), (low, 0), (radius, height_m), (radius - wall, height_m), (low - wall, 0.008), (0, 0.008)
    ]  # fmt: skip
    finish = _glaze(rng)
    turn = np.linspace(-0.45 * np.pi, 0.45 * np.pi, 11)
    bow = [
        (radius * 0.9 + 0.032 * float(np.cos(a)), 0.0, height_m * 0.5 + 0.3 * height_m * float(np.sin(a))) for a in turn
    ]
    return Item("mug", (Part("body", revolution(profile), finish), Part("handle", tube(bow, 0.005), finish)))


def bottle(rng: np.random.Generator) -> Item:
    """Bottle with neck, label and cap."""
    radius, height_m = rng.uniform(0.03, 0.042), rng.uniform(0.2, 0.31)
    shoulder, neck = height_m * rng.uniform(0.55, 0.68), radius * rng.uniform(0.3, 0.42)
    bend = np.linspace(0, 1, 8)
    blend = radius + (neck - radius) * (3 * bend**2 - 2 * bend**3)
    heights = shoulder + bend * height_m * 0.18
    profile = [
        (0, 0),
        (radius, 0),
        *zip(blend.tolist(), heights.tolist(), strict=True),
        (neck, height_m),
        (0, height_m),
    ]
    label = revolution([(0, 0), (radius + 0.0008, 0), (radius + 0.0008, shoulder * 0.5), (0, shoulder * 0.5)])
    parts = (
        Part("body", revolution(profile), plain(pick(rng, ((0.12, 0.3, 0.16), (0.35, 0.2, 0.08), vivid(rng))))),
        Part("label", label.at(z=shoulder * 0.25), stripes((0.93, 0.9, 0.82), vivid(rng), shoulder * 0.16, 2)),
        Part("cap", cylinder(neck * 1.2, 0.02).at(z=height_m - 0.012), plain(vivid(rng))),
    )
    return Item("bottle", parts)


def bowl(rng: np.random.Generator) -> Item:
    """Round bowl, often with fruit."""
    radius, height_m = rng.uniform(0.08, 0.14), rng.uniform(0.05, 0.08)
    bend = np.linspace(0, 1, 9)
    out = radius * (0.45 + 0.55 * np.sin(bend * np.pi / 2))
    up = height_m * (1 - np.cos(bend * np.pi / 2))
    inner = [(float(r) - 0.005, float(z) + 0.005) for r, z in zip(out[:-1], up[:-1], strict=True)][::-1]
    outside = list(zip(out.tolist(), up.tolist(), strict=True))
    profile = [(0, 0), *outside, (radius - 0.005, height_m), *inner, (0, 0.005)]
    parts = [Part("bowl", revolution(profile, 32), _glaze(rng))]
    for number in range(int(rng.integers(0, 6))):
        size = rng.uniform(0.055, 0.075)
        angle, place = number * 1.257 + rng.uniform(0, 0.3), radius * 0.5
        ball = superellipsoid(size, size, size * rng.uniform(0.88, 1.0), 1.0, 1.0, 20)
        fruit = ball.at(place * float(np.cos(angle)), place * float(np.sin(angle)), height_m * 0.32)
        parts.append(
            Part(f"fruit {number + 1}", fruit, speckled(rng, pick(rng, FRUITS), pick(rng, FRUITS, 0.02), 0.05))
        )
    return Item("bowl", tuple(parts))


def fruit(rng: np.random.Generator) -> Item:
    """One apple or orange with its stalk."""
    size = rng.uniform(0.06, 0.085)
    colour = pick(rng, FRUITS)
    body = superellipsoid(size, size, size * rng.uniform(0.85, 1.0), 1.0, 1.0, 24)
    stalk = cylinder(0.0025, 0.015, 8).at(z=size * 0.84)
    flesh = speckled(rng, colour, shaded(colour, 1.25), 0.03)
    return Item("fruit", (Part("body", body, flesh), Part("stalk", stalk, plain((0.3, 0.2, 0.1)))))


def vase(rng: np.random.Generator) -> Item:
    """Vase of a random curvy profile, open at the top."""
    height_m, radius = rng.uniform(0.14, 0.32), rng.uniform(0.045, 0.08)
    t = np.linspace(0, 1, 20)
    curve = radius * (0.62 + 0.3 * np.sin(t * rng.uniform(3, 6) + rng.uniform(0, 2)) + 0.08 * np.cos(9 * t))
    outside = list(zip(curve.tolist(), (height_m * t).tolist(), strict=True))
    inner = [(r - 0.005, z) for r, z in outside[10:]][::-1]
    profile = [(0, 0), *outside, *inner, (0, inner[-1][1])]
    return Item("vase", (Part("body", revolution(profile, 36), _glaze(rng)),))


def plate(rng: np.random.Generator) -> Item:
    """Plate with a raised rim."""
    radius = rng.uniform(0.09, 0.13)
    profile = [
        (0, 0), (radius * 0.6, 0), (radius, 0.018), (radius - 0.004, 0.021), (radius * 0.6, 0.006), (0, 0.006)
    ]  # fmt: skip
    rim = muted(rng)
    return Item("plate", (Part("plate", revolution(profile, 36), plain(pick(rng, ((0.93, 0.93, 0.91), rim)))),))


def can(rng: np.random.Generator) -> Item:
    """Drinks can or tin, sometimes lying on its side."""
    radius, height_m = rng.uniform(0.03, 0.045), rng.uniform(0.09, 0.13)
    edge = radius * 0.85
    profile = [(0, 0), (edge, 0), (radius, 0.006), (radius, height_m - 0.006), (edge, height_m), (0, height_m)]
    lid = cylinder(edge, 0.001).at(z=height_m)
    print_ = stripes(vivid(rng), vivid(rng), height_m * rng.uniform(0.2, 0.5), 2)
    item = Item("can", (Part("body", revolution(profile), print_), Part("lid", lid, plain(pick(rng, METALS)))))
    return item.turned(0, np.pi / 2) if rng.uniform() < 0.15 else item


def teapot(rng: np.random.Generator) -> Item:
    """Teapot with spout, handle and lid."""
    size = rng.uniform(0.13, 0.17)
    body = superellipsoid(size, size, size * 0.75, 1.0, 1.0, 32)
    finish = _glaze(rng)
    half, middle = size / 2, size * 0.38
    spout = [(half * 0.85, 0.0, middle * 0.7), (half * 1.25, 0.0, middle * 0.95), (half * 1.5, 0.0, middle * 1.6)]
    turn = np.linspace(0.6 * np.pi, 1.4 * np.pi, 11)
    bow = [(-half * 0.75 + 0.6 * half * float(np.cos(a)), 0.0, middle + 0.5 * half * float(np.sin(a))) for a in turn]
    knob = superellipsoid(0.024, 0.024, 0.022, 1.0, 1.0, 14).at(z=size * 0.76)
    lid = revolution([(0, 0), (size * 0.22, 0), (size * 0.2, 0.008), (0, 0.014)]).at(z=size * 0.725)
    parts = (
        Part("body", body, finish),
        Part("spout", tube(spout, 0.011), finish),
        Part("handle", tube(bow, 0.006), finish),
        Part("lid", lid, finish),
        Part("knob", knob, finish),
    )
    return Item("teapot", parts)
