"""Where training clouds come from: frames with 2-D masks, or fused scenes with masks or truth, of scene folders."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int32, UInt8

from seg3d_core.config import SUPERPOINTS
from seg3d_core.data.scenes import SceneCloud, SceneFolder
from seg3d_core.data.scenes.folder import frame_name
from seg3d_core.errors import ConfigError, InputError
from seg3d_core.geometry.superpoints import cloud_superpoints
from seg3d_core.geometry.upright import upright
from seg3d_core.learning.segment3d.data_settings import DataConfig
from seg3d_core.learning.segment3d.lifting import lift_frame
from seg3d_core.learning.segment3d.pseudo_files import read_pseudo_masks, scores
from seg3d_core.learning.segment3d.samples import LabelTargets, ProposalTargets, Targets, TrainingCloud
from seg3d_core.segment3d.voxel_input import COLOUR_STATISTICS
from seg3d_core.types import IGNORE, Cloud

TRUTH = ("instance", "part")
"""Targets that are not made but known."""


@runtime_checkable
class CloudSource(Protocol):
    """A numbered set of training clouds."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> TrainingCloud:
        """Cloud ``index``.

        Raises:
            InputError: it cannot be used.
        """
        ...


def cloud_source(scenes: Sequence[SceneFolder], config: DataConfig) -> CloudSource:
    """What ``config`` asks for, of ``scenes``.

    Raises:
        ConfigError: none of the scenes has it.
    """
    source: CloudSource = (FrameSource if config.kind == "frames" else SceneSource)(scenes, config)
    if not len(source):
        raise ConfigError(
            f"none of {len(scenes)} scenes has {config.kind} with masks called {config.targets!r}: make them with "
            f"seg3d label {config.kind}, or choose other targets"
        )
    if isinstance(source, SceneSource):
        source.check_confidence()
    return source


class FrameSource:
    """Every ``every``-th frame that has masks, scene by scene, each a cloud.

    Args:
        scenes: are looked through for masks once, now.
        config: which masks and frames.
    """

    def __init__(self, scenes: Sequence[SceneFolder], config: DataConfig) -> None:
        self._scenes, self._config = list(scenes), config
        self._frames = [
            (number, frame)
            for number, scene in enumerate(scenes)
            for frame in range(0, scene.frame_count, config.every)
            if _has_masks(scene, config.targets, frame)
        ]

    def __len__(self) -> int:
        return len(self._frames)

    def read(self, index: int) -> TrainingCloud:
        """A frame, lifted.

        Raises:
            InputError: its images are damaged, or do not belong together.
        """
        number, frame = self._frames[index]
        scene, config = self._scenes[number], self._config
        ids = _frame_ids(scene, config, frame)
        lifted = lift_frame(scene.frame(frame), ids, config.fewest_pixels, config.max_depth_m)
        targets = LabelTargets(lifted.instance_id)
        patches = cloud_superpoints(lifted.cloud, SUPERPOINTS) if config.superpoints else None
        return _training_cloud(scene, lifted.cloud, targets, f"{scene.name} frame {frame}", patches)


class SceneSource:
    """Every scene that has the masks, each a cloud.

    Args:
        scenes: are looked through for masks once, now.
        config: which masks.
    """

    def __init__(self, scenes: Sequence[SceneFolder], config: DataConfig) -> None:
        self._config = config
        self._scenes = [
            scene for scene in scenes if config.targets in TRUTH or scene.pseudo_path(config.targets).is_file()
        ]

    def __len__(self) -> int:
        return len(self._scenes)

    def read(self, index: int) -> TrainingCloud:
        """A fused cloud.

        Raises:
            InputError: its files are damaged or do not belong together, or its truth is not known.
        """
        scene = self._scenes[index]
        whole = scene.cloud()
        patches = whole.superpoints if self._config.superpoints else None
        return _training_cloud(scene, whole.cloud, self._targets(scene, whole), scene.name, patches)

    def check_confidence(self) -> None:
        """Refuse pseudo masks of which none is confident enough: nothing would be learned, for hours.

        Raises:
            ConfigError: they are.
        """
        config, best = self._config, 0.0
        if config.targets in TRUTH:
            return
        for scene in self._scenes:
            with suppress(InputError):  # said when the scene is read
                best = max(best, float(scores(scene.pseudo_path(config.targets)).max(initial=0)))
            if best > config.min_score:
                return
        raise ConfigError(
            f"no mask called {config.targets!r} of {len(self)} scenes has a confidence above {config.min_score:g} "
            f"(data.min_score), the best has {best:.3g}: lower it, or train the network that made them for longer"
        )

    def _targets(self, scene: SceneFolder, whole: SceneCloud) -> Targets:
        config = self._config
        if config.targets not in TRUTH:
            path = scene.pseudo_path(config.targets)
            return ProposalTargets(read_pseudo_masks(path, whole.cloud).best(config.min_score, config.max_masks))
        ids = whole.instance_id if config.targets == "instance" else whole.part_id
        if ids is None:
            raise InputError(f"{scene.path}: no true {config.targets} is known of its points")
        if not config.structure and whole.instance_id is not None:
            # Parts of floor and walls have ids of their own.
            ids = _without(ids, whole.instance_id, scene.structure_ids)
        return LabelTargets(ids)


class CachedSource:
    """Clouds of another source, those used last kept in memory.

    Args:
        source: reads what is not there.
        most_bytes: that are kept.
    """

    def __init__(self, source: CloudSource, most_bytes: int) -> None:
        self._source, self._most, self._used = source, most_bytes, 0
        self._kept: OrderedDict[int, TrainingCloud] = OrderedDict()

    def __len__(self) -> int:
        return len(self._source)

    def read(self, index: int) -> TrainingCloud:
        """Cloud ``index``.

        Raises:
            InputError: it cannot be used.
        """
        cloud = self._kept.get(index)
        if cloud is not None:
            self._kept.move_to_end(index)
            return cloud
        cloud = self._source.read(index)
        if cloud.nbytes <= self._most:
            self._kept[index] = cloud
            self._used += cloud.nbytes
        while self._used > self._most:
            _, oldest = self._kept.popitem(last=False)
            self._used -= oldest.nbytes
        return cloud


def _has_masks(scene: SceneFolder, targets: str, frame: int) -> bool:
    if targets in TRUTH:
        return (scene.path / targets / f"{frame_name(frame)}.png").is_file()
    return scene.mask_path(targets, frame).is_file()


def _frame_ids(scene: SceneFolder, config: DataConfig, frame: int) -> Int32[np.ndarray, "H W"]:
    if config.targets not in TRUTH:
        ids = scene.mask_ids(config.targets, frame)
    else:
        ids = scene.true_ids(frame, "instance" if config.targets == "instance" else "part")
    if ids is None:
        raise InputError(f"{scene.path}: the masks {config.targets} of frame {frame} are gone")
    owners = None if config.structure else scene.true_ids(frame, "instance")
    return ids if owners is None else _without(ids, owners, scene.structure_ids)


def _without(
    ids: Int32[np.ndarray, "..."], owners: Int32[np.ndarray, "..."], structure: frozenset[int]
) -> Int32[np.ndarray, "..."]:
    """``ids`` where their owners are not ``structure``."""
    return np.where(np.isin(owners, list(structure)), np.int32(IGNORE), ids)


def _training_cloud(
    scene: SceneFolder, cloud: Cloud, targets: Targets, name: str, superpoints: Int32[np.ndarray, " N"] | None = None
) -> TrainingCloud:
    if not len(cloud):
        raise InputError(f"{name} has no points")
    return TrainingCloud(upright(cloud.points, scene.up), _in_bytes(cloud), targets, name, superpoints)


def _in_bytes(cloud: Cloud) -> UInt8[np.ndarray, "N 3"]:
    """Colours in 8 bits, which they had on disk; the mean colour where there are none."""
    if cloud.rgb is None:
        mean = np.rint(255 * np.array(COLOUR_STATISTICS["imagenet"][0])).astype(np.uint8)
        return np.broadcast_to(mean, (len(cloud), 3)).copy()
    rounded: UInt8[np.ndarray, "N 3"] = np.rint(np.clip(cloud.rgb, 0, 1) * 255).astype(np.uint8)
    return rounded
