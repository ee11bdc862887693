"""Writing scene folders: frame by frame, restartable, and complete only when scene.json is there."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import Float64, Int32

from seg3d_core.data.atomic import atomic_path
from seg3d_core.data.folder_sequences import open_plain
from seg3d_core.data.recorded_sequence import RecordedSequence
from seg3d_core.data.scenes.cloud import SceneCloud, write_scene_cloud
from seg3d_core.data.scenes.description import SCENE_JSON, SceneDescription, make_manifest
from seg3d_core.data.scenes.folder import CLOUD_FILE, SceneFolder, frame_name
from seg3d_core.data.scenes.frame_files import write_colour, write_depth
from seg3d_core.data.scenes.id_images import TRUTH_NONE, write_id_image
from seg3d_core.data.scenes.journal import JOURNAL, Journal
from seg3d_core.errors import InputError
from seg3d_core.geometry.camera import Camera
from seg3d_core.types import RgbdFrame

FRAME_FOLDERS = ("color", "depth", "pose", "instance", "part")


class SceneWriter:
    """A scene in the making; a context manager.

    Every file appears complete or not at all. After an interruption (a kill, a full disk) the same call goes on: frames
    that a journal knows are not made again. One process at a time writes a scene.

    Args:
        path: folder to make.
        identity: what the scene is made of and how; a scene begun with another identity is not gone on with.

    Raises:
        InputError: the scene is finished, was begun otherwise, is being written by another process, the folder holds
            other files, or cannot be made.
    """

    def __init__(self, path: str | Path, identity: dict[str, Any]) -> None:
        self.path = Path(path)
        if (self.path / SCENE_JSON).exists():
            raise InputError(f"{self.path} is a finished scene; delete the folder to make it anew")
        _refuse_foreign(self.path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make {self.path}: {error.strerror or error}") from error
        self._journal = Journal(self.path / JOURNAL, identity)
        self._camera: Camera | None = None

    def __enter__(self) -> SceneWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let other processes write; a second call does nothing."""
        self._journal.close()

    @property
    def handled(self) -> frozenset[str]:
        """Names of the frames that were added or skipped, before an interruption too."""
        return frozenset(entry.frame for entry in self._journal.entries)

    @property
    def frame_count(self) -> int:
        """Frames in the scene so far."""
        return sum(entry.index is not None for entry in self._journal.entries)

    def add(
        self,
        source: str,
        frame: RgbdFrame,
        colour: bytes | None = None,
        instance_ids: Int32[np.ndarray, "H W"] | None = None,
        part_ids: Int32[np.ndarray, "H W"] | None = None,
    ) -> int:
        """Add a frame behind those that are there; its number.

        Args:
            source: its name in the recording, distinct within the scene.
            frame: with colour and pose; depth is rounded to 1 mm.
            colour: the colour image as a JPEG or PNG file, kept as it is; None: a JPEG is made.
            instance_ids: true instances, positive, ``IGNORE`` for none; None where not known.
            part_ids: true parts, likewise.

        Raises:
            InputError: no colour or pose, another camera than the frames before, or the disk is full.
        """
        if frame.rgb is None or frame.T_world_camera is None:
            raise InputError(f"{source}: a frame of a scene needs {'a pose' if frame.rgb is not None else 'colour'}")
        self._use_camera(frame.camera, source)
        index = self.frame_count
        name = frame_name(index)
        for folder in FRAME_FOLDERS[:3]:
            self._make_folder(folder)
        write_colour(self.path / "color" / name, frame.rgb, colour)
        write_depth(self.path / "depth" / f"{name}.png", frame.depth_m)
        for folder, ids in zip(FRAME_FOLDERS[3:], (instance_ids, part_ids), strict=True):
            if ids is not None:
                self._make_folder(folder)
                write_id_image(self.path / folder / f"{name}.png", ids, TRUTH_NONE)
        self._write_text(f"pose/{name}.txt", matrix_text(frame.T_world_camera))
        self._journal.add(source, index, frame.stamp_ns)
        return index

    def skip(self, source: str, reason: str) -> None:
        """Note that a frame of the recording is left out, and why.

        Raises:
            InputError: the disk is full.
        """
        self._journal.skip(source, reason)

    def sequence(self) -> RecordedSequence:
        """The frames so far, as they will be read: depth in millimetres, colour in 8 bits.

        Raises:
            InputError: there is none.
        """
        self._check_frames()
        self._write_frame_list()
        return open_plain(self.path)

    def finish(self, cloud: SceneCloud, up: Float64[np.ndarray, "3"], **about: Any) -> SceneFolder:
        """Write the cloud, the manifest, and last of all scene.json.

        Args:
            cloud: of the whole scene.
            up: unit vector against gravity.
            about: the other fields of ``SceneDescription`` that the writer does not know: name, source, layout, ...

        Raises:
            InputError: there is no frame, or the disk is full; what is there stays and can be gone on with.
        """
        self._check_frames()
        self._write_frame_list()
        self._write_text("gravity_direction.txt", " ".join(repr(float(-value)) for value in up) + "\n")
        write_scene_cloud(self.path / CLOUD_FILE, cloud)
        files = [file for folder in FRAME_FOLDERS for file in (self.path / folder).glob("[!.]*")]
        files += [self.path / name for name in (CLOUD_FILE, "intrinsics.txt", "frames.txt", "gravity_direction.txt")]
        description = self._description(
            {**about, "up": tuple(float(value) for value in up), "manifest": make_manifest(self.path, files)}
        )
        description.write(self.path)
        self._journal.remove()
        return SceneFolder(self.path, description)

    def _description(self, about: dict[str, Any]) -> SceneDescription:
        entries = self._journal.entries
        skipped = [{"frame": entry.frame, "reason": entry.reason} for entry in entries if entry.index is None]
        return SceneDescription.build({"frames": self.frame_count, "skipped": skipped, **about})

    def _check_frames(self) -> None:
        if self.frame_count == 0:
            reasons = [f"{entry.frame}: {entry.reason}" for entry in self._journal.entries]
            words = f"; {len(reasons)} are skipped, the first is {reasons[0]}" if reasons else ""
            raise InputError(f"{self.path}: no frame of the recording can be used{words}")

    def _use_camera(self, camera: Camera, source: str) -> None:
        if self._camera is None:
            if camera.is_distorted:
                raise InputError(f"{source}: lens distortion must be undone before a frame goes into a scene")
            self._write_text("intrinsics.txt", matrix_text(camera.K))
            self._camera = camera
        elif camera.identity != self._camera.identity:
            width, height = self._camera.width, self._camera.height
            raise InputError(
                f"{source}: {camera.width}x{camera.height} px, fx = {camera.K[0, 0]:g} px; the scene's camera has "
                f"{width}x{height} px, fx = {self._camera.K[0, 0]:g} px"
            )

    def _write_frame_list(self) -> None:
        rows = [
            f"{frame_name(entry.index)} {entry.frame.replace(' ', '_')} {_seconds(entry.stamp_ns)}"
            for entry in self._journal.entries
            if entry.index is not None
        ]
        self._write_text("frames.txt", "# frame, name in the recording, time in s\n" + "\n".join(rows) + "\n")

    def _make_folder(self, name: str) -> None:
        try:
            (self.path / name).mkdir(exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make {self.path / name}: {error.strerror or error}") from error

    def _write_text(self, name: str, text: str) -> None:
        with atomic_path(self.path / name) as temporary:
            temporary.write_text(text, encoding="utf-8")


def matrix_text(matrix: Float64[np.ndarray, "R C"]) -> str:
    """A matrix as text that reads back as the same numbers."""
    return "\n".join(" ".join(repr(float(value)) for value in row) for row in matrix) + "\n"


def _seconds(stamp_ns: int) -> str:
    sign = "-" if stamp_ns < 0 else ""
    return f"{sign}{abs(stamp_ns) // 10**9}.{abs(stamp_ns) % 10**9:09}"


def _refuse_foreign(path: Path) -> None:
    """A folder that is not empty must be an unfinished scene."""
    try:
        inside = sorted(entry.name for entry in path.iterdir()) if path.is_dir() else []
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    if inside and JOURNAL not in inside:
        raise InputError(f"{path} is not empty and no unfinished scene: it holds {inside[0]}")
