"""Training a Segment3D, from top to bottom: processes, scenes, network, steps, judging, keeping."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from lightning_fabric import Fabric

from seg3d_core.data.scenes import SceneFolder, find_scene_folders
from seg3d_core.errors import ConfigError
from seg3d_core.learning.progress import Interruption, StepProgress
from seg3d_core.learning.run_folder import read_state
from seg3d_core.learning.segment3d.loading import Share, load_samples
from seg3d_core.learning.segment3d.processes import any_process, joined_processes
from seg3d_core.learning.segment3d.run_folder import RunFolder
from seg3d_core.learning.segment3d.settings import Segment3DTrainingConfig
from seg3d_core.learning.segment3d.sources import cloud_source
from seg3d_core.learning.segment3d.trainer import Trainer
from seg3d_core.learning.segment3d.validation import Validation


def train(config: Segment3DTrainingConfig, folder: Path) -> bool:
    """Train until the last step, from where ``folder`` left off; whether it got there (else it was interrupted).

    Raises:
        ConfigError: the folder holds a training with other settings, or scenes do not have what is asked for.
        CheckpointError: what the folder holds is damaged, or ``start_from`` does not fit.
        DeviceError: the device is not there.
        InputError: a scene is not there, or too many of their clouds cannot be used.
    """
    scenes = _scenes("scenes", config.scenes)
    with joined_processes(config) as fabric:
        return _train(config, folder, scenes, fabric)


def _train(config: Segment3DTrainingConfig, folder: Path, scenes: Sequence[SceneFolder], fabric: Fabric) -> bool:
    # One process judges and keeps; the others only learn.
    keeper = _Keeper(config, folder) if fabric.is_global_zero else None

    trainer = Trainer(config, fabric)
    best = trainer.restore(read_state(folder))
    if keeper is not None:
        keeper.begin(trainer.step, best)
    share = Share(fabric.global_rank, fabric.world_size)
    with Interruption() as interruption:
        for step, samples in load_samples(config.data, scenes, trainer.step, config.steps, config.seed, share):
            losses = trainer.learn(samples)
            stops = any_process(fabric, interruption.asked) and step + 1 < config.steps
            if keeper is not None:
                keeper.after_step(trainer, losses.words(), stops)
            if stops:
                return False
    return True


class _Keeper:
    """What is done beside learning: progress, validation, log, checkpoints."""

    def __init__(self, config: Segment3DTrainingConfig, folder: Path) -> None:
        self._config, self._run = config, RunFolder(folder, config)
        data = config.data.model_copy(update={"targets": config.validation.targets or config.data.targets})
        data = data.without_rehearsal()
        held_out = cloud_source(_scenes("held_out", config.held_out), data)
        self._validation = Validation(config.validation, data, held_out)

    def begin(self, step: int, best: float) -> None:
        """The training goes on from ``step``; ``best`` is the best figure so far."""
        self._progress, self._best = StepProgress(sys.stderr, "steps", step), best

    def after_step(self, trainer: Trainer, words: str, stops: bool) -> None:
        """Judge and keep what is due; ``stops`` where somebody asked to stop."""
        config, done = self._config, trainer.step
        self._progress.tell(done, config.steps, words)
        if done == config.steps or done % config.validation.every == 0:
            self._judge(trainer)
        if done == config.steps or stops or done % config.save_every == 0:
            self._run.save(trainer.state(self._best))
        if done == config.steps:
            self._run.save_weights("last.safetensors", trainer.average)
        if stops:
            self._progress.say(f"interrupted after step {done}; the same command goes on from there")

    def _judge(self, trainer: Trainer) -> None:
        score = self._validation.score(trainer.average, self._run.pictures(trainer.step))
        self._run.log({"step": float(trainer.step), **trainer.recent(), **score.columns()})
        if score.figure > self._best:
            self._best = score.figure
            self._run.save_weights("best.safetensors", trainer.average)
        self._progress.say(", ".join(f"{name} {value:.3f}" for name, value in score.columns().items()))


def _scenes(setting: str, paths: Sequence[str]) -> list[SceneFolder]:
    if not paths:
        raise ConfigError(f"{setting} = (): name scene folders, or folders of them, for example {setting}=[rooms]")
    return find_scene_folders(paths)
