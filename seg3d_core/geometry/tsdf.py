"""Fusion of posed RGB-D frames into one surface: a truncated signed distance field (Curless & Levoy 1996)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Int64

from seg3d_core.config import FusionConfig
from seg3d_core.errors import ConfigError, InputError
from seg3d_core.geometry.rectification import rectify
from seg3d_core.geometry.transforms import check_rigid
from seg3d_core.geometry.tsdf_blocks import RESOLUTION, BlockGrid
from seg3d_core.geometry.tsdf_kernels import extract_surface, gather_runs, touch_blocks
from seg3d_core.geometry.voxels_kernels import group_keys
from seg3d_core.types import Cloud, RgbdFrame


class TsdfVolume:
    """A growing map of what a moving RGB-D camera saw, bounded in memory.

    Frames are averaged into blocks of voxels around the surfaces; ``extract`` reads the surface of the blocks that
    changed and keeps that of the others. The result depends on the frames and their order alone: the same points in the
    same order, whenever and however often they are extracted. Not locked: one thread at a time.

    Beyond ``max_blocks`` the oldest part of the map is forgotten (see ``BlockGrid``).

    Raises:
        ConfigError: the depth range is empty.
        DeviceError: the device asked for is not there.
    """

    def __init__(self, config: FusionConfig) -> None:
        if config.min_depth_m >= config.max_depth_m:
            raise ConfigError(
                f"min_depth_m = {config.min_depth_m:g} must be below max_depth_m = {config.max_depth_m:g}"
            )
        self._config = config
        self._grid = BlockGrid(config)
        self.reset()

    @property
    def block_count(self) -> int:
        """Blocks in use, 8x8x8 voxels and 10 kB each; never above ``max_blocks``."""
        return len(self._grid.keys)

    def reset(self) -> None:
        """Forget everything, the name of the frame included."""
        self._grid.clear()
        self._surface = _Surface.empty()
        self._frame_id: str | None = None
        self._stamp_ns = 0

    def integrate(self, frame: RgbdFrame) -> None:
        """Average a frame into the map; a distorted one is rectified first. Depth out of range is ignored.

        Raises:
            InputError: no colour, no pose, a pose that is not rigid, no depth in range, another ``frame_id`` than the
                frames before, or more blocks in one frame than ``max_blocks``. The map is then as it was.
        """
        frame = self._prepare(frame)
        self._grid.integrate(self._touched(frame), frame)
        self._frame_id = frame.frame_id
        self._stamp_ns = max(self._stamp_ns, frame.stamp_ns)

    def extract(self) -> Cloud:
        """The surface seen at least ``min_weight`` times: points, colours, and normals on the side of the sensors.

        In the frame of the poses, stamped with the newest frame; empty when nothing was seen often enough.
        """
        self._refresh()
        surface = self._surface
        return Cloud(surface.points, surface.rgb, surface.normals, self._frame_id or "", self._stamp_ns)

    def _prepare(self, frame: RgbdFrame) -> RgbdFrame:
        """The rectified frame with depth 0 wherever it is not to be used."""
        if frame.T_world_camera is None:
            raise InputError("frame has no camera pose, fusion needs T_world_camera")
        if frame.rgb is None:
            raise InputError("frame has no colour image, fusion needs one")
        if self._frame_id not in (None, frame.frame_id):
            raise InputError(f"frame is in {frame.frame_id!r} but the map is in {self._frame_id!r}; reset it to change")
        check_rigid(frame.T_world_camera, "T_world_camera")
        frame = rectify(frame)
        low_m, high_m = self._config.min_depth_m, self._config.max_depth_m
        usable = (frame.depth_m >= low_m) & (frame.depth_m <= high_m) & (frame.depth_m > 0)
        if not usable.any():
            raise InputError(f"no depth between {low_m:g} m and {high_m:g} m in {frame.depth_m.size} px")
        return replace(frame, depth_m=np.where(usable, frame.depth_m, np.float32(0)))

    def _touched(self, frame: RgbdFrame) -> Int64[np.ndarray, " K"]:
        """Keys, ascending, of the blocks within the truncation distance of the frame's surface."""
        assert frame.T_world_camera is not None
        voxel_m, truncation = self._config.voxel_size_m, self._config.truncation_voxels
        # Rays apart by at most a voxel at the far end, and a sample along them for every two voxels.
        stride = int(np.clip(voxel_m * frame.camera.K[0, 0] / self._config.max_depth_m, 1, 8))
        keys, in_reach = touch_blocks(
            frame.depth_m,
            frame.camera.rays(),
            frame.T_world_camera,
            voxel_m * RESOLUTION,
            voxel_m * truncation,
            int(np.ceil(truncation)),
            stride,
        )
        if not in_reach:
            position = frame.T_world_camera[:3, 3].tolist()
            raise InputError(f"camera at {position} m is out of reach of {voxel_m:g} m voxels (2^23 of them each way)")
        _, first = group_keys(keys)
        return np.sort(keys[first])

    def _refresh(self) -> None:
        """Read the surface anew wherever blocks came, changed or went."""
        rows = self._grid.take_changes()
        fresh = self._read(rows) if len(rows) else _Surface.empty()
        self._surface = self._surface.updated(self._grid.keys, fresh)

    def _read(self, rows: Int64[np.ndarray, " C"]) -> _Surface:
        keys, values = self._grid.keys[rows], self._grid.read(rows)
        points, rgb, normals, counts = extract_surface(
            values.tsdf,
            values.weight,
            values.colour,
            values.around,
            keys,
            self._config.voxel_size_m,
            self._config.min_weight,
        )
        return _Surface(keys, counts, points, rgb, normals)


@dataclass(frozen=True, eq=False)
class _Surface:
    """Surface points in the order of their blocks: ``counts[i]`` of them in block ``keys[i]``, keys ascending."""

    keys: Int64[np.ndarray, " B"]
    counts: Int64[np.ndarray, " B"]
    points: Float32[np.ndarray, "N 3"]
    rgb: Float32[np.ndarray, "N 3"]
    normals: Float32[np.ndarray, "N 3"]

    @classmethod
    def empty(cls) -> _Surface:
        none = np.zeros((0, 3), np.float32)
        return cls(np.zeros(0, np.int64), np.zeros(0, np.int64), none, none, none)

    def updated(self, keys: Int64[np.ndarray, " B"], fresh: _Surface) -> _Surface:
        """The surface of the blocks ``keys``: from ``fresh`` for those it has, else from here."""
        if not len(fresh.keys) and len(keys) == len(self.keys):
            return self
        starts, counts = np.zeros(len(keys), np.int64), np.zeros(len(keys), np.int64)
        for part, sign in ((self, -1), (fresh, 1)):
            there = np.flatnonzero(np.isin(part.keys, keys, assume_unique=True))
            rows = np.searchsorted(keys, part.keys[there])
            first = (np.cumsum(part.counts) - part.counts)[there]
            starts[rows] = first if sign > 0 else -1 - first
            counts[rows] = part.counts[there]
        points, rgb, normals = (
            gather_runs(old, new, starts, counts)
            for old, new in ((self.points, fresh.points), (self.rgb, fresh.rgb), (self.normals, fresh.normals))
        )
        return _Surface(keys, counts, points, rgb, normals)
