"""Closed triangle meshes that furniture is built from.

Metres, z up. Unless said otherwise a mesh stands on z = 0 and is centred on the z axis. Triangles are counter-clockwise
seen from outside, so that every mesh has an inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float64, Int64

Real = float | int
"""A coordinate, metres; run-time checks do not take 0 for a float."""

SHARP_COSINE = np.cos(np.radians(40.0))
"""Faces that bend more than 40 degrees meet in an edge, the others are one smooth surface."""


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles over shared vertices.

    Attributes:
        vertices: (V, 3) metres.
        triangles: (T, 3) rows of ``vertices``.
    """

    vertices: Float64[np.ndarray, "V 3"]
    triangles: Int64[np.ndarray, "T 3"]

    def at(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Mesh:
        """This mesh shifted by metres."""
        return Mesh(self.vertices + np.array([x, y, z]), self.triangles)

    def turned(self, axis: int, angle: float) -> Mesh:
        """This mesh turned about a coordinate axis (0 = x, 1 = y, 2 = z) by ``angle`` radians, right hand rule."""
        return Mesh(self.vertices @ rotation(axis, angle).T, self.triangles)

    @property
    def corners(self) -> Float64[np.ndarray, "T 3 3"]:
        """The three corners of every triangle."""
        return np.asarray(self.vertices[self.triangles])

    def corner_normals(self) -> Float64[np.ndarray, "T 3 3"]:
        """Unit normals at the corners: the area-weighted mean over the faces there that bend less than an edge."""
        corners = self.corners
        area_normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        faces = _unit(area_normals)
        corner, other = _corner_pairs(self.triangles)
        is_smooth = (faces[corner // 3] * faces[other // 3]).sum(axis=1) > SHARP_COSINE
        corner, other = corner[is_smooth], other[is_smooth]
        size = self.triangles.size
        summed = [np.bincount(corner, area_normals[other // 3, axis], size) for axis in range(3)]
        return _unit(np.stack(summed, axis=1)).reshape(-1, 3, 3)


def _corner_pairs(triangles: Int64[np.ndarray, "T 3"]) -> tuple[Int64[np.ndarray, " P"], Int64[np.ndarray, " P"]]:
    """Every pair of corners (numbered 3 t + c) that share a vertex, each corner with itself included."""
    vertex = triangles.reshape(-1)
    by_vertex = np.argsort(vertex, kind="stable")
    counts = np.bincount(vertex)
    starts = np.cumsum(counts) - counts
    partners = counts[vertex]
    corner = np.repeat(np.arange(len(vertex)), partners)
    step = np.arange(len(corner)) - np.repeat(np.cumsum(partners) - partners, partners)
    return corner, by_vertex[starts[vertex[corner]] + step]


def rotation(axis: int, angle: float) -> Float64[np.ndarray, "3 3"]:
    """Rotation matrix about a coordinate axis by ``angle`` radians."""
    cosine, sine = np.cos(angle), np.sin(angle)
    R = np.eye(3)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    R[first, first] = R[second, second] = cosine
    R[first, second], R[second, first] = -sine, sine
    return R


def joined(meshes: Sequence[Mesh]) -> Mesh:
    """Several meshes as one."""
    starts = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes[:-1]])
    triangles = [mesh.triangles + start for mesh, start in zip(meshes, starts, strict=True)]
    return Mesh(np.concatenate([mesh.vertices for mesh in meshes]), np.concatenate(triangles))


def box(size_x: float, size_y: float, size_z: float) -> Mesh:
    """Box with sharp edges."""
    unit = np.array([[x, y, z] for z in (0, 1) for y in (-0.5, 0.5) for x in (-0.5, 0.5)], np.float64)
    quads = [(0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5)]
    triangles = np.array([(a, b, c) for a, b, c, _ in quads] + [(a, c, d) for a, _, c, d in quads])
    return Mesh(unit * (size_x, size_y, size_z), triangles)


def rounded_box(size_x: float, size_y: float, size_z: float, radius: float, steps: int = 2) -> Mesh:
    """Box whose edges and corners are rounded with ``radius`` (at most half of the smallest size)."""
    half = np.array([size_x, size_y, size_z]) / 2
    radius = min(radius, float(half.min()) * 0.999)
    bends = radius * (1 - np.tan(np.linspace(np.pi / 4, 0, steps + 1)))
    sheets = []
    for axis in range(3):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        lines = [np.concatenate([bends - half[a], (half[a] - bends)[::-1]]) for a in (first, second)]
        for side in (-1.0, 1.0):
            grid = np.empty((len(lines[0]), len(lines[1]), 3))
            grid[..., first], grid[..., second] = np.meshgrid(*lines, indexing="ij")
            grid[..., axis] = side * half[axis]
            sheets.append(grid_mesh(grid if side > 0 else grid[::-1]))
    mesh = cleaned(joined(sheets))
    inner = np.clip(mesh.vertices, radius - half, half - radius)
    return Mesh(inner + radius * _unit(mesh.vertices - inner), mesh.triangles).at(z=float(half[2]))


def superellipsoid(
    size_x: float, size_y: float, size_z: float, roundness_z: float, roundness_xy: float, segments: int = 24
) -> Mesh:
    """Barr's superellipsoid: roundness 1 is an ellipsoid, near 0 a box, 2 a diamond. Stands on z = 0."""
    turn = np.linspace(0, 2 * np.pi, segments, endpoint=False)
    tilt = np.linspace(-np.pi / 2, np.pi / 2, segments // 2 + 1)
    ring = _power(np.cos(tilt), roundness_z)
    x = size_x / 2 * ring[:, None] * _power(np.cos(turn), roundness_xy)
    y = size_y / 2 * ring[:, None] * _power(np.sin(turn), roundness_xy)
    z = size_z / 2 * np.broadcast_to((1 + _power(np.sin(tilt), roundness_z))[:, None], x.shape)
    grid = np.stack([x, y, z], axis=2)
    return cleaned(grid_mesh(np.concatenate([grid, grid[:, :1]], axis=1).transpose(1, 0, 2)))


def revolution(profile: Sequence[tuple[Real, Real]], segments: int = 28) -> Mesh:
    """Turn a profile of (radius, z) points about the z axis.

    The profile runs counter-clockwise in the (radius, z) plane, from the axis at the bottom over the outside to the
    axis at the top (or into the hollow and down to the axis), so that the mesh is closed. Bends over 40 degrees
    are edges.
    """
    points = np.asarray(profile, np.float64)
    steps = _unit(np.diff(points, axis=0))
    is_sharp = (steps[:-1] * steps[1:]).sum(axis=1) < SHARP_COSINE
    cuts = [0, *(np.flatnonzero(is_sharp) + 1).tolist(), len(points) - 1]
    turn = np.linspace(0, 2 * np.pi, segments + 1)
    turn[-1] = 0.0
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    bands = []
    for start, end in pairwise(cuts):
        band = points[start : end + 1]
        height = np.broadcast_to(band[None, :, 1:], (segments + 1, len(band), 1))
        bands.append(cleaned(grid_mesh(np.concatenate([circle[:, None] * band[None, :, :1], height], axis=2))))
    return joined(bands)


def cylinder(radius: float, height: float, segments: int = 24) -> Mesh:
    """Upright cylinder."""
    return revolution([(0, 0), (radius, 0), (radius, height), (0, height)], segments)


def extrusion(outline: Sequence[tuple[Real, Real]], height: float) -> Mesh:
    """Extrude a counter-clockwise outline in (x, y) upwards. The outline must be star-shaped about its mean."""
    ring = np.asarray(outline, np.float64)
    count = len(ring)
    flat = np.concatenate([ring, ring.mean(axis=0, keepdims=True)])
    bottom = np.concatenate([flat, np.zeros((count + 1, 1))], axis=1)
    here, after = np.arange(count), np.roll(np.arange(count), -1)
    lid = np.stack([np.full(count, count), here, after], axis=1)
    top = Mesh(bottom + np.array([0, 0, height]), lid)
    side = np.stack([bottom[:-1], bottom[:-1] + np.array([0, 0, height])], axis=1)
    return joined([Mesh(bottom, lid[:, ::-1]), top, _welded(grid_mesh(np.concatenate([side, side[:1]])))])


def tube(path: Sequence[tuple[Real, Real, Real]], radius: float, sides: int = 10) -> Mesh:
    """Round bar along a path of points, closed at both ends. Not moved: the path is where it is."""
    points = np.asarray(path, np.float64)
    tangents = _unit(np.gradient(points, axis=0))
    across = _unit(np.cross(tangents[0], np.eye(3)[np.argmin(np.abs(tangents[0]))]))
    rings = []
    for point, tangent in zip(points, tangents, strict=True):
        across = _unit(across - tangent * (across @ tangent))
        turn = np.linspace(0, 2 * np.pi, sides + 1)
        turn[-1] = 0.0
        circle = np.cos(turn)[:, None] * across + np.sin(turn)[:, None] * np.cross(tangent, across)
        rings.append(point + radius * circle)
    ends = [np.repeat(points[[0]], sides + 1, axis=0), np.repeat(points[[-1]], sides + 1, axis=0)]
    return cleaned(grid_mesh(np.stack([ends[0], *rings, ends[1]], axis=1)))


def grid_mesh(grid: Float64[np.ndarray, "A B 3"]) -> Mesh:
    """Two triangles per cell of a grid of points; the outside is where first axis x second axis points."""
    first, second = grid.shape[:2]
    index = np.arange(first * second).reshape(first, second)
    a, b, c, d = (index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:])
    triangles = np.stack([np.stack([a, b, c], axis=-1), np.stack([a, c, d], axis=-1)]).reshape(-1, 3)
    return Mesh(grid.reshape(-1, 3).copy(), triangles)


def _welded(mesh: Mesh) -> Mesh:
    """One vertex per place (to 1 micrometre)."""
    _, first, inverse = np.unique(np.round(mesh.vertices * 1e6), axis=0, return_index=True, return_inverse=True)
    return Mesh(mesh.vertices[first], inverse.reshape(-1)[mesh.triangles].astype(np.int64))


def cleaned(mesh: Mesh) -> Mesh:
    """Welded, without the triangles that have no area (poles of round meshes)."""
    mesh = _welded(mesh)
    corners = mesh.corners
    twice_area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    return Mesh(mesh.vertices, mesh.triangles[twice_area > 1e-12])


def _unit(vectors: Float64[np.ndarray, "*rows d"]) -> Float64[np.ndarray, "*rows d"]:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-12))


def _power(base: Float64[np.ndarray, " n"], exponent: float) -> Float64[np.ndarray, " n"]:
    # Rounded first: cos(pi / 2) is 6e-17, which a small exponent would blow up to a visible hole at the pole.
    base = np.round(base, 12)
    return np.asarray(np.sign(base) * np.abs(base) ** exponent)
