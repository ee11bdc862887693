"""Training a Point-SAM, from top to bottom: rooms, samples, network, optimiser, rounds of clicks, judging, keeping."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from seg3d_core.devices import choose_device
from seg3d_core.learning.point_sam.batches import load_batches
from seg3d_core.learning.point_sam.cache import fill_cache
from seg3d_core.learning.point_sam.run_folder import RunFolder
from seg3d_core.learning.point_sam.settings import PointSamTrainingConfig
from seg3d_core.learning.point_sam.trainer import Trainer
from seg3d_core.learning.point_sam.validation import Validation, held_out
from seg3d_core.learning.progress import Interruption, StepProgress


def train(config: PointSamTrainingConfig, folder: Path) -> bool:
    """Train until the last step, from where ``folder`` left off; whether it got there (else it was interrupted).

    Raises:
        ConfigError: the folder holds a training with other settings.
        CheckpointError: what the folder holds is damaged, or ``start_from`` does not fit.
        DeviceError: the device is not there.
    """
    run = RunFolder(folder, config)
    device = choose_device(config.device)
    if config.threads:
        torch.set_num_threads(config.threads)

    learned = range(config.sample.first_room, config.sample.first_room + config.sample.rooms)
    rooms_progress = StepProgress(sys.stderr, "rooms")
    fill_cache(run.rooms, [*held_out(config.validation), *learned], config.workers, rooms_progress.tell)
    validation = Validation(config.validation, run.rooms)

    trainer = Trainer(config, device)
    best = trainer.restore(run.restore())
    progress = StepProgress(sys.stderr, "steps", trainer.step)
    with Interruption() as interruption:
        for step, batch in load_batches(config, run.rooms, trainer.step):
            progress.tell(step + 1, config.steps, trainer.learn(batch).words())
            done = step + 1 == config.steps
            if done or (step + 1) % config.validation.every == 0:
                score = validation.score(trainer.average)
                run.log({"step": float(step + 1), **trainer.recent(), **score.columns()})
                if score.figure > best:
                    best = score.figure
                    run.save_weights("best.safetensors", trainer.average)
                progress.say(", ".join(f"{name} {value:.3f}" for name, value in score.columns().items()))
            if done or interruption.asked or (step + 1) % config.save_every == 0:
                run.save(trainer.state(best))
            if interruption.asked and not done:
                progress.say(f"interrupted after step {step + 1}; the same command goes on from there")
                return False
    run.save_weights("last.safetensors", trainer.average)
    return True
