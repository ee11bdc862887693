"""Reading scene folders."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int32

from seg3d_core.data.folder_sequences import open_plain
from seg3d_core.data.recorded_sequence import RecordedSequence
from seg3d_core.data.scenes.cloud import SceneCloud, read_scene_cloud
from seg3d_core.data.scenes.description import SCENE_JSON, SceneDescription
from seg3d_core.data.scenes.id_images import MASK_NONE, TRUTH_NONE, read_id_image
from seg3d_core.errors import InputError
from seg3d_core.types import RgbdFrame

CLOUD_FILE = "cloud.npz"
IdKind = Literal["instance", "part"]
"""Two levels of truth: whole things, and the parts that they are made of."""


@dataclass(frozen=True, eq=False)
class SceneFolder:
    """A scene on disk; files are read when they are asked for. Cheap to make, to copy and to send to processes.

    Attributes:
        path: the folder.
        description: its scene.json.
    """

    path: Path
    description: SceneDescription

    @classmethod
    def open(cls, path: str | Path) -> SceneFolder:
        """Open a scene folder; only scene.json is read.

        Raises:
            InputError: no such folder, not (yet) a complete scene, or a damaged scene.json.
        """
        folder = Path(path)
        if not folder.is_dir():
            raise InputError(f"{folder} is {'a file' if folder.exists() else 'not there'}, expected a scene folder")
        return cls(folder, SceneDescription.read(folder))

    @property
    def name(self) -> str:
        """Of the scene; unique within a folder of scenes."""
        return self.description.name

    @property
    def up(self) -> Float64[np.ndarray, "3"]:
        """Unit vector against gravity in the world frame."""
        return np.array(self.description.up, np.float64)

    @property
    def structure_ids(self) -> frozenset[int]:
        """True instances that are the room itself: floor, walls, ceiling; empty where truth is not known."""
        return frozenset(self.description.structure_ids)

    @property
    def frame_count(self) -> int:
        """Number of frames; they are numbered from 0."""
        return self.description.frames

    @cached_property
    def sequence(self) -> RecordedSequence:
        """The frames as a sequence.

        Raises:
            InputError: files are missing or damaged, or there are more or fewer than scene.json says.
        """
        sequence = open_plain(self.path)
        if len(sequence) != self.frame_count:
            raise InputError(f"{self.path} has {len(sequence)} frames, its {SCENE_JSON} says {self.frame_count}")
        return sequence

    def frame(self, index: int) -> RgbdFrame:
        """Frame ``index``: colour, registered depth, camera, pose; world frame "map".

        Raises:
            InputError: an image is missing or damaged.
            IndexError: there is no such frame.
        """
        return self.sequence[index]

    def colour_path(self, index: int) -> Path:
        """The colour image of a frame, as a file."""
        return self.sequence.frames[index].colour

    def true_ids(self, index: int, kind: IdKind) -> Int32[np.ndarray, "H W"] | None:
        """True id of every pixel (positive; floor and walls too, see ``structure_ids``), ``IGNORE`` where none.

        None where truth is not known.

        Raises:
            InputError: the image is damaged.
        """
        path = self.path / kind / f"{frame_name(index)}.png"
        return read_id_image(path, TRUTH_NONE) if path.is_file() else None

    def mask_path(self, source: str, index: int) -> Path:
        """Where the 2-D masks of ``source`` for a frame are or will be."""
        return self.path / "masks" / source / f"{frame_name(index)}.png"

    def mask_ids(self, source: str, index: int) -> Int32[np.ndarray, "H W"] | None:
        """2-D mask of every pixel, dense from 0, ``IGNORE`` where none; None where the frame is not labelled yet.

        Raises:
            InputError: the image is damaged.
        """
        path = self.mask_path(source, index)
        return read_id_image(path, MASK_NONE) if path.is_file() else None

    def cloud(self) -> SceneCloud:
        """The whole scene.

        Raises:
            InputError: cloud.npz is missing or damaged.
        """
        return read_scene_cloud(self.path / CLOUD_FILE)

    def pseudo_path(self, name: str) -> Path:
        """Where the 3-D pseudo masks called ``name`` are or will be."""
        return self.path / "pseudo" / f"{name}.npz"


def frame_name(index: int) -> str:
    """File stem of a frame."""
    return f"{index:06}"


def find_scene_folders(paths: Iterable[str | Path]) -> list[SceneFolder]:
    """Scene folders among ``paths`` and directly inside them, by name within each; unfinished ones are left out.

    Raises:
        InputError: a path does not exist or has no finished scene, a scene is damaged, or one is named twice.
    """
    found: dict[Path, SceneFolder] = {}
    for path in map(Path, paths):
        if not path.is_dir():
            raise InputError(f"{path} is {'a file' if path.exists() else 'not there'}, expected a folder of scenes")
        folders = [path] if (path / SCENE_JSON).is_file() else sorted(path.iterdir())
        scenes = [folder for folder in folders if (folder / SCENE_JSON).is_file()]
        if not scenes:
            raise InputError(f"{path} holds no finished scene: no {SCENE_JSON} in it or in the folders in it")
        for folder in scenes:
            if folder.resolve() in found:
                raise InputError(f"{folder} is given more than once")
            found[folder.resolve()] = SceneFolder.open(folder)
    return list(found.values())
