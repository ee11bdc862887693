"""Settings on the command line: ``--config``, ``--set`` and ``--list-settings`` of any command with a config class."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from seg3d_core.errors import ConfigError


def add_settings(command: argparse.ArgumentParser, load: Callable[[], Any], example: str) -> None:
    """Give ``command`` the three options.

    Args:
        command: parser of the command.
        load: imports and returns the config class (a ``config.Config``).
        example: a setting as --set takes it, for the help.
    """
    command.add_argument("--config", metavar="YAML", help="file of settings; --set wins over it")
    command.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"one setting, for example {example}; may be repeated (--list-settings shows all)",
    )
    command.add_argument(
        "--list-settings", action=_ListSettings, load=load, help="show all settings with their defaults and end"
    )


def settings_of(options: argparse.Namespace, config_class: Any, extra: Sequence[str] = ()) -> Any:
    """The config that ``options`` ask for: defaults, then --config, then --set, then ``extra`` (NAME=VALUE each).

    Raises:
        ConfigError: the file cannot be read, a setting is malformed, or the config class refuses it.
    """
    config = config_class.from_yaml(options.config) if options.config else config_class.build({})
    values = config.model_dump()
    for setting in [*options.settings, *extra]:
        _set(values, setting)
    return config_class.build(values)


class _ListSettings(argparse.Action):
    """Prints every setting as --set takes it, with its explanation."""

    def __init__(self, option_strings: Sequence[str], dest: str, load: Callable[[], Any], **options: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, **options)
        self._load = load

    def __call__(self, parser: argparse.ArgumentParser, *unused: Any) -> None:
        for name, value, description in _listed(self._load().build({})):
            print(f"{f'{name}={value}':30} {description}")
        parser.exit()


def _listed(config: Any, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """Dotted name, value and description of every setting, groups expanded."""
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if hasattr(value, "model_dump"):
            yield from _listed(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value, field.description


def _set(values: dict[str, Any], setting: str) -> None:
    """Put ``group.name=value`` into the nested ``values``; the value is YAML, so that 3 is a number."""
    import yaml

    name, separator, text = setting.partition("=")
    *groups, last = name.strip().split(".")
    if not separator or not last:
        raise ConfigError(f"--set {setting!r}: expected NAME=VALUE, for example graph.k=0.05")
    for group in groups:
        values = values.setdefault(group, {})
        if not isinstance(values, dict):
            raise ConfigError(f"--set {setting!r}: {group} is a value, not a group of settings")
    try:
        values[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {setting!r}: the value is not YAML") from error
