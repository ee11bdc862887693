"""From a recording to a scene folder: every frame is looked at before it is believed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from seg3d_core.data.registration import check_registered
from seg3d_core.data.scenes.cloud import SceneCloud
from seg3d_core.data.scenes.folder import SceneFolder
from seg3d_core.data.scenes.fusion import fuse, superpoints_of
from seg3d_core.data.scenes.import_settings import ImportConfig
from seg3d_core.data.scenes.recordings import Z_UP, Recording, UpFrom
from seg3d_core.data.scenes.reprojection import Agreement, Probe, measure_agreement
from seg3d_core.data.scenes.uprightness import estimate_up, turned_upright
from seg3d_core.data.scenes.writer import SceneWriter
from seg3d_core.errors import InputError
from seg3d_core.geometry.transforms import apply
from seg3d_core.types import Cloud, RgbdFrame

STRUCTURE_NAMES = frozenset({"floor", "wall", "walls", "ceiling"})
"""Annotated instances of these names are the room itself."""

Report = Callable[[str, int, int], None]
"""Takes what is being done, how many frames are done and how many there are."""


@dataclass(frozen=True, eq=False)
class Survey:
    """What is known of a recording's frames before any is written.

    Attributes:
        good: numbers of the frames to take.
        bad: number and reason of those to leave out.
        agreements: of the frames that could be read, by number.
        up: unit vector against gravity in the recording's world frame.
        up_from: how that is known.
    """

    good: list[int]
    bad: dict[int, str]
    agreements: dict[int, Agreement]
    up: Float64[np.ndarray, "3"]
    up_from: UpFrom


def import_scene(
    recording: Recording,
    path: Path,
    source: str,
    config: ImportConfig,
    up: tuple[float, float, float] | None = None,
    report: Report = lambda what, done, total: None,
) -> SceneFolder:
    """Make a scene folder of a recording; its world is turned so that z is up.

    Frames that cannot be read, have hardly any depth or contradict their neighbours are left out and listed in
    scene.json with the reason. An interrupted import is gone on with.

    Args:
        recording: see ``open_recordings``.
        path: folder to make.
        source: what the user called the recording.
        config: settings.
        up: unit or longer vector against gravity in the recording's world; None: as the recording knows.
        report: is told how far it is.

    Raises:
        InputError: no frame is left, depth is not registered to colour, the poses contradict each other throughout,
            or the scene cannot be written.
    """
    identity = {"source": source, "settings": config.model_dump(mode="json"), "up": up}
    found = survey(recording, config, up, report)
    check_registered(_spread(recording, found.good, config.registration_frames), source)
    T_upright_world = turned_upright(found.up)
    with SceneWriter(path, identity) as writer:
        _write(recording, found, T_upright_world, writer, report)
        report("making the cloud", 0, 1)
        cloud = _cloud(recording, writer, T_upright_world, config)
        return writer.finish(
            cloud,
            Z_UP,
            name=path.name,
            source=source,
            layout=recording.layout,
            settings=identity["settings"],
            up_from=found.up_from,
            structure_ids=tuple(n for n, name in cloud.names.items() if name.lower() in STRUCTURE_NAMES),
            instance_names=cloud.names,
            notes=_notes(found),
        )


def survey(
    recording: Recording,
    config: ImportConfig,
    up: tuple[float, float, float] | None = None,
    report: Report = lambda what, done, total: None,
) -> Survey:
    """Read the depth of the frames that are asked for and compare them with each other.

    Raises:
        InputError: none can be read, the poses contradict each other, or which way is up cannot be told.
    """
    chosen = chosen_frames(len(recording.frames), config.every, config.most)
    probes: dict[int, Probe] = {}
    bad: dict[int, str] = {}
    for done, number in enumerate(chosen):
        report("looking at frames", done, len(chosen))
        try:
            probes[number] = _probe(recording.depth_frame(number), config.min_depth_share)
        except InputError as error:
            bad[number] = str(error)
    if not probes:
        raise InputError(f"{recording.name}: no frame can be used; the first ({chosen[0]}): {bad[chosen[0]]}")
    agreements = dict(zip(probes, measure_agreement(list(probes.values())), strict=True))
    limit = _limit(recording.name, list(agreements.values()), config)
    wrong = {number: one for number, one in agreements.items() if one.contradiction > limit}
    for number, one in wrong.items():
        bad[number] = (
            f"contradicts its neighbours: {one.contradiction:.0%} of the points that it has in common with "
            f"{one.neighbours} other frames were looked through, at most {limit:.0%} is allowed"
        )
    good = [number for number in probes if number not in wrong]
    vertical, up_from = _up(recording, [probes[number] for number in good], up)
    return Survey(good, bad, agreements, vertical, up_from)


def _limit(name: str, agreements: list[Agreement], config: ImportConfig) -> float:
    """The greatest contradiction that a frame may have, 0..1."""
    shares = [one.contradiction for one in agreements if one.neighbours]
    median = float(np.median(shares)) if shares else 0.0
    if median > config.max_median:
        raise InputError(
            f"{name}: frames contradict each other: {median:.0%} of common points were looked through in the median of "
            f"{len(shares)} frames, at most {config.max_median:.0%} is allowed: the poses, their convention, the "
            "intrinsics or the scale of depth are wrong"
        )
    return max(config.max_contradiction, config.outlier_factor * median)


def chosen_frames(count: int, every: int, most: int) -> list[int]:
    """Every ``every``-th of ``count`` frames; of these at most ``most`` (0: all), spread evenly."""
    rows = np.arange(0, count, every)
    if 0 < most < len(rows):
        rows = rows[np.unique(np.linspace(0, len(rows) - 1, most).round().astype(np.int64))]
    return [int(row) for row in rows]


def _probe(frame: RgbdFrame, min_depth_share: float) -> Probe:
    share = float((frame.depth_m > 0).mean())
    if share <= 0 or share < min_depth_share:
        raise InputError(f"depth on {share:.1%} of its pixels, at least {min_depth_share:.1%} is needed")
    return Probe.of(frame)


def _up(
    recording: Recording, probes: list[Probe], asked: tuple[float, float, float] | None
) -> tuple[Float64[np.ndarray, "3"], UpFrom]:
    if asked is not None:
        vector = np.array(asked, np.float64)
        length = float(np.linalg.norm(vector))
        if not (np.isfinite(length) and length > 0):
            raise InputError(f"up = {list(asked)} is no direction")
        return vector / length, "option"
    return (recording.up, recording.up_from) if recording.up is not None else (estimate_up(probes), "estimated")


def _spread(recording: Recording, good: list[int], count: int) -> list[RgbdFrame]:
    """Some of the good frames with their colour; those whose colour cannot be read are said later."""
    frames = []
    for number in chosen_frames(len(good), 1, count) if count else []:
        try:
            frames.append(recording.read(good[number]).frame)
        except InputError:
            continue
    return frames


def _write(
    recording: Recording,
    found: Survey,
    T_upright_world: Float64[np.ndarray, "4 4"],
    writer: SceneWriter,
    report: Report,
) -> None:
    """Every frame that is not in the scene yet, and the reasons for those that will never be."""
    for name, reason in recording.left_out:
        if name not in writer.handled:
            writer.skip(name, reason)
    numbers = sorted([*found.good, *found.bad])
    for done, number in enumerate(numbers):
        report("writing frames", done, len(numbers))
        name = recording.frames[number]
        if name in writer.handled:
            continue
        if number in found.bad:
            writer.skip(name, found.bad[number])
            continue
        try:
            recorded = recording.read(number)
        except InputError as error:
            writer.skip(name, str(error))
            continue
        T_world_camera = recorded.frame.T_world_camera
        assert T_world_camera is not None
        turned = replace(recorded.frame, T_world_camera=T_upright_world @ T_world_camera)
        writer.add(name, turned, recorded.colour)


def _cloud(
    recording: Recording, writer: SceneWriter, T_upright_world: Float64[np.ndarray, "4 4"], config: ImportConfig
) -> SceneCloud:
    """The recording's own scan turned upright, or the frames fused."""
    scan = recording.scan()
    if scan is None:
        sequence = writer.sequence()
        cloud = fuse((sequence[index] for index in range(len(sequence))), config.fusion)
        return SceneCloud(cloud, superpoints_of(cloud, config.superpoints))
    turn = T_upright_world.copy()
    turn[:3, 3] = 0
    normals = None if scan.cloud.normals is None else apply(turn, scan.cloud.normals)
    return replace(scan, cloud=Cloud(apply(T_upright_world, scan.cloud.points), scan.cloud.rgb, normals, "map"))


def _notes(found: Survey) -> tuple[str, ...]:
    alone = sum(one.neighbours == 0 for one in found.agreements.values())
    shares = [found.agreements[number].contradiction for number in found.good if found.agreements[number].neighbours]
    notes = []
    if shares:
        notes.append(
            f"{len(shares)} frames agree with their neighbours: {np.median(shares):.1%} of common points contradict "
            f"in the median, {max(shares):.1%} at most"
        )
    if alone:
        notes.append(f"{alone} frames show nothing that another one shows: their poses could not be checked")
    return tuple(notes)
