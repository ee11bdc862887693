"""A synthetic table as a scene folder: one frame of a cheap sensor, exact ids, and the points that this frame saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int32

from seg3d_core.data.rooms import STRUCTURE_IDS
from seg3d_core.data.rooms.meshes import rotation
from seg3d_core.data.rooms.tabletop import Tabletop, make_tabletop
from seg3d_core.data.rooms.walk import looking_at
from seg3d_core.data.scenes.cloud import SceneCloud
from seg3d_core.data.scenes.folder import SceneFolder
from seg3d_core.data.scenes.fusion import superpoints_of
from seg3d_core.data.scenes.synth import Shot, instances_of, part_owners, take_shot
from seg3d_core.data.scenes.synth_camera import SynthCamera
from seg3d_core.data.scenes.synth_settings import SynthConfig, TablesConfig
from seg3d_core.data.scenes.writer import SceneWriter
from seg3d_core.errors import ConfigError
from seg3d_core.geometry.backprojection import backproject
from seg3d_core.geometry.voxels import voxelize
from seg3d_core.types import IGNORE, Cloud

CLEARANCE_M = 0.15
"""The camera keeps at least this far from every surface."""

RESOLUTIONS = (0.5, 0.75, 1.0)
"""Shares of the image width, one for each scene."""

_ATTEMPTS = 40


def table_name(seed: int) -> str:
    """Folder of the table of a seed."""
    return f"table_{seed:06}"


def make_table_scene(path: Path, seed: int, config: SynthConfig) -> SceneFolder:
    """Make the scene of one table seen from one place; the same seed and settings give the same files.

    Raises:
        ConfigError: no place was found for the camera, or the sensor returned nothing.
        InputError: see ``SceneWriter``.
    """
    identity = {"source": f"table:{seed}", "settings": config.recorded()}
    with SceneWriter(path, identity) as writer:
        tabletop = make_tabletop(seed, config.tables.min_objects, config.tables.max_objects)
        camera = SynthCamera(config, seed)
        rng = np.random.default_rng((seed, 73))
        T_world_camera = _viewpoint(tabletop, config.tables, rng, seed)
        intrinsics = camera.camera(round(config.width * float(rng.choice(RESOLUTIONS))))
        shot = take_shot(tabletop.room, camera, intrinsics, (T_world_camera, T_world_camera), 0)
        owners = part_owners(tabletop.room)
        instances = instances_of(owners, shot.part_ids)
        names = {number: name for number, name in tabletop.room.names.items() if (instances == number).any()}
        voxel_m = float(rng.uniform(config.tables.min_voxel_m, config.tables.max_voxel_m))
        cloud = _seen(shot, instances, names, voxel_m, config)
        if len(cloud) == 0:
            raise ConfigError(f"the camera of table {seed} saw nothing within {config.tables.reach_m:g} m")
        if "0" not in writer.handled:
            writer.add("0", shot.frame, instance_ids=instances, part_ids=shot.part_ids)
        return writer.finish(
            cloud,
            np.array([0.0, 0.0, 1.0]),
            name=table_name(seed),
            layout="synth",
            up_from="data",
            seed=seed,
            structure_ids=tuple(sorted(STRUCTURE_IDS)),
            instance_names=names,
            part_owners={part: int(owners[part]) for part in range(1, len(owners)) if int(owners[part]) in names},
            part_names={part: name for part, (owner, name) in enumerate(tabletop.room.part_names, 1) if owner in names},
            **identity,
        )


def _viewpoint(
    tabletop: Tabletop, config: TablesConfig, rng: np.random.Generator, seed: int
) -> Float64[np.ndarray, "4 4"]:
    """T_world_camera of a camera that looks down at the things, a little off their middle and hardly tilted.

    Raises:
        ConfigError: no place is inside the room and clear of everything.
    """
    shell = tabletop.room.shell
    half = np.array([shell.length_m, shell.width_m]) / 2 - CLEARANCE_M
    for _ in range(_ATTEMPTS):
        turn = rng.uniform(-np.pi, np.pi)
        rise = np.radians(rng.uniform(config.min_pitch_deg, config.max_pitch_deg))
        direction = np.array([np.cos(turn) * np.cos(rise), np.sin(turn) * np.cos(rise), np.sin(rise)])
        eye = tabletop.focus + rng.uniform(config.min_distance_m, config.max_distance_m) * direction
        is_inside = bool((np.abs(eye[:2]) < half).all())
        if is_inside and tabletop.room.rays.distance_m(eye[None].astype(np.float32))[0] > CLEARANCE_M:
            target = tabletop.focus + np.array([*rng.normal(0, 0.06, 2), rng.uniform(0.0, 0.1)])
            T_world_camera = looking_at(eye, target)
            T_world_camera[:3, :3] = T_world_camera[:3, :3] @ rotation(2, float(np.radians(rng.normal(0, 2.0))))
            return T_world_camera
    raise ConfigError(f"no place for the camera of table {seed}: change tables.*_distance_m or tables.*_pitch_deg")


def _seen(
    shot: Shot, instances: Int32[np.ndarray, "H W"], names: dict[int, str], voxel_m: float, config: SynthConfig
) -> SceneCloud:
    """The pixels' points up to the reach, the first of each voxel, with the truth of their pixels.

    Superpoints are of the cloud without normals and with its viewpoint, as of any cloud of one camera.
    """
    dense = backproject(shot.frame, 0.0, config.tables.reach_m)
    first = voxelize(dense.points, voxel_m).first_point
    assert dense.source_index is not None and dense.rgb is not None
    pixels = dense.source_index[first]
    ids, parts = instances.reshape(-1)[pixels], shot.part_ids.reshape(-1)[pixels]
    cloud = Cloud(dense.points[first], dense.rgb[first], frame_id=dense.frame_id, viewpoint=dense.viewpoint)
    shown = {number: name for number, name in names.items() if (ids == number).any()}
    return SceneCloud(cloud, superpoints_of(cloud, config.superpoints), ids, np.where(ids == IGNORE, ids, parts), shown)
