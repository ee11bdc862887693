"""What one command compares: models, with and without post-processing, at several values of some settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal

from seg3d_core.config import MODELS, PROPOSALS_MODEL
from seg3d_core.config_base import field_names
from seg3d_core.errors import ConfigError
from seg3d_core.evaluation_config import SAM3D_MODEL, EvaluationConfig

Postprocessing = Literal["with", "without", "both"]

_SWITCHES = {
    "segment3d": ("segment3d.postprocess=raw", "segment3d.postprocess=ranked"),
    SAM3D_MODEL: ("sam3d.smoothing=none", "sam3d.smoothing=ensemble"),
}
"""Settings without and with post-processing, by the group of settings that a model has."""


@dataclass(frozen=True)
class Sweep:
    """A setting and the values that it takes.

    Attributes:
        setting: dotted name.
        values: as ``--set`` takes them.
    """

    setting: str
    values: tuple[str, ...]

    @property
    def short(self) -> str:
        """The name without its group."""
        return self.setting.rpartition(".")[2]


@dataclass(frozen=True)
class Variant:
    """A model with its settings.

    Attributes:
        label: for people; tells it from the other variants.
        model: label of the model alone: variants of one model have it in common.
        settings: NAME=VALUE, in the order in which they apply.
        swept: value of each swept setting that the model has, by its dotted name.
    """

    label: str
    model: str
    settings: tuple[str, ...]
    swept: tuple[tuple[str, str], ...] = ()


def find_sweep(words: Sequence[str]) -> Sweep:
    """A setting (its name alone where one group has it only) and values, as words of a command line.

    Raises:
        ConfigError: no or several settings have that name, or there is no value.
    """
    name, *values = words
    known = field_names(EvaluationConfig)
    found = [name] if name in known else [full for full in known if full.endswith(f".{name}")]
    if len(found) != 1:
        told = f"is one of {', '.join(found)}" if found else "is no setting (--list-settings shows all)"
        raise ConfigError(f"--sweep {name}: {told}")
    if not values:
        raise ConfigError(f"--sweep {name}: no value, expected for example --sweep num_queries 50 100 200")
    return Sweep(found[0], tuple(dict.fromkeys(values)))


def make_variants(
    models: Sequence[str], sweeps: Sequence[Sweep] = (), postprocessing: Postprocessing | None = None
) -> list[Variant]:
    """All of them, model by model. What a model does not have does not multiply it.

    Without ``postprocessing`` it is done as the settings say.

    Raises:
        ConfigError: a model is given twice, or no model has a setting that is swept.
    """
    twice = [model for model, count in Counter(models).items() if count > 1]
    if twice:
        raise ConfigError(f"--models: {', '.join(twice)} given more than once")
    idle = [sweep.setting for sweep in sweeps if not any(_has(model, sweep.setting) for model in models)]
    if idle:
        raise ConfigError(f"--sweep {', '.join(idle)}: none of {', '.join(models)} has this setting")
    names = _labels(models)
    return [variant for model in models for variant in _variants_of(model, names[model], sweeps, postprocessing)]


def group_of(model: str) -> str:
    """The group of settings that a model has: "segment3d" of presets and files."""
    return model if model in ("graph", SAM3D_MODEL, PROPOSALS_MODEL) else "segment3d"


def _variants_of(
    model: str, label: str, sweeps: Sequence[Sweep], postprocessing: Postprocessing | None
) -> list[Variant]:
    own = [sweep for sweep in sweeps if _has(model, sweep.setting)]
    made = []
    for suffix, switch in _switches(model, postprocessing):
        for values in product(*(sweep.values for sweep in own)):
            swept = tuple((sweep.setting, value) for sweep, value in zip(own, values, strict=True))
            shown = [f"{sweep.short}={value}" for sweep, value in zip(own, values, strict=True)]
            settings = (f"model={model}", *switch, *(f"{name}={value}" for name, value in swept))
            made.append(Variant(" ".join([label + suffix, *shown]), label + suffix, settings, swept))
    return made


def _switches(model: str, postprocessing: Postprocessing | None) -> list[tuple[str, tuple[str, ...]]]:
    group = group_of(model)
    if postprocessing is None or group not in _SWITCHES:
        return [("", ())]
    without, with_it = _SWITCHES[group]
    both: list[tuple[str, tuple[str, ...]]] = [(" -post", (without,)), (" +post", (with_it,))]
    return {"without": both[:1], "with": both[1:], "both": both}[postprocessing]


def _has(model: str, setting: str) -> bool:
    return setting.startswith(f"{group_of(model)}.")


def _labels(models: Sequence[str]) -> dict[str, str]:
    """Names of models, and of files their stems where these differ."""
    stems = {model: model if model in MODELS or model == SAM3D_MODEL else Path(model).stem for model in models}
    counts = Counter(stems.values())
    return {model: stem if counts[stem] == 1 else model for model, stem in stems.items()}
