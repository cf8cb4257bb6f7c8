"""What commands share of one invocation: the environment, and the configuration that ``--config`` names."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from server.config.configuration import Config
from server.config.loading import load_config

Command = TypeVar("Command", bound=Callable[..., Any])

_CONFIG_PATH: Final = "getaway.config_path"


def _remember(context: click.Context, _: click.Parameter, path: Path | None) -> None:
    if path is not None:
        context.meta[_CONFIG_PATH] = path


def config_option(command: Command) -> Command:
    """``--config FILE``, before or after the command's name."""
    return click.option(
        "--config",
        type=click.Path(path_type=Path),
        metavar="FILE",
        callback=_remember,
        expose_value=False,
        help="The configuration. Default: ./config.toml if there is one, else the built-in defaults.",
    )(command)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def environ_of(context: click.Context) -> Mapping[str, str]:
    environ: Mapping[str, str] = context.find_root().obj
    return environ


def remembered_config_path(context: click.Context) -> Path | None:
    path: Path | None = context.meta.get(_CONFIG_PATH)
    return path


def loaded_config(context: click.Context) -> Config:
    """The configuration as it is. Raises ``server.config.configuration.ConfigError``."""
    return load_config(remembered_config_path(context), environ_of(context))
