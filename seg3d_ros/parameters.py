"""A config class as ROS parameters: declared, described, ranged, validated, and checked for names nobody knows."""

from __future__ import annotations

import contextlib
import difflib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from seg3d_core.config import Config
from seg3d_core.errors import ConfigError

ConfigT = TypeVar("ConfigT", bound=Config)

FOREIGN = ("use_sim_time", "start_type_description_service", "qos_overrides.")
"""Parameters (or their first parts) that belong to rclpy."""


@dataclass(frozen=True)
class ParameterSpec:
    """One parameter of a config class; also what the documentation's tables are made of.

    Attributes:
        name: dotted.
        type: bool, int, float or str.
        low, high: range, None where unbounded; inclusive unless ``open_low`` / ``open_high``.
        choices: allowed values, empty where free.
        dynamic: may be changed while the node runs.
    """

    name: str
    type: type
    default: Any
    description: str
    low: float | None
    high: float | None
    open_low: bool
    open_high: bool
    choices: tuple[str, ...]
    dynamic: bool


def parameter_specs(config: type[Config], prefix: str = "", dynamic: bool = False) -> Iterator[ParameterSpec]:
    """All parameters of a config class in the order they are declared, groups expanded to dotted names."""
    for name, field in config.model_fields.items():
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        changeable = dynamic or bool(extra.get("dynamic"))
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Config):
            yield from parameter_specs(kind, f"{prefix}{name}.", changeable)
            continue
        choices = get_args(kind) if get_origin(kind) is Literal else ()
        low, high, open_low, open_high = _bounds(field.metadata)
        yield ParameterSpec(
            name=prefix + name,
            type=str if choices else kind,  # type: ignore[arg-type]
            default=field.default,
            description=field.description or "",
            low=low,
            high=high,
            open_low=open_low,
            open_high=open_high,
            choices=choices,
            dynamic=changeable,
        )


class Parameters(Generic[ConfigT]):
    """The parameters of one node and the config they stand for.

    Values are refused as a whole or not at all, so ``config`` is always valid and may be read from any thread.

    Args:
        node: declares the parameters on it.
        config_class: the schema.
        fixed: whether parameters that are not dynamic are in use, so that they cannot be changed now.
        changed: called with the new config after every change.
    """

    def __init__(
        self,
        node: Node,
        config_class: type[ConfigT],
        fixed: Callable[[], bool],
        changed: Callable[[ConfigT], None],
    ) -> None:
        self._class = config_class
        self._specs = {spec.name: spec for spec in parameter_specs(config_class)}
        self._fixed = fixed
        self._changed = changed
        self._error: ConfigError | None = None
        # rclpy keeps the values of the command line and of YAML files here until each is declared; nothing public
        # tells about those that never are.
        overrides = {name: parameter.value for name, parameter in node._parameter_overrides.items()}
        self._values = {name: spec.default for name, spec in self._specs.items()}
        try:
            self._values = self._validated(overrides)
        except ConfigError as error:
            self._error = error
            self._keep_good(overrides)
        for name, spec in self._specs.items():
            node.declare_parameter(name, self._values[name], _descriptor(spec), ignore_override=True)
        node.add_on_set_parameters_callback(self._on_set)

    @property
    def config(self) -> ConfigT:
        """The settings in force.

        Raises:
            ConfigError: the values given at start were refused; the node has to be started with better ones.
        """
        if self._error is not None:
            raise self._error
        return self._class.build(_nested(self._values))

    def _validated(self, changes: dict[str, Any]) -> dict[str, Any]:
        """All values with ``changes`` applied, of the declared types."""
        ours = {name: value for name, value in changes.items() if not name.startswith(FOREIGN)}
        unknown = [name for name in ours if name not in self._specs]
        if unknown:
            raise ConfigError("; ".join(self._unknown(name) for name in unknown))
        config = self._class.build(_nested({**self._values, **ours}))
        return {name: _look_up(config, name) for name in self._specs}

    def _keep_good(self, changes: dict[str, Any]) -> None:
        """Take over what is acceptable by itself: ``autostart`` counts even where something else is wrong."""
        for name, value in changes.items():
            with contextlib.suppress(ConfigError):
                self._values = self._validated({name: value})

    def _unknown(self, name: str) -> str:
        near = difflib.get_close_matches(name, self._specs, n=1)
        return f"unknown parameter {name}" + (f", did you mean {near[0]}?" if near else "")

    def _on_set(self, parameters: list[Parameter]) -> SetParametersResult:
        changes = {parameter.name: parameter.value for parameter in parameters if parameter.name in self._specs}
        if not changes:
            return SetParametersResult(successful=True)
        held = [name for name in changes if not self._specs[name].dynamic]
        if held and self._fixed():
            reason = f"{', '.join(held)} is read when the node is configured: clean up, set it, configure again"
            return SetParametersResult(successful=False, reason=reason)
        try:
            self._values = self._validated(changes)
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        if self._error is None:
            self._changed(self.config)
        return SetParametersResult(successful=True)


def _bounds(metadata: list[Any]) -> tuple[float | None, float | None, bool, bool]:
    low = high = None
    open_low = open_high = False
    for entry in metadata:
        if isinstance(entry, (Ge, Gt)):
            low, open_low = (entry.ge, False) if isinstance(entry, Ge) else (entry.gt, True)
        if isinstance(entry, (Le, Lt)):
            high, open_high = (entry.le, False) if isinstance(entry, Le) else (entry.lt, True)
    return low, high, open_low, open_high  # type: ignore[return-value]


def _descriptor(spec: ParameterSpec) -> ParameterDescriptor:
    constraints = [] if spec.dynamic else ["Read when the node is configured."]
    if spec.choices:
        constraints.append("One of: " + ", ".join(spec.choices) + ".")
    descriptor = ParameterDescriptor(description=spec.description, additional_constraints=" ".join(constraints))
    if spec.type is float and (spec.low, spec.high) != (None, None):
        # ROS ranges include their ends; an open end is refused by the config class.
        low = -math.inf if spec.low is None else float(spec.low)
        high = math.inf if spec.high is None else float(spec.high)
        descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high, step=0.0)]
    if spec.type is int and (spec.low, spec.high) != (None, None):
        low_end = -(2**63) if spec.low is None else int(spec.low) + spec.open_low
        high_end = 2**63 - 1 if spec.high is None else int(spec.high) - spec.open_high
        descriptor.integer_range = [IntegerRange(from_value=low_end, to_value=high_end, step=1)]
    return descriptor


def _nested(values: dict[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, value in values.items():
        *groups, leaf = name.split(".")
        branch = tree
        for group in groups:
            branch = branch.setdefault(group, {})
        branch[leaf] = value
    return tree


def _look_up(config: Config, name: str) -> Any:
    value: Any = config
    for part in name.split("."):
        value = getattr(value, part)
    return value
