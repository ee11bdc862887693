"""Labelling in another process: only names go there and words come back, whatever carries them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seg3d_core.data.scenes import SceneFolder
from seg3d_core.labelling.jobs import FrameJob
from seg3d_core.labelling.labeller import FrameLabeller, Result, State
from seg3d_core.labelling.settings import LabelFramesConfig
from seg3d_core.labelling.sources import make_source


@dataclass(frozen=True)
class Order:
    """A frame to label.

    Attributes:
        scene: path of its folder.
        index: of the frame in it.
    """

    scene: str
    index: int

    @classmethod
    def of(cls, job: FrameJob) -> Order:
        """What another process must know of a job."""
        return cls(str(job.scene.path.resolve()), job.index)


@dataclass(frozen=True)
class Answer:
    """What became of it: see ``Result``."""

    state: State
    reason: str

    def about(self, job: FrameJob) -> Result:
        """As a result."""
        return Result(job, self.state, self.reason)


class RemoteLabeller:
    """Lives in the other process, with a source of its own; scenes are opened once.

    Raises:
        ConfigError, CheckpointError, DeviceError: the source cannot be made there.
    """

    def __init__(self, config: LabelFramesConfig, local_rank: int = 0) -> None:
        self._labeller = FrameLabeller(make_source(config, local_rank))
        self._mask_name = config.mask_name
        self._scenes: dict[str, SceneFolder] = {}

    def label(self, orders: Sequence[Order]) -> list[Answer]:
        """Label frames, all at once where the source can; an answer for each, in their order.

        Raises:
            InputError: a scene is not there, or masks cannot be written.
        """
        jobs = [FrameJob(self._scene(order.scene), order.index, self._mask_name) for order in orders]
        return [Answer(result.state, result.reason) for result in self._labeller.label(jobs)]

    def _scene(self, path: str) -> SceneFolder:
        if path not in self._scenes:
            self._scenes[path] = SceneFolder.open(path)
        return self._scenes[path]
