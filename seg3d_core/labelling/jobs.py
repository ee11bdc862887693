"""Frames that are to be labelled, and which of them are whose."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from seg3d_core.data.scenes import SceneFolder
from seg3d_core.errors import ConfigError
from seg3d_core.labelling.source import FrameToLabel


@dataclass(frozen=True, eq=False)
class FrameJob:
    """A frame whose masks are to be found.

    Attributes:
        scene: that it belongs to.
        index: of the frame in it.
        mask_name: folder below masks/ that its masks go to.
    """

    scene: SceneFolder
    index: int
    mask_name: str

    @property
    def name(self) -> str:
        """For people, and for whatever is drawn by chance: the same wherever the scene lies."""
        return f"{self.scene.name}/{self.index:06d}"

    @property
    def target(self) -> Path:
        """The file of its masks."""
        return self.scene.mask_path(self.mask_name, self.index)

    def read(self, with_truth: bool) -> FrameToLabel:
        """Its images.

        Raises:
            InputError: one is missing or damaged.
        """
        rgbd = self.scene.frame(self.index)
        if not with_truth:
            return FrameToLabel(self.name, rgbd)
        scene, index = self.scene, self.index
        return FrameToLabel(self.name, rgbd, scene.true_ids(index, "instance"), scene.true_ids(index, "part"))


def frame_jobs(scenes: Sequence[SceneFolder], mask_name: str, every: int) -> list[FrameJob]:
    """Every ``every``-th frame of each scene, in order."""
    return [FrameJob(scene, index, mask_name) for scene in scenes for index in range(0, scene.frame_count, every)]


@dataclass(frozen=True)
class Share:
    """Which of several processes this is.

    Attributes:
        rank: of this process, from 0.
        world: how many processes there are.
        local_rank: of this process among those of its machine: its CUDA device.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Share:
        """As torchrun tells it (RANK, WORLD_SIZE, LOCAL_RANK); alone without it.

        Raises:
            ConfigError: they are no numbers, or contradict each other.
        """
        names = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}
        said = {name: environment.get(name, default) for name, default in names.items()}
        if not all(value.isdecimal() for value in said.values()) or int(said["RANK"]) >= int(said["WORLD_SIZE"]):
            words = " ".join(f"{name}={value}" for name, value in said.items())
            raise ConfigError(f"{words} in the environment: expected 0 <= RANK < WORLD_SIZE and LOCAL_RANK >= 0")
        return cls(int(said["RANK"]), int(said["WORLD_SIZE"]), int(said["LOCAL_RANK"]))

    def of(self, jobs: Sequence[FrameJob]) -> list[FrameJob]:
        """Its part of the jobs: the same whatever is done already, so that processes may start one after another."""
        return list(jobs[self.rank :: self.world])
