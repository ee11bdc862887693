"""What every group of settings is: frozen, validated, with names that errors can tell."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from seg3d_core.errors import ConfigError

ConfigT = TypeVar("ConfigT", bound="Config")


class Config(BaseModel):
    """A frozen, validated group of settings; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _off_is_a_word(cls, values: Any) -> Any:
        """YAML reads off and on as booleans; where they are choices, they are meant as words."""
        if not isinstance(values, dict):
            return values
        fields = cls.model_fields
        return {
            name: _word(value, fields[name].annotation) if name in fields else value for name, value in values.items()
        }

    @classmethod
    def build(cls: type[ConfigT], values: dict[str, Any]) -> ConfigT:
        """Validate ``values`` (nested by group).

        Raises:
            ConfigError: unknown name (with the nearest known one), wrong type, or out of range; dotted names.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ConfigError("; ".join(_explain(cls, detail) for detail in error.errors())) from error

    @classmethod
    def from_yaml(cls: type[ConfigT], path: str | Path) -> ConfigT:
        """Read a YAML file of these settings.

        Raises:
            ConfigError: the file is missing, is not YAML, or holds settings that ``build`` refuses.
        """
        try:
            values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigError(f"cannot read settings from {path}: {error}") from error
        return cls.build(values or {})


def _word(value: Any, annotation: Any) -> Any:
    if not isinstance(value, bool) or get_origin(annotation) is not Literal:
        return value
    word = "on" if value else "off"
    return word if word in get_args(annotation) else value


def field_names(config: type[Config], prefix: str = "") -> list[str]:
    """Dotted names of all settings of a config class, groups expanded, in the order they are declared."""
    names: list[str] = []
    for name, field in config.model_fields.items():
        group = field.annotation
        if isinstance(group, type) and issubclass(group, Config):
            names += field_names(group, f"{prefix}{name}.")
        else:
            names.append(prefix + name)
    return names


def _explain(config: type[Config], detail: Any) -> str:
    name = ".".join(str(part) for part in detail["loc"])
    if not name:  # settings that contradict each other
        return str(detail["msg"]).removeprefix("Value error, ")
    if detail["type"] != "extra_forbidden":
        return f"{name} = {detail['input']!r}: {detail['msg']}"
    near = difflib.get_close_matches(name, field_names(config), n=1)
    return f"unknown setting {name}" + (f", did you mean {near[0]}?" if near else "")


FarthestPointTies = Literal["released", "lowest_index"]
"""Which of equally far voxels becomes a query: the one that the released sampler picks, or the first."""
