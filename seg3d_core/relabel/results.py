"""What relabelling leaves: the scene's cloud with its new labels, a PLY to look at, and where instances come from."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Int32

from seg3d_core.data.atomic import atomic_path
from seg3d_core.data.cloud_files import write_labelled
from seg3d_core.data.scenes import SceneCloud
from seg3d_core.data.scenes.cloud import write_scene_cloud
from seg3d_core.data.scenes.description import SceneDescription, sha256_of
from seg3d_core.data.scenes.folder import CLOUD_FILE
from seg3d_core.relabel.folder import RelabelFolder
from seg3d_core.relabel.labelling import NONE, Labelling
from seg3d_core.relabel.results_bag import write_results_bag
from seg3d_core.relabel.settings import RelabelConfig
from seg3d_core.types import IGNORE, LabelledCloud

STRUCTURE_NAMES = frozenset({"floor", "wall", "walls", "ceiling"})
"""An instance that a person calls so is the room itself, no object."""


@dataclass(frozen=True)
class Results:
    """What was written.

    Attributes:
        instances: in the cloud, by whose word they are (see ``Decision``).
        left_out: proposals that nobody has looked at and that were not written.
        labelled: share of the points that have an instance, 0..1.
    """

    instances: dict[str, int]
    left_out: int
    labelled: float


def write_results(folder: RelabelFolder, labelling: Labelling, config: RelabelConfig) -> Results:
    """Write the labels into the scene folder; every file is complete or as it was.

    cloud.npz comes before scene.json, which has its checksum: after a kill between the two, ``seg3d data check`` finds
    fault until the results are written again.

    Raises:
        InputError: the disk is full or the folder cannot be written.
    """
    left_out = [
        number
        for number, record in labelling.records.items()
        if record.decision == "proposed" and config.results == "decided"
    ]
    ids = np.where(np.isin(labelling.instance_ids, [NONE, *left_out]), np.int32(IGNORE), labelling.instance_ids)
    records = {number: record for number, record in sorted(labelling.records.items()) if number not in left_out}
    names = {number: record.name or f"object {number}" for number, record in records.items()}
    before = folder.before
    cloud = SceneCloud(before.cloud, before.superpoints, ids, _parts(before, ids), names)
    write_scene_cloud(folder.scene.path / CLOUD_FILE, cloud)
    _describe(folder, names)
    write_labelled(folder.path / "instances.ply", LabelledCloud(before.cloud, ids, names))
    provenance = _provenance(labelling, left_out)
    with atomic_path(folder.path / "provenance.json") as temporary:
        temporary.write_text(provenance, encoding="utf-8")
    if config.bag:
        write_results_bag(folder.path / "bag", LabelledCloud(before.cloud, ids, names), provenance)
    decisions = Counter[str](record.decision for record in records.values())
    return Results(dict(decisions), len(left_out), float((ids != IGNORE).mean()))


def _parts(before: SceneCloud, ids: Int32[np.ndarray, " N"]) -> Int32[np.ndarray, " N"] | None:
    """True parts, where their thing is what it was."""
    if before.part_id is None or before.instance_id is None:
        return before.part_id
    parts: Int32[np.ndarray, " N"] = np.where(ids == before.instance_id, before.part_id, np.int32(IGNORE))
    return parts


def _describe(folder: RelabelFolder, names: dict[int, str]) -> None:
    """scene.json: the new cloud's checksum, names, and what is the room itself."""
    old = SceneDescription.read(folder.scene.path)
    structure = {number for number, name in names.items() if name.lower() in STRUCTURE_NAMES}
    structure |= folder.structure_ids & set(names)
    manifest = {**old.manifest, CLOUD_FILE: sha256_of(folder.scene.path / CLOUD_FILE)}
    old.model_copy(
        update={"instance_names": names, "structure_ids": tuple(sorted(structure)), "manifest": manifest}
    ).write(folder.scene.path)


def _provenance(labelling: Labelling, left_out: list[int]) -> str:
    """JSON of where each instance comes from."""
    sizes = labelling.sizes()
    rows = [
        {**asdict(labelling.records[number]), "points": size, "written": number not in left_out}
        for number, size in sizes.items()
    ]
    return json.dumps({"format": 1, "instances": rows}, indent=1) + "\n"
