"""Objects of a room: parts with materials, and the areas on which other objects can stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float64

from seg3d_core.data.rooms.materials import Material
from seg3d_core.data.rooms.meshes import Mesh, Real, rotation


@dataclass(frozen=True)
class Part:
    """One rigid piece of an object, in the object's frame."""

    name: str
    mesh: Mesh
    material: Material


@dataclass(frozen=True)
class Support:
    """A free horizontal rectangle on an object, axis-aligned in the object's frame.

    Attributes:
        centre: (x, y, z) metres, on the surface.
        size_x: metres along x.
        size_y: metres along y.
        clearance: free height above, metres.
        holds: what belongs there: "table", "desk", "shelf", "bedside" or "floor".
    """

    centre: tuple[Real, Real, Real]
    size_x: float
    size_y: float
    clearance: float
    holds: str


@dataclass(frozen=True)
class Item:
    """An object in its own frame: z up, standing on z = 0 (or hanging with its back on the plane y = 0).

    Furniture that belongs at a wall has its back towards +y, so its front looks towards -y.
    """

    name: str
    parts: tuple[Part, ...]
    supports: tuple[Support, ...] = field(default=())

    def bounds(self) -> Float64[np.ndarray, "2 3"]:
        """Lowest and highest coordinates of all parts."""
        vertices = np.concatenate([part.mesh.vertices for part in self.parts])
        return np.stack([vertices.min(axis=0), vertices.max(axis=0)])

    def turned(self, axis: int, angle: float) -> Item:
        """Tipped about a coordinate axis and set down on z = 0 again; its supports are lost."""
        parts = tuple(replace(part, mesh=part.mesh.turned(axis, angle)) for part in self.parts)
        lowest = min(float(part.mesh.vertices[:, 2].min()) for part in parts)
        return Item(self.name, tuple(replace(part, mesh=part.mesh.at(z=-lowest)) for part in parts))


@dataclass(frozen=True)
class Placed:
    """An object in the room.

    Attributes:
        item: the object.
        T_world_object: where it is; upright (rotation about z only).
        instance_id: its positive id.
        support_id: instance it stands on or hangs on; 0 for the floor and the walls themselves.
    """

    item: Item
    T_world_object: Float64[np.ndarray, "4 4"]
    instance_id: int
    support_id: int


def upright(x: Real, y: Real, z: Real, angle: float) -> Float64[np.ndarray, "4 4"]:
    """Pose of an object that stands at (x, y, z) and is turned by ``angle`` radians about z."""
    T_world_object = np.eye(4)
    T_world_object[:3, :3] = rotation(2, angle)
    T_world_object[:3, 3] = x, y, z
    return T_world_object


def legs(name: str, mesh: Mesh, places: Sequence[tuple[float, float]], material: Material) -> list[Part]:
    """The same upright mesh at several (x, y) places."""
    return [Part(f"{name} {number}", mesh.at(x, y), material) for number, (x, y) in enumerate(places, 1)]


def square(size_x: float, size_y: float, inset: float) -> list[tuple[float, float]]:
    """The four (x, y) corners of a rectangle about the origin, moved inwards by ``inset`` metres."""
    x, y = size_x / 2 - inset, size_y / 2 - inset
    return [(-x, -y), (x, -y), (x, y), (-x, y)]
