"""What relabelling keeps in a scene folder: the cloud as it was, the journal, and the results beside the scene's own.

SCENE/cloud.npz                    the labels as they are now
SCENE/relabel/cloud_before.npz     the cloud with the labels that it had before
SCENE/relabel/journal.jsonl        every action since
SCENE/relabel/instances.ply        the labels as they are now
SCENE/relabel/provenance.json      where every instance comes from
SCENE/relabel/bag                  the labels as they are now, as a recording, where that was asked for
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import numpy as np

from seg3d_core.data.atomic import atomic_path
from seg3d_core.data.scenes import SceneCloud, SceneFolder
from seg3d_core.data.scenes.cloud import read_scene_cloud
from seg3d_core.data.scenes.folder import CLOUD_FILE
from seg3d_core.errors import InputError
from seg3d_core.relabel.journal import RelabelJournal
from seg3d_core.relabel.labelling import NONE, InstanceRecord, Labelling
from seg3d_core.types import Cloud


class RelabelFolder:
    """A scene folder that one process at a time relabels.

    Attributes:
        scene: the folder.
        before: its cloud and labels as they were when relabelling began.

    Raises:
        InputError: another process has it, the scene is damaged, it has other points than when relabelling began, it
            was begun with another ``start``, or the folder cannot be written.
    """

    def __init__(self, scene: SceneFolder, start: str) -> None:
        self.scene = scene
        self.path = scene.path / "relabel"
        try:
            self.path.mkdir(exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make {self.path}: {error.strerror or error}") from error
        self.before = self._keep_before()
        self.journal = RelabelJournal(
            self.path / "journal.jsonl",
            {
                "points_sha256": _digest(scene.cloud().cloud),
                "start": start,
                "structure_ids": sorted(scene.structure_ids),
            },
        )

    @property
    def structure_ids(self) -> frozenset[int]:
        """Instances that were floor, walls and ceiling when relabelling began."""
        return frozenset(self.journal.identity["structure_ids"])

    def first_labels(self) -> Labelling:
        """The labels that the journal begins with."""
        count = len(self.before)
        if self.before.instance_id is None or self.journal.identity["start"] == "empty":
            return Labelling(np.full(count, NONE, np.int32))
        ids = np.where(self.before.instance_id > 0, self.before.instance_id, np.int32(NONE))
        names = self.before.names or self.scene.description.instance_names
        numbers = [int(number) for number in np.unique(ids) if number != NONE]
        records = {number: InstanceRecord(number, "given", name=names.get(number, "")) for number in numbers}
        return Labelling(ids, records, max([*numbers, *names, 0]) + 1)

    def close(self) -> None:
        """Let other processes have it; a second call does nothing."""
        self.journal.close()

    def _keep_before(self) -> SceneCloud:
        kept = self.path / "cloud_before.npz"
        if not kept.exists():
            with atomic_path(kept) as temporary:
                _same_file(self.scene.path / CLOUD_FILE, temporary)
        return read_scene_cloud(kept)


def _same_file(source: Path, target: Path) -> None:
    """Another name for a file, which nobody writes into; a copy where the file system has no such thing."""
    try:
        os.link(source, target)
    except PermissionError:
        shutil.copyfile(source, target)


def _digest(cloud: Cloud) -> str:
    """Of the points alone: labels change."""
    return hashlib.sha256(np.ascontiguousarray(cloud.points).tobytes()).hexdigest()
