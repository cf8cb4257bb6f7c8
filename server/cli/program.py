"""The program ``getaway``: its commands, and how they end.

What a command needs beyond reading its options is imported when it runs, so that ``getaway verify`` and ``--help``
load neither the server nor a database.
"""

import logging
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import NoReturn

import click

from server.cli.context import config_option, environ_of, json_option, loaded_config, remembered_config_path
from server.cli.loadtest import loadtest
from server.cli.operators import operator
from server.cli.output import print_json
from server.cli.problems import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_STATUSES,
    EXIT_USAGE,
    CommandError,
    close_output,
    complain,
    complain_unexpected,
)
from server.cli.reconcile import reconcile
from server.cli.restored import restored
from server.cli.rounds import round_group
from server.cli.verify import verify
from server.cli.wallet import wallet_group
from server.config.configuration import ConfigError
from server.config.loading import foreign_variables, service_variables
from server.process.preparation import keep_to_itself

log = logging.getLogger("getaway.cli")


def main() -> NoReturn:
    keep_to_itself()
    sys.exit(run(sys.argv[1:], os.environ))


def run(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run one command; its exit status. Problems are told in one line on standard error, never as a traceback."""
    try:
        status = program.main(list(arguments), "getaway", standalone_mode=False, obj=environ)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return EXIT_USAGE
    except CommandError as error:
        complain(error)
        return error.status
    except click.ClickException as error:
        complain(error)
        return error.exit_code
    except ConfigError as error:
        complain(error)
        return EXIT_USAGE
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        close_output()
        return EXIT_FAILED
    except Exception as error:
        complain_unexpected(error)
        return EXIT_FAILED
    return status if isinstance(status, int) else EXIT_OK


def _version() -> str:
    try:
        return version("getaway")
    except PackageNotFoundError:
        return "not installed"


@click.group(epilog=EXIT_STATUSES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(_version(), prog_name="getaway")
@config_option
def program() -> None:
    """A remote gaming server for one provably fair crash game."""


@program.command()
@config_option
@click.pass_context
def serve(context: click.Context) -> int:
    """Run the game server until SIGTERM, SIGHUP or Ctrl-C; rounds that fly may land first."""
    environ = environ_of(context)
    config = loaded_config(context)
    from server.app import run as run_server
    from server.process.logs import configure_logs

    configure_logs(config.log.format, config.log.level, worker=None if config.server.workers == 1 else 0)
    for name in foreign_variables(environ):
        log.warning("a variable names no setting and is ignored", extra={"variable": name})
    links = service_variables(environ)
    if links:
        words = (
            "variables of a Kubernetes service are passed over: set enableServiceLinks to false, or rename the service"
        )
        log.warning(words, extra={"variables": links})
    return run_server(config, environ)


@program.command()
@config_option
@click.option(
    "--lobby-port", type=click.IntRange(1, 65_535), default=8090, show_default=True, help="The casino's port."
)
@click.pass_context
def demo(context: click.Context, lobby_port: int) -> int:
    """Run the server with a demo casino beside it, to be played in a browser."""
    loaded_config(context)  # a wrong one is refused as by every other command
    from server.sandbox.demo import run_demo

    return run_demo(remembered_config_path(context), environ_of(context), lobby_port=lobby_port)


@program.command()
@click.option(
    "--grant", "server_role", metavar="ROLE", help="Then give this role what a server needs, and no more. As the owner."
)
@json_option
@config_option
@click.pass_context
def migrate(context: click.Context, server_role: str | None, as_json: bool) -> None:
    """Make the database if there is none, and bring its schema up to date. `serve` and `demo` do so, too."""
    from server.cli.stores import migrate_database

    applied = migrate_database(loaded_config(context), server_role)
    if as_json:
        print_json({"applied": applied})
        return
    for name in applied:
        click.echo(f"applied {name}")
    if not applied:
        click.echo("the schema is up to date")


program.add_command(operator)
program.add_command(round_group)
program.add_command(reconcile)
program.add_command(verify)
program.add_command(loadtest)
program.add_command(wallet_group)
program.add_command(restored)
