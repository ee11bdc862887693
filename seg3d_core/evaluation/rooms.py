"""Synthetic rooms as a robot would have mapped them: rendered, with sensor noise, fused, labelled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from seg3d_core.config import DepthNoiseConfig, FusionConfig, RoomConfig
from seg3d_core.data.labels import transfer_labels
from seg3d_core.data.room_sequence import RoomSequence
from seg3d_core.data.rooms import STRUCTURE_IDS
from seg3d_core.data.rooms.room import Room
from seg3d_core.evaluation.truth import Report, Truth
from seg3d_core.geometry.tsdf import TsdfVolume
from seg3d_core.types import Cloud, LabelledCloud, RgbdFrame

TRUTH_POINTS = 1_000_000
TRUTH_DISTANCE_M = 0.04
"""Fused points farther from every true surface have no true instance; the fusion's voxels are half of it."""


def fused_room(seed: int, frames: int, report: Report) -> Truth:
    """A walk of ``frames`` frames through the room ``seed``, fused with the defaults of fusion_node.

    Frames are rounded as camera messages are (depth to 1 mm, colour to 8 bits), so that the cloud is the one that the
    nodes make of the same walk when they use every frame.
    """
    sequence, volume = RoomSequence(seed, frames), TsdfVolume(FusionConfig.build({}))
    for index in range(len(sequence)):
        report(index / frames, f"frame {index + 1} of {frames}")
        volume.integrate(as_sent(sequence[index]))
    return Truth(label_room(sequence.room, volume.extract()), frozenset(STRUCTURE_IDS))


def label_room(room: Room, cloud: Cloud) -> LabelledCloud:
    """A cloud that was mapped in ``room``, each point with the id of the nearest true surface; none beyond 4 cm."""
    ids = transfer_labels(room.surface(TRUTH_POINTS), cloud, TRUTH_DISTANCE_M)
    return LabelledCloud(cloud, ids, room.names)


def room_fingerprint(seed: int, frames: int) -> str:
    """Seed, frames, and all settings that shape the room and its cloud."""
    configs = RoomConfig.build({}), DepthNoiseConfig.build({"seed": seed}), FusionConfig.build({})
    return f"{seed} {frames} " + " ".join(config.model_dump_json() for config in configs)


def as_sent(frame: RgbdFrame) -> RgbdFrame:
    """The frame as it comes out of a 16UC1 depth image and an rgb8 colour image."""
    assert frame.rgb is not None
    thousand, full = np.float32(1000), np.float32(255)
    depth_m = np.rint(frame.depth_m * thousand) / thousand
    rgb = np.floor(np.clip(frame.rgb, 0, 1) * full + np.float32(0.5)) * np.float32(1 / 255)
    return replace(frame, depth_m=depth_m, rgb=rgb)
