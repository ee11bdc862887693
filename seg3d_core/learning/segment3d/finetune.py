"""Training goes on from a checkpoint on a few corrected scenes, and is refused where it forgets what it knew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seg3d_core.data.scenes import find_scene_folders
from seg3d_core.errors import CheckpointError
from seg3d_core.learning.segment3d import recipe
from seg3d_core.learning.segment3d.settings import Segment3DTrainingConfig
from seg3d_core.learning.segment3d.sources import cloud_source
from seg3d_core.learning.segment3d.validation import Score, Validation
from seg3d_core.segment3d.checkpoint import load_network
from seg3d_core.segment3d.saving import card_of, read_card, save_network
from seg3d_core.segment3d_config import SEGMENT3D_PRESETS, Segment3DConfig

DEFAULTS = (
    "stage=2",
    "steps=300",
    "weight_decay=0.02",
    "clip=1.0",
    "average=0.99",
    "schedule.learning_rate=0.0002",
    "schedule.decoder_factor=0.2",
    "schedule.warm_up=0.1",
    "schedule.end_factor=100",
    "data.kind=scenes",
    "data.targets=instance",
    "data.max_voxels=16000",
    "data.fewest_voxels=12",
    "data.batch=1",
    "data.workers=1",
    "loss.place_weight=1.0",
    "validation.every=100",
    "validation.targets=instance",
    "validation.fewest_voxels=20",
)
"""Settings, as --set takes them, that suit some hundred steps from good weights; a tenth of the rate they came from."""


@dataclass(frozen=True)
class Finetuned:
    """What came out.

    Attributes:
        weights: the file.
        before, after: on the scenes that are never learned from.
        forgot: whether average precision fell by more than is tolerated; the file then has another name.
    """

    weights: Path
    before: Score
    after: Score
    forgot: bool


def settings_of_checkpoint(path: Path) -> list[str]:
    """Settings, as --set takes them, that the card of a checkpoint decides.

    Raises:
        CheckpointError: it cannot be read, has no card, or has the shape of no preset.
    """
    card = read_card(path)
    if card is None:
        raise CheckpointError(f"{path} has no card that says its voxels: seg3d convert segment3d writes one")
    return [
        f"start_from={path}",
        f"preset={_preset_of(card.network, path)}",
        f"num_queries={card.network.num_queries}",
        f"data.voxel_size_m={card.voxel_size_m}",
        f"data.superpoints={str(card.superpoints).lower()}",
    ]


def finetune(config: Segment3DTrainingConfig, folder: Path, tolerance: float) -> Finetuned | None:
    """Train as ``config`` says, and compare with the weights it starts from; None where it was interrupted.

    Weights that forgot nothing are ``finetuned.safetensors``, others ``forgot.safetensors``.

    Args:
        config: with ``start_from``; ``held_out`` decides.
        folder: of the training.
        tolerance: average precision (0..1) may fall by this.

    Raises:
        As ``recipe.train``.
    """
    validation = _validation(config)
    before = validation.score(load_network(config.start_from))
    if not recipe.train(config, folder):
        return None
    last = folder / "last.safetensors"
    network = load_network(last)
    after = validation.score(network)
    forgot = after.ap < before.ap - tolerance
    names = {False: "finetuned.safetensors", True: "forgot.safetensors"}
    for name in names.values():  # of an earlier end of the same training
        (folder / name).unlink(missing_ok=True)
    weights = folder / names[forgot]
    save_network(weights, network, card_of(network, last))
    return Finetuned(weights, before, after, forgot)


def format_comparison(done: Finetuned, scenes: Sequence[str]) -> str:
    """For people: a table, and what to think of it."""
    rows = [f"| {name} | {was:.3f} | {done.after.columns()[name]:.3f} |" for name, was in done.before.columns().items()]
    table = [f"on {', '.join(scenes)}, which is never learned from:", "| | before | after |", "|---|---|---|", *rows]
    verdict = "it forgot: the weights are kept as" if done.forgot else "the weights are"
    return "\n".join([*table, f"{verdict} {done.weights}"])


def _validation(config: Segment3DTrainingConfig) -> Validation:
    targets = {"targets": config.validation.targets or config.data.targets}
    data = config.data.model_copy(update=targets).without_rehearsal()
    return Validation(config.validation, data, cloud_source(find_scene_folders(config.held_out), data))


def _preset_of(network: Segment3DConfig, path: Path) -> str:
    for name, preset in SEGMENT3D_PRESETS.items():
        if preset.model_copy(update={"num_queries": network.num_queries}) == network:
            return name
    raise CheckpointError(f"{path} has the shape of none of {', '.join(SEGMENT3D_PRESETS)}: it cannot be trained on")
