"""scene.json: what a scene folder says about itself. It is written last, so a folder that has one is complete."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seg3d_core.data.atomic import atomic_path
from seg3d_core.errors import InputError

SCENE_JSON = "scene.json"
FORMAT = 1


class SkippedFrame(BaseModel):
    """A frame of the recording that is not in the scene.

    Attributes:
        frame: its name in the recording.
        reason: why, for people; empty folders of reasons do not exist.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    frame: str
    reason: str


class SceneDescription(BaseModel):
    """The contents of scene.json.

    Attributes:
        format: version of the scene folder format.
        name: of the scene.
        source: what it was made from: a path as given, or "room:SEED".
        layout: how the source was laid out: "plain", "scannet", "sens", ..., "synth".
        settings: with which settings it was made.
        up: unit vector against gravity in the world frame.
        up_from: how that is known: "data" (the source says so), "convention" (of the layout), "option" or "estimated".
        seed: of a synthetic room.
        frames: number of frames.
        structure_ids: instance ids of floor, walls and ceiling, where truth is known.
        instance_names: what each true instance is.
        part_owners: instance id of each true part.
        part_names: what each true part is.
        skipped: frames of the recording that were left out.
        notes: what a person should know, for example how many frames no other frame could be compared with.
        manifest: SHA-256 of every file that was written with the scene, by path relative to the folder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    name: str
    source: str
    layout: str
    settings: dict[str, Any] = Field(default_factory=dict)
    up: tuple[float, float, float] = (0.0, 0.0, 1.0)
    up_from: str = "convention"
    seed: int | None = None
    frames: int
    structure_ids: tuple[int, ...] = ()
    instance_names: dict[int, str] = Field(default_factory=dict)
    part_owners: dict[int, int] = Field(default_factory=dict)
    part_names: dict[int, str] = Field(default_factory=dict)
    skipped: tuple[SkippedFrame, ...] = ()
    notes: tuple[str, ...] = ()
    manifest: dict[str, str] = Field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> SceneDescription:
        """Of a scene folder.

        Raises:
            InputError: scene.json is missing, damaged, or of a newer format.
        """
        path = folder / SCENE_JSON
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise InputError(f"{folder} is not a (complete) scene folder: it has no {SCENE_JSON}") from error
        except (OSError, ValueError) as error:
            raise InputError(f"cannot read {path}: {error}") from error
        if isinstance(values, dict) and values.get("format", FORMAT) != FORMAT:
            raise InputError(f"{path}: format {values['format']}, this program reads format {FORMAT}")
        try:
            return cls.build(values)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error

    @classmethod
    def build(cls, values: dict[str, Any]) -> SceneDescription:
        """Validate values.

        Raises:
            InputError: one is missing, unknown, or of another type.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            raise InputError(f"{name or 'contents'}: {first['msg']}") from error

    def write(self, folder: Path) -> None:
        """Into a scene folder.

        Raises:
            InputError: the disk is full or the folder cannot be written.
        """
        with atomic_path(folder / SCENE_JSON) as temporary:
            temporary.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file.

    Raises:
        InputError: it cannot be read.
    """
    total = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                total.update(chunk)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    return total.hexdigest()


def make_manifest(folder: Path, files: Iterable[Path]) -> dict[str, str]:
    """SHA-256 of ``files`` by their path in ``folder``, sorted."""
    return {file.relative_to(folder).as_posix(): sha256_of(file) for file in sorted(files)}
