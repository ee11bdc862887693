"""A synthetic room as a scene folder: frames of a cheap sensor, exact ids, and the cloud fused from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64, Int32

from seg3d_core.data.rooms import STRUCTURE_IDS, Room, make_room
from seg3d_core.data.scenes.cloud import SceneCloud
from seg3d_core.data.scenes.folder import SceneFolder
from seg3d_core.data.scenes.fusion import superpoints_of
from seg3d_core.data.scenes.synth_camera import SynthCamera
from seg3d_core.data.scenes.synth_settings import SynthConfig
from seg3d_core.data.scenes.synth_views import plan_views, spread_walk
from seg3d_core.data.scenes.truth_votes import TruthVotes
from seg3d_core.data.scenes.writer import SceneWriter
from seg3d_core.geometry.camera import Camera
from seg3d_core.geometry.tsdf import TsdfVolume
from seg3d_core.types import IGNORE, Cloud, RgbdFrame

RATE_HZ = 5.0
VOTING_WIDTH = 320
"""Truth of the cloud is decided by images of about this width: every second pixel of larger ones."""


@dataclass(frozen=True, eq=False)
class Shot:
    """One frame of the room.

    Attributes:
        frame: as the sensor delivers it, at the pose that tracking says.
        exact_m: (H, W) depth without error.
        part_ids: (H, W) part that each pixel shows, ``IGNORE`` for none.
    """

    frame: RgbdFrame
    exact_m: Float32[np.ndarray, "H W"]
    part_ids: Int32[np.ndarray, "H W"]


def scene_name(seed: int) -> str:
    """Folder of the room of a seed."""
    return f"room_{seed:06}"


def make_scene(path: Path, seed: int, config: SynthConfig) -> SceneFolder:
    """Make the scene of one room; the same seed and settings give the same files.

    Raises:
        ConfigError: no room of this seed fits the settings.
        InputError: see ``SceneWriter``.
    """
    identity = {"source": f"room:{seed}", "settings": config.recorded()}
    with SceneWriter(path, identity) as writer:
        room, camera = make_room(seed, config.room), SynthCamera(config, seed)
        owners = part_owners(room)
        volume, kept = TsdfVolume(config.fusion), []
        for number, (shot, is_stored) in enumerate(_shots(room, camera, config, seed)):
            if is_stored and str(number) not in writer.handled:
                writer.add(
                    str(number), shot.frame, instance_ids=instances_of(owners, shot.part_ids), part_ids=shot.part_ids
                )
            _integrate(volume, shot.frame)
            kept.append(_for_voting(shot))
        cloud = _with_truth(volume.extract(), kept, room, config)
        return writer.finish(
            cloud,
            np.array([0.0, 0.0, 1.0]),
            name=scene_name(seed),
            layout="synth",
            up_from="data",
            seed=seed,
            structure_ids=tuple(sorted(STRUCTURE_IDS)),
            instance_names=room.names,
            part_owners={part: int(owners[part]) for part in range(1, len(owners))},
            part_names={part + 1: name for part, (_, name) in enumerate(room.part_names)},
            **identity,
        )


def part_owners(room: Room) -> Int32[np.ndarray, " P1"]:
    """Instance id of each part; parts are numbered from 1, element 0 is not used."""
    return np.array([IGNORE, *(owner for owner, _ in room.part_names)], np.int32)


def _shots(room: Room, camera: SynthCamera, config: SynthConfig, seed: int) -> Iterator[tuple[Shot, bool]]:
    """Every frame, those to be stored first, and whether it is to be stored."""
    plan = plan_views(room, config.frames, config.close_share, config.free_share, seed)
    stored = np.concatenate(plan)
    further = spread_walk(room, config.fused_only, seed, np.random.default_rng((seed, 37)))
    poses = np.concatenate([stored, further])
    recorded = np.concatenate([camera.drift(stored), camera.drift(further)])
    for number in range(len(poses)):
        is_stored = number < len(stored)
        intrinsics = camera.camera(config.width if is_stored else config.fused_width)
        yield (
            take_shot(room, camera, intrinsics, (poses[number], recorded[number]), round(number * 1e9 / RATE_HZ)),
            is_stored,
        )


def take_shot(
    room: Room,
    camera: SynthCamera,
    intrinsics: Camera,
    poses: tuple[Float64[np.ndarray, "4 4"], Float64[np.ndarray, "4 4"]],
    stamp_ns: int,
) -> Shot:
    """What the camera at the true pose sees, booked at the recorded one."""
    true, recorded = poses
    exact, triangles = room.view(intrinsics, true, stamp_ns)
    parts = np.where(triangles == IGNORE, np.int32(IGNORE), room.triangle_part[triangles] + np.int32(1))
    noisy = camera.degrade(exact)
    depth_m = np.rint(noisy.depth_m * np.float32(1000)) / np.float32(1000)
    return Shot(replace(noisy, depth_m=depth_m, T_world_camera=recorded), exact.depth_m, parts)


def instances_of(owners: Int32[np.ndarray, " P1"], part_ids: Int32[np.ndarray, "H W"]) -> Int32[np.ndarray, "H W"]:
    """Instance that each pixel shows, of the part that it shows and the owners of parts."""
    return np.where(part_ids == IGNORE, np.int32(IGNORE), owners[part_ids])


def _integrate(volume: TsdfVolume, frame: RgbdFrame) -> None:
    """Fuse a frame; one without a return (all too near) adds nothing."""
    if (frame.depth_m > 0).any():
        volume.integrate(frame)


def _for_voting(shot: Shot) -> Shot:
    """The shot with every second (third, ...) pixel, so that it is about as wide as votes need."""
    step = max(shot.frame.camera.width // VOTING_WIDTH, 1)
    part_ids = np.ascontiguousarray(shot.part_ids[::step, ::step])
    exact_m = np.ascontiguousarray(shot.exact_m[::step, ::step])
    K = shot.frame.camera.K.copy()
    K[:2] /= step
    camera = Camera(exact_m.shape[1], exact_m.shape[0], K)
    return Shot(RgbdFrame(exact_m, camera, T_world_camera=shot.frame.T_world_camera), exact_m, part_ids)


def _with_truth(cloud: Cloud, kept: list[Shot], room: Room, config: SynthConfig) -> SceneCloud:
    votes = TruthVotes(cloud.points, part_owners(room))
    for shot in kept:
        assert shot.frame.T_world_camera is not None
        votes.add(shot.frame.camera, shot.frame.T_world_camera, shot.exact_m, shot.part_ids)
    instances, parts = votes.result()
    return SceneCloud(cloud, superpoints_of(cloud, config.superpoints), instances, parts, room.names)
