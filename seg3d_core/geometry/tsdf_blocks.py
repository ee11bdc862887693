"""Bounded storage of voxel blocks: Open3D's VoxelBlockGrid and the books on what is in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import open3d.core as o3c
from jaxtyping import Float32, Float64, Int32, Int64
from open3d.t.geometry import Image, VoxelBlockGrid

from seg3d_core.config import FusionConfig
from seg3d_core.errors import DeviceError, InputError
from seg3d_core.geometry.transforms import invert
from seg3d_core.geometry.tsdf_kernels import neighbour_rows
from seg3d_core.geometry.voxels_kernels import unpack_keys
from seg3d_core.types import RgbdFrame

RESOLUTION = 8
"""Voxels along an edge of a block."""
_BATCH = 512
"""Blocks per call into Open3D, which wants room for all blocks of a call as if none were there yet."""
_ATTRIBUTES = ("tsdf", "weight", "color")


@dataclass(frozen=True, eq=False)
class BlockValues:
    """Values of some blocks, by buffer; voxel (x, y, z) is element (z * 8 + y) * 8 + x.

    Attributes:
        tsdf: signed distance in truncation lengths, growing towards the sensor.
        weight: how often the voxel was seen.
        colour: mean colour, 0..255.
        around: buffers of and around each block asked for, see ``neighbour_rows``; -1 for no block.
    """

    tsdf: Float32[np.ndarray, "A 512"]
    weight: Float32[np.ndarray, "A 512"]
    colour: Float32[np.ndarray, "A 512 3"]
    around: Int32[np.ndarray, "C 27"]


class BlockGrid:
    """At most ``max_blocks`` blocks of voxels, in host or device memory that is allocated once.

    When a frame needs room, the blocks that have not been seen for longest are forgotten, the farthest from the camera
    first among those of one age. (Open3D would grow instead, at 0.06 ms for every block already there: seconds.)

    Attributes:
        keys: (B,) packed keys of the blocks, ascending.
        changed: (B,) blocks integrated into since ``take_changes``.
    """

    def __init__(self, config: FusionConfig) -> None:
        self._config = config
        self._device = _open_device(config.device)
        self._grid = VoxelBlockGrid(
            attr_names=_ATTRIBUTES,
            # uint16 for weight and colour would save memory, but each running mean is truncated to it: colours go dark.
            attr_dtypes=(o3c.float32, o3c.float32, o3c.float32),
            attr_channels=((1,), (1,), (3,)),
            voxel_size=config.voxel_size_m,
            block_resolution=RESOLUTION,
            block_count=config.max_blocks + _BATCH,
            device=self._device,
        )
        self.keys = np.zeros(0, np.int64)
        self.changed = np.zeros(0, bool)
        self._last_seen = np.zeros(0, np.int64)
        self._buffers = np.zeros(0, np.int32)
        self._forgotten = np.zeros(0, np.int64)
        self._frames = 0

    @property
    def capacity(self) -> int:
        """Blocks that memory is allocated for."""
        return int(self._grid.hashmap().capacity())

    def clear(self) -> None:
        """Forget every block."""
        self._discard(np.arange(len(self.keys)))

    def integrate(self, keys: Int64[np.ndarray, " K"], frame: RgbdFrame) -> None:
        """Average a frame (pinhole, with colour and pose, depth 0 where it is to be ignored) into the blocks ``keys``.

        Raises:
            InputError: the frame alone touches more than ``max_blocks``.
        """
        assert frame.T_world_camera is not None and frame.rgb is not None
        self._admit(keys, frame.T_world_camera[:3, 3])
        # Open3D looks depth up at the truncated, not the rounded pixel: half a pixel moves it to the nearest.
        K = frame.camera.K.copy()
        K[:2, 2] += 0.5
        intrinsics, extrinsics = (o3c.Tensor.from_numpy(matrix) for matrix in (K, invert(frame.T_world_camera)))
        depth, colour = (self._image(image) for image in (frame.depth_m, frame.rgb))
        for start in range(0, len(keys), _BATCH):
            blocks = self._tensor(unpack_keys(keys[start : start + _BATCH]))
            self._grid.integrate(
                blocks,
                depth,
                colour,
                intrinsics,
                extrinsics,
                depth_scale=1.0,
                depth_max=self._config.max_depth_m,
                trunc_voxel_multiplier=self._config.truncation_voxels,
            )
        self._frames += 1
        rows = np.searchsorted(self.keys, keys)
        self._last_seen[rows] = self._frames
        self.changed[rows] = True

    def take_changes(self) -> Int64[np.ndarray, " C"]:
        """Rows of the blocks whose surface may differ since the last call: their values or a neighbour's changed."""
        centres = np.concatenate([self.keys[self.changed], self._forgotten])
        near = neighbour_rows(self.keys, centres)
        stale = np.zeros(len(self.keys), bool)
        stale[near[near >= 0]] = True
        self.changed[:] = False
        self._forgotten = np.zeros(0, np.int64)
        return np.flatnonzero(stale)

    def read(self, rows: Int64[np.ndarray, " C"]) -> BlockValues:
        """The values of the blocks of ``rows`` and of their neighbours, in host memory."""
        around = self._buffers_around(rows)
        if self._config.device != "cpu":
            return self._fetch(around)
        tsdf, weight, colour = (_flat(self._grid.attribute(name).numpy()) for name in _ATTRIBUTES)
        return BlockValues(tsdf, weight, colour, around)

    def _buffers_around(self, rows: Int64[np.ndarray, " C"]) -> Int32[np.ndarray, "C 27"]:
        near = neighbour_rows(self.keys, self.keys[rows])
        buffers: Int32[np.ndarray, "C 27"] = np.append(self._buffers, np.int32(-1))[near]  # row -1 has buffer -1
        return buffers

    def _fetch(self, around: Int32[np.ndarray, "C 27"]) -> BlockValues:
        """Copies of the blocks that ``around`` names, which is renumbered to them."""
        used, renumbered = np.unique(around[around >= 0], return_inverse=True)
        index = self._tensor(used.astype(np.int64))
        copied = around.copy()
        copied[around >= 0] = renumbered
        tsdf, weight, colour = (_flat(self._grid.attribute(name)[index].cpu().numpy()) for name in _ATTRIBUTES)
        return BlockValues(tsdf, weight, colour, copied)

    def _admit(self, keys: Int64[np.ndarray, " K"], camera_m: Float64[np.ndarray, "3"]) -> None:
        """Make sure that all of ``keys`` (ascending) have a block."""
        if len(keys) > self._config.max_blocks:
            raise InputError(
                f"one frame touches {len(keys)} blocks of {self._config.voxel_size_m * RESOLUTION:g} m, "
                f"more than max_blocks = {self._config.max_blocks}"
            )
        new = keys[~np.isin(keys, self.keys, assume_unique=True)]
        excess = len(self.keys) + len(new) - self._config.max_blocks
        if excess > 0:
            self._forget(excess, keys, camera_m)
        self._insert(new)

    def _forget(self, count: int, needed: Int64[np.ndarray, " K"], camera_m: Float64[np.ndarray, "3"]) -> None:
        block_m = self._config.voxel_size_m * RESOLUTION
        free = np.flatnonzero(~np.isin(self.keys, needed, assume_unique=True))
        centres_m = (unpack_keys(self.keys[free]) + 0.5) * block_m
        distance = np.linalg.norm(centres_m - camera_m, axis=1)
        self._discard(np.sort(free[np.lexsort((-distance, self._last_seen[free]))[:count]]))

    def _discard(self, rows: Int64[np.ndarray, " R"]) -> None:
        if not len(rows):
            return
        # Open3D hands a freed block out again with its old values in it.
        buffers = self._tensor(self._buffers[rows].astype(np.int64))
        for name in _ATTRIBUTES:
            self._grid.attribute(name)[buffers] = 0.0
        self._grid.hashmap().erase(self._tensor(unpack_keys(self.keys[rows])))
        self._forgotten = np.append(self._forgotten, self.keys[rows])
        self.keys, self.changed = np.delete(self.keys, rows), np.delete(self.changed, rows)
        self._last_seen, self._buffers = np.delete(self._last_seen, rows), np.delete(self._buffers, rows)

    def _insert(self, new: Int64[np.ndarray, " K"]) -> None:
        if not len(new):
            return
        for start in range(0, len(new), _BATCH):
            self._grid.hashmap().activate(self._tensor(unpack_keys(new[start : start + _BATCH])))
        buffers, _ = self._grid.hashmap().find(self._tensor(unpack_keys(new)))
        at = np.searchsorted(self.keys, new)
        self.keys = np.insert(self.keys, at, new)
        self.changed = np.insert(self.changed, at, False)
        self._last_seen = np.insert(self._last_seen, at, 0)
        self._buffers = np.insert(self._buffers, at, buffers.cpu().numpy())

    def _tensor(self, array: Int32[np.ndarray, "..."] | Int64[np.ndarray, "..."]) -> Any:
        return o3c.Tensor.from_numpy(np.ascontiguousarray(array)).to(self._device)

    def _image(self, pixels: Float32[np.ndarray, "..."]) -> Any:
        return Image(o3c.Tensor.from_numpy(np.ascontiguousarray(pixels))).to(self._device)


def _flat(values: Float32[np.ndarray, "A 8 8 8 channels"]) -> Float32[np.ndarray, "..."]:
    """One axis for the voxels of a block, and none for a single channel; a view."""
    blocks, channels = len(values), values.shape[-1]
    return values.reshape(blocks, RESOLUTION**3) if channels == 1 else values.reshape(blocks, RESOLUTION**3, channels)


def _open_device(name: str) -> Any:
    """Open3D's device of a name such as cpu, cuda or cuda:1.

    Raises:
        DeviceError: there is no such device.
    """
    if name == "cpu":
        return o3c.Device("CPU:0")
    index = int(name.partition(":")[2] or 0)
    count = o3c.cuda.device_count() if o3c.cuda.is_available() else 0
    if index >= count:
        raise DeviceError(f"fusion.device = {name}, but this Open3D finds {count} CUDA devices; use cpu")
    return o3c.Device(f"CUDA:{index}")
