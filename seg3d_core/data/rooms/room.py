"""A furnished room: triangles with known objects and parts; RGB-D frames and labelled clouds of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float32, Float64, Int32

from seg3d_core.data.rooms import texture_kernels
from seg3d_core.data.rooms.items import Placed
from seg3d_core.data.rooms.lighting import bake_light
from seg3d_core.data.rooms.materials import material_table
from seg3d_core.data.rooms.rays import Rays
from seg3d_core.data.rooms.shell import CEILING_ID, FLOOR_ID, THICKNESS_M, WALL_IDS, Shell
from seg3d_core.data.rooms.tessellation import tessellate
from seg3d_core.geometry.camera import Camera
from seg3d_core.types import IGNORE, Cloud, LabelledCloud, RgbdFrame

STRUCTURE_IDS = frozenset({FLOOR_ID, *WALL_IDS, CEILING_ID})
"""Instances that are the room itself: floor, walls, ceiling."""

VIEWS = 32
"""Directions from which a surface point is looked at to decide whether it can be seen at all."""


@dataclass(frozen=True, eq=False)
class Room:
    """A room in its own frame: metres, z up, origin on the floor in the middle of the room.

    Attributes:
        shell: sizes and openings.
        placed: every object, floor and walls included; ids 1 to ``len(placed)`` in this order.
        corners: (T, 3, 3) corners of all triangles, counter-clockwise from outside.
        corner_normals: (T, 3, 3) unit, averaged over smooth surfaces.
        triangle_instance: (T,) instance id of each triangle.
        triangle_part: (T,) row of ``part_names`` of each triangle.
        part_names: (instance id, name of the part) of every part in the room.
    """

    shell: Shell
    placed: tuple[Placed, ...]
    corners: Float32[np.ndarray, "T 3 3"]
    corner_normals: Float32[np.ndarray, "T 3 3"]
    triangle_instance: Int32[np.ndarray, " T"]
    triangle_part: Int32[np.ndarray, " T"]
    part_names: tuple[tuple[int, str], ...]

    @classmethod
    def assemble(cls, shell: Shell, placed: list[Placed]) -> Room:
        """Put all objects where they belong and cut their triangles small enough to carry light."""
        corners, normals, counts, names = [], [], [], []
        for one in placed:
            T = one.T_world_object
            for part in one.item.parts:
                corners.append(part.mesh.corners @ T[:3, :3].T + T[:3, 3])
                normals.append(part.mesh.corner_normals() @ T[:3, :3].T)
                counts.append(len(part.mesh.triangles))
                names.append((one.instance_id, part.name))
        pieces = tessellate(np.concatenate(corners), np.concatenate(normals))
        parts = np.repeat(np.arange(len(counts), dtype=np.int32), counts)[pieces.source]
        instances = np.array([owner for owner, _ in names], np.int32)[parts]
        points, directions = pieces.corners.astype(np.float32), pieces.normals.astype(np.float32)
        return cls(shell, tuple(placed), points, directions, instances, parts, tuple(names))

    @cached_property
    def names(self) -> dict[int, str]:
        """What each instance id is."""
        return {one.instance_id: one.item.name for one in self.placed}

    @cached_property
    def object_ids(self) -> list[int]:
        """Ids of everything but floor, walls and ceiling."""
        return [one.instance_id for one in self.placed if one.instance_id not in STRUCTURE_IDS]

    @cached_property
    def rays(self) -> Rays:
        """All triangles for ray casting, in the order of ``corners``."""
        return Rays(self.corners)

    @cached_property
    def _light(self) -> Float32[np.ndarray, "T 3 3"]:
        turn = np.arange(5) * 2 * np.pi / 5
        lamps = np.stack([0.3 * np.cos(turn), 0.3 * np.sin(turn), np.full(5, self.shell.height_m - 0.15)], axis=1)
        hole = self.shell.window
        shares = np.array([(0.2, 0.3), (0.5, 0.7), (0.8, 0.3), (0.35, 0.9), (0.65, 0.5)])
        along = hole.left + shares[:, 0] * (hole.right - hole.left)
        up = hole.bottom + shares[:, 1] * (hole.top - hole.bottom)
        local = np.stack([along, np.full(5, 0.03), up, np.ones(5)], axis=1)
        window = (local @ self.shell.wall_pose(self.shell.window_wall).T)[:, :3]
        return bake_light(self.rays, self.corners, self.corner_normals, lamps, window)

    @cached_property
    def _materials(self) -> Float32[np.ndarray, "M 10"]:
        return material_table([part.material for one in self.placed for part in one.item.parts])

    @cached_property
    def _T_object_world(self) -> Float64[np.ndarray, "O 3 4"]:
        return np.stack([np.linalg.inv(one.T_world_object)[:3] for one in self.placed])

    def render(
        self, camera: Camera, T_world_camera: Float64[np.ndarray, "4 4"], stamp_ns: int, frame_id: str = "map"
    ) -> tuple[RgbdFrame, Int32[np.ndarray, "H W"]]:
        """Colour, exact depth and instance id of what a camera sees; no sensor noise.

        Args:
            camera: intrinsics; lens distortion is honoured.
            T_world_camera: optical camera frame to the room's frame.
            stamp_ns: stamp of the frame.
            frame_id: name of the room's frame.

        Returns:
            The frame (depth along the optical axis, 0 where no ray hits) and the instance image (``IGNORE`` there).
        """
        frame, triangles = self.view(camera, T_world_camera, stamp_ns, frame_id)
        return frame, np.where(triangles == IGNORE, np.int32(IGNORE), self.triangle_instance[triangles])

    def view(
        self, camera: Camera, T_world_camera: Float64[np.ndarray, "4 4"], stamp_ns: int, frame_id: str = "map"
    ) -> tuple[RgbdFrame, Int32[np.ndarray, "H W"]]:
        """As ``render``, with the row of the triangle that each pixel shows in place of its instance."""
        directions = camera.rays().reshape(-1, 3) @ T_world_camera[:3, :3].T.astype(np.float32)
        starts = np.broadcast_to(T_world_camera[:3, 3].astype(np.float32), directions.shape)
        # Rays have z = 1 in the camera frame, so the ray parameter is the depth.
        # A ray without direction (corner of a fisheye) would search all triangles in vain.
        is_blind = np.isnan(directions).any(axis=1)
        directions[is_blind] = 1.0
        hits = self.rays.cast(starts, directions)
        is_hit = np.isfinite(hits.distance) & ~is_blind
        depth_m = np.where(is_hit, hits.distance, np.float32(0))
        triangles = np.where(is_hit, hits.triangle.astype(np.int32), np.int32(IGNORE))
        rgb = self._colours(triangles, starts + directions * depth_m[:, None], hits.uv)
        shape = (camera.height, camera.width)
        frame = RgbdFrame(depth_m.reshape(shape), camera, rgb.reshape(*shape, 3), T_world_camera, frame_id, stamp_ns)
        return frame, triangles.reshape(shape)

    def _colours(
        self,
        triangles: Int32[np.ndarray, " N"],
        points: Float32[np.ndarray, "N 3"],
        uvs: Float32[np.ndarray, "N 2"],
    ) -> Float32[np.ndarray, "N 3"]:
        rgb = np.empty_like(points)
        objects = self.triangle_instance - 1
        texture_kernels.shade(
            triangles, self.triangle_part, objects, points, uvs, self._materials, self._T_object_world, self._light, rgb
        )
        return rgb

    def surface(self, count: int, seed: int = 0) -> LabelledCloud:
        """Points spread evenly over the surface that can be seen from inside the room, ceiling included.

        Args:
            count: points drawn; fewer come back, because undersides and insides are dropped.
            seed: draws the points.

        Returns:
            Coloured cloud with outward normals in the frame "map", and the id of every point.
        """
        rng = np.random.default_rng(seed)
        sides = self.corners[:, 1:].astype(np.float64) - self.corners[:, :1]
        areas = np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1) / 2
        triangles = rng.choice(len(areas), count, p=areas / areas.sum()).astype(np.int32)
        uvs = rng.random((count, 2), np.float32)
        uvs = np.where(uvs.sum(axis=1, keepdims=True) > 1, 1 - uvs, uvs)
        weights = np.concatenate([1 - uvs.sum(axis=1, keepdims=True), uvs], axis=1)[:, :, None]
        points = (self.corners[triangles] * weights).sum(axis=1)
        normals = (self.corner_normals[triangles] * weights).sum(axis=1)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        seen = self._is_visible(points, normals, rng)
        triangles, points, uvs = triangles[seen], points[seen], uvs[seen]
        cloud = Cloud(points, self._colours(triangles, points, uvs), normals[seen], frame_id="map")
        return LabelledCloud(cloud, self.triangle_instance[triangles], self.names)

    def _is_visible(
        self, points: Float32[np.ndarray, "N 3"], normals: Float32[np.ndarray, "N 3"], rng: np.random.Generator
    ) -> np.ndarray:
        """Whether any of some eyes in the room, 0.9 to 2 m high, sees each point from its outside."""
        half = np.array([self.shell.length_m / 2 - 0.15, self.shell.width_m / 2 - 0.15])
        seen = np.zeros(len(points), bool)
        outer = np.array([self.shell.length_m, self.shell.width_m]) / 2 + THICKNESS_M - 0.001
        is_inside = (np.abs(points[:, :2]) < outer).all(axis=1) & (points[:, 2] > -0.001)
        for _ in range(VIEWS):
            eye = np.array([*rng.uniform(-half, half), rng.uniform(0.9, 2.0)], np.float32)
            towards = eye - points
            rows = np.flatnonzero(is_inside & ~seen & ((towards * normals).sum(axis=1) > 0))
            seen[rows] = ~self.rays.blocked(points[rows] + np.float32(0.001) * normals[rows], towards[rows], 1.0)
        return seen
