"""A scene folder of a few small frames, made up: a wall with two boards on it, seen from a camera that moves aside."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from seg3d_core.data.scenes import SceneCloud, SceneFolder, SceneWriter
from seg3d_core.geometry.backprojection import backproject
from seg3d_core.geometry.camera import Camera
from seg3d_core.types import Cloud, RgbdFrame

WIDTH, HEIGHT = 64, 48
K = np.array([[60.0, 0, 31.5], [0, 60.0, 23.5], [0, 0, 1]])
WALL, LEFT, RIGHT = 1, 2, 3
_T_WORLD_OPTICAL = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 1], [0, 0, 0, 1]])
"""Looks along x, 1 m above the floor."""


def table_ids() -> np.ndarray:
    """True instances of the pixels."""
    ids = np.full((HEIGHT, WIDTH), WALL, np.int32)
    ids[10:30, 8:24], ids[20:44, 36:60] = LEFT, RIGHT
    return ids


def table_frame(number: int) -> RgbdFrame:
    ids = table_ids()
    depth_m = np.choose(ids, [0, 2.0, 1.8, 1.6]).astype(np.float32)
    depth_m[:, 0] = 0
    rgb = np.stack([np.choose(ids, [0, 0.8, 0.2, 0.4]), np.full(ids.shape, 0.5), ids / 4], axis=-1).astype(np.float32)
    T = _T_WORLD_OPTICAL.copy()
    T[1, 3] = 0.1 * number
    return RgbdFrame(depth_m, Camera(WIDTH, HEIGHT, K), rgb, T, "map", number)


def write_table_scene(path: Path, frames: int = 3) -> SceneFolder:
    """The scene; its cloud is what all frames see."""
    seen, ids = [], []
    with SceneWriter(path, {"table": 0}) as writer:
        for number in range(frames):
            frame = table_frame(number)
            writer.add(f"{number}", frame, instance_ids=table_ids(), part_ids=table_ids())
            seen.append(backproject(frame, 0.0, 10.0))
            ids.append(table_ids().reshape(-1)[seen[-1].source_index])
        points, rgb = (np.concatenate([getattr(cloud, name) for cloud in seen]) for name in ("points", "rgb"))
        labels = np.concatenate(ids)
        # Patches of 0.2 m that no object shares with another.
        cells = np.column_stack([labels, np.floor(points / 0.2).astype(np.int32)])
        patches = np.unique(cells, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int32)
        cloud = SceneCloud(Cloud(points, rgb), patches, labels, labels, {LEFT: "left"})
        return writer.finish(
            cloud,
            np.array([0.0, 0, 1]),
            format=1,
            name=path.name,
            source="made up",
            layout="synth",
            structure_ids=(WALL,),
            instance_names={WALL: "wall", LEFT: "left", RIGHT: "right"},
        )
