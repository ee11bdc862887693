"""Things to sit and lie on."""

from __future__ import annotations

import numpy as np

from seg3d_core.data.rooms.items import Item, Part, Support, legs, square
from seg3d_core.data.rooms.materials import METALS, WOODS, cloth, fabric, muted, pick, plain, shaded, vivid, wood
from seg3d_core.data.rooms.meshes import box, cylinder, revolution, rounded_box, superellipsoid, tube


def chair(rng: np.random.Generator) -> Item:
    """Chair of wood or plastic: four legs, seat, and a back of slats or one shell; looks towards -y."""
    width, depth, seat_m = rng.uniform(0.40, 0.46), rng.uniform(0.40, 0.45), rng.uniform(0.44, 0.47)
    height_m = rng.uniform(0.80, 0.95)
    frame = wood(rng, pick(rng, WOODS), 2) if rng.uniform() < 0.6 else plain(pick(rng, METALS))
    seat_finish = fabric(rng, muted(rng)) if rng.uniform() < 0.5 else plain(vivid(rng))
    thickness = rng.uniform(0.025, 0.055)
    leg = cylinder(rng.uniform(0.014, 0.02), seat_m - thickness, 14)
    parts = [
        Part("seat", rounded_box(width, depth, thickness, 0.02, 1).at(z=seat_m - thickness), seat_finish),
        *legs("leg", leg, square(width, depth, 0.035), frame),
    ]
    y = depth / 2 - 0.025
    if rng.uniform() < 0.5:
        back = rounded_box(width * 0.96, 0.03, height_m - seat_m - 0.06, 0.015, 1).turned(0, -0.12)
        parts.append(Part("back", back.at(y=y, z=seat_m + 0.06), seat_finish))
        posts = [(-width * 0.3, y), (width * 0.3, y)]
        parts += legs("post", box(0.025, 0.015, 0.12).at(z=seat_m - 0.02), posts, frame)
        return Item("chair", tuple(parts))
    for number, x in enumerate((-width / 2 + 0.03, width / 2 - 0.03), 1):
        post = box(0.028, 0.028, height_m - seat_m + 0.02).turned(0, -0.1).at(x, y, seat_m - 0.01)
        parts.append(Part(f"post {number}", post, frame))
    for number, share in enumerate(np.linspace(0.3, 0.9, int(rng.integers(2, 5))), 1):
        rise = (height_m - seat_m) * float(share)
        slat = rounded_box(width - 0.06, 0.016, 0.05, 0.007, 1).turned(0, -0.1)
        parts.append(Part(f"slat {number}", slat.at(y=y + 0.1 * rise, z=seat_m + rise - 0.025), frame))
    return Item("chair", tuple(parts))


def office_chair(rng: np.random.Generator) -> Item:
    """Swivel chair: five-star base with castors, gas spring, seat, back on a bar, sometimes arm rests."""
    metal, cover = plain(pick(rng, METALS)), fabric(rng, muted(rng))
    seat_m, width = rng.uniform(0.43, 0.48), rng.uniform(0.46, 0.52)
    parts = [Part("spring", cylinder(0.025, seat_m - 0.13).at(z=0.08), metal)]
    for number in range(5):
        angle = 2 * np.pi * number / 5 + 0.3
        x, y = 0.29 * float(np.cos(angle)), 0.29 * float(np.sin(angle))
        parts.append(Part(f"arm {number + 1}", tube([(0, 0, 0.1), (x, y, 0.065)], 0.018), metal))
        castor = superellipsoid(0.05, 0.05, 0.055, 0.7, 0.7, 12).at(x, y)
        parts.append(Part(f"castor {number + 1}", castor, plain((0.1, 0.1, 0.1))))
    parts.append(Part("seat", rounded_box(width, width * 0.95, 0.08, 0.035).at(z=seat_m - 0.05), cover))
    back = rounded_box(width * 0.9, 0.07, rng.uniform(0.42, 0.55), 0.03).turned(0, -0.12)
    parts.append(Part("back", back.at(y=width * 0.45, z=seat_m + 0.12), cover))
    bar = tube([(0, 0.1, seat_m - 0.06), (0, width * 0.53, seat_m - 0.04), (0, width * 0.53, seat_m + 0.25)], 0.02)
    parts.append(Part("bar", bar, metal))
    if rng.uniform() < 0.6:
        for number, side in enumerate((-1, 1), 1):
            x = side * (width / 2 + 0.03)
            rest = rounded_box(0.06, 0.26, 0.03, 0.012, 1).at(x=x, z=seat_m + 0.2)
            post = tube([(side * 0.1, 0, seat_m - 0.05), (x, 0, seat_m - 0.04), (x, 0, seat_m + 0.21)], 0.012)
            parts += [
                Part(f"arm rest {number}", rest, plain((0.12, 0.12, 0.13))),
                Part(f"arm post {number}", post, metal),
            ]
    return Item("office chair", tuple(parts))


def sofa(rng: np.random.Generator, seats: int) -> Item:
    """Upholstered seat for one (an armchair) to three: base, arms, back, seat and back cushions, feet."""
    cover = fabric(rng, muted(rng))
    seat_width, depth, arm = rng.uniform(0.58, 0.68), rng.uniform(0.82, 0.92), rng.uniform(0.12, 0.2)
    inner, seat_m, back_m = seats * seat_width, rng.uniform(0.4, 0.45), rng.uniform(0.74, 0.86)
    width, foot = inner + 2 * arm, 0.08
    base = rounded_box(width - 0.02, depth - 0.04, 0.2, 0.02).at(z=foot)
    back = rounded_box(inner, 0.18, back_m - 0.2, 0.05).at(y=depth / 2 - 0.1, z=0.2)
    parts = [Part("base", base, cover), Part("back", back, cover)]
    parts += legs("foot", cylinder(0.025, foot + 0.01, 14), square(width, depth, 0.08), wood(rng, pick(rng, WOODS), 2))
    arm_mesh = rounded_box(arm, depth, seat_m + rng.uniform(0.12, 0.2) - foot, 0.05).at(z=foot)
    for number, side in enumerate((-1, 1), 1):
        parts.append(Part(f"arm {number}", arm_mesh.at(x=side * (inner + arm) / 2), cover))
    for number in range(seats):
        x = (number - (seats - 1) / 2) * seat_width
        cushion = rounded_box(seat_width - 0.01, depth - 0.2, seat_m - 0.27, 0.05).at(x=x, y=-0.09, z=0.27)
        parts.append(Part(f"seat cushion {number + 1}", cushion, cover))
        rest = rounded_box(seat_width - 0.02, 0.16, back_m - seat_m + 0.03, 0.065).turned(0, -0.15)
        parts.append(Part(f"back cushion {number + 1}", rest.at(x=x, y=depth / 2 - 0.27, z=seat_m - 0.005), cover))
    name = "armchair" if seats == 1 else "sofa"
    place = Support((0, -depth * 0.19, seat_m), inner - 0.06, depth * 0.36, 0.5, "sofa")
    return Item(name, tuple(parts), (place,))


def bed(rng: np.random.Generator) -> Item:
    """Bed with frame, headboard (+y), mattress, blanket and pillows."""
    width, length = float(rng.choice([1.0, 1.4, 1.6])), rng.uniform(2.0, 2.1)
    finish = wood(rng, pick(rng, WOODS), 0) if rng.uniform() < 0.6 else fabric(rng, muted(rng))
    frame_m, mattress_m = rng.uniform(0.26, 0.32), rng.uniform(0.16, 0.22)
    top_m = frame_m + mattress_m - 0.06
    white = fabric(rng, (0.93, 0.92, 0.9))
    cover = cloth(rng)
    parts = [
        Part("frame", rounded_box(width, length, frame_m - 0.1, 0.015, 1).at(z=0.1), finish),
        Part("headboard", rounded_box(width, 0.06, rng.uniform(0.85, 1.1), 0.02, 1).at(y=length / 2 - 0.03), finish),
        Part(
            "mattress", rounded_box(width - 0.06, length - 0.1, mattress_m, 0.05).at(y=-0.02, z=frame_m - 0.06), white
        ),
    ]
    parts += legs("foot", box(0.06, 0.06, 0.11), square(width, length, 0.07), finish)
    blanket = rounded_box(width - 0.02, length * 0.66, mattress_m * 0.7, 0.045)
    parts.append(Part("blanket", blanket.at(y=-length * 0.16, z=top_m + 0.035 - mattress_m * 0.7), cover))
    pillows = 2 if width > 1.2 else 1
    for number in range(pillows):
        x = (number - (pillows - 1) / 2) * width * 0.47
        pillow = superellipsoid(min(0.68, width * 0.44 + 0.12), 0.42, 0.16, 0.9, 0.35, 32).turned(0, 0.15)
        parts.append(Part(f"pillow {number + 1}", pillow.at(x=x, y=length / 2 - 0.33, z=top_m - 0.01), white))
    return Item("bed", tuple(parts), (Support((0, -length * 0.18, top_m + 0.035), width * 0.7, 0.9, 0.6, "sofa"),))


def pouf(rng: np.random.Generator) -> Item:
    """Round upholstered stool."""
    radius, height_m = rng.uniform(0.19, 0.26), rng.uniform(0.32, 0.42)
    bulge = [
        (radius * (1 + 0.1 * float(np.sin(np.pi * t))), 0.03 + (height_m - 0.06) * float(t))
        for t in np.linspace(0, 1, 9)
    ]
    profile = [(0, 0), (radius * 0.93, 0), *bulge, (radius * 0.9, height_m), (0, height_m)]
    colour = muted(rng)
    button = superellipsoid(0.05, 0.05, 0.02, 1.0, 1.0, 12).at(z=height_m - 0.008)
    parts = (Part("body", revolution(profile, 36), cloth(rng)), Part("button", button, plain(shaded(colour, 0.5))))
    return Item("pouf", parts)


def stool(rng: np.random.Generator) -> Item:
    """Wooden stool on three legs."""
    height_m, radius = rng.uniform(0.44, 0.62), rng.uniform(0.15, 0.19)
    finish = wood(rng, pick(rng, WOODS))
    parts = [Part("seat", cylinder(radius, 0.035, 32).at(z=height_m - 0.035), finish)]
    for number in range(3):
        x, y = np.cos(number * 2.094), np.sin(number * 2.094)
        leg = revolution([(0, 0), (0.014, 0), (0.02, height_m - 0.03), (0, height_m - 0.03)], 12)
        parts.append(Part(f"leg {number + 1}", leg.at(radius * 0.7 * float(x), radius * 0.7 * float(y)), finish))
    ring_m = height_m * 0.4
    turn = np.linspace(0, 2 * np.pi, 25)
    ring = [(radius * 0.7 * float(np.cos(a)), radius * 0.7 * float(np.sin(a)), ring_m) for a in turn]
    parts.append(Part("ring", tube(ring, 0.008, 8), plain(pick(rng, METALS))))
    return Item("stool", tuple(parts))
