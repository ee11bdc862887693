"""What an importer turns into a scene: frames of a recording, whatever its layout was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64
from PIL import Image

from seg3d_core.data.recorded_sequence import RecordedSequence
from seg3d_core.data.scenes.cloud import SceneCloud
from seg3d_core.errors import InputError
from seg3d_core.types import RgbdFrame

UpFrom = Literal["data", "convention", "option", "estimated"]
"""How it is known which way is up: the recording says so, its layout's rule, the user says so, or from what is seen."""

Z_UP = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True, eq=False)
class RecordedFrame:
    """A frame as it goes into a scene.

    Attributes:
        frame: colour, depth registered to it, pinhole camera, pose.
        colour: the colour image as the recording's file, where it is of the frame's size; None where it was resized.
    """

    frame: RgbdFrame
    colour: bytes | None = None


@runtime_checkable
class Recording(Protocol):
    """Posed RGB-D frames in the order of time, with everything that a scene wants to know of where they come from."""

    @property
    def name(self) -> str:
        """Of the scene."""
        ...

    @property
    def layout(self) -> str:
        """Of the files, in one word."""
        ...

    @property
    def frames(self) -> tuple[str, ...]:
        """Names of the frames that have a pose; distinct."""
        ...

    @property
    def left_out(self) -> tuple[tuple[str, str], ...]:
        """Name and reason of frames that cannot be used, as far as that is known without reading images."""
        ...

    @property
    def up(self) -> Float64[np.ndarray, "3"] | None:
        """Unit vector against gravity in the world frame; None where only the frames can tell."""
        ...

    @property
    def up_from(self) -> UpFrom:
        """How ``up`` is known."""
        ...

    def depth_frame(self, index: int) -> RgbdFrame:
        """Depth and pose of a frame; the colour may be missing. InputError: it cannot be used."""
        ...

    def read(self, index: int) -> RecordedFrame:
        """The whole frame. InputError: it cannot be used."""
        ...

    def scan(self) -> SceneCloud | None:
        """The cloud that came with the recording, in its world frame; None where it has to be fused."""
        ...


class SequenceRecording:
    """A folder that ``open_sequence`` reads, as a recording.

    Args:
        sequence: the frames.
        up: against gravity; None to estimate it.
        up_from: how ``up`` is known.
        scan: reads the cloud that came with the frames, where there is one.
    """

    def __init__(
        self,
        sequence: RecordedSequence,
        up: Float64[np.ndarray, "3"] | None,
        up_from: UpFrom,
        scan: Callable[[], SceneCloud | None] = lambda: None,
    ) -> None:
        self._sequence, self._scan = sequence, scan
        self.name = sequence.path.resolve().name
        self.layout = sequence.layout
        self.frames = tuple(file.depth.stem for file in sequence.frames)
        self.left_out = sequence.left_out
        self.up, self.up_from = up, up_from

    def depth_frame(self, index: int) -> RgbdFrame:
        """Depth and pose of a frame."""
        return self._sequence.depth_frame(index)

    def read(self, index: int) -> RecordedFrame:
        """The whole frame."""
        frame = self._sequence[index]
        is_same_size = self._sequence.colour_size == (frame.camera.width, frame.camera.height)
        return RecordedFrame(frame, encoded(self._sequence.frames[index].colour) if is_same_size else None)

    def scan(self) -> SceneCloud | None:
        """What came with the frames."""
        return self._scan()


def encoded(path: Path) -> bytes | None:
    """A colour image's file, if it is a JPEG or PNG of three channels and 8 bits, which a scene can hold as it is.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with Image.open(path) as image:
            keeps = image.format in ("JPEG", "PNG") and image.mode == "RGB"
        return path.read_bytes() if keeps else None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
