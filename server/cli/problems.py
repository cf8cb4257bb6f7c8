"""What goes wrong at the command line: exit statuses, and one line on standard error for each problem. The tree::

click.ClickException
├── click.UsageError       the command is written wrongly: exit status 2
└── CommandError           it is right but can't be done: its exit status says why
"""

import sys
import traceback
from pathlib import Path
from typing import Final

import click

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_DATABASE: Final = 3
EXIT_UNREACHABLE: Final = 3
"""The same for what a client needs: the server that it was pointed at."""
EXIT_NOTHING_CHECKED: Final = 4
"""A check found nothing wrong because it had nothing to check: that is no success."""
EXIT_INTERRUPTED: Final = 130

EXIT_STATUSES: Final = f"""\b
Exit status:
  {EXIT_OK}    done
  {EXIT_FAILED}    failed, or what was asked for does not exist
  {EXIT_USAGE}    wrong usage or configuration (a missing master key, too)
  {EXIT_DATABASE}    the database is not there, can't be reached, may forget or has another schema, or the target can't
  {EXIT_NOTHING_CHECKED}    a check had nothing to check: reconcile compared nothing, loadtest played nothing
  {EXIT_INTERRUPTED}  interrupted from the keyboard
"""


class CommandError(click.ClickException):
    """A command that can't be done; the message is one line for a person."""

    def __init__(self, message: str, status: int = EXIT_FAILED) -> None:
        super().__init__(message)
        self.status = status


def complain(error: Exception) -> None:
    """One line on standard error."""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        path = error.ctx.command_path
        line = f"{path}: {error.format_message()} (see {path} --help)"
    elif isinstance(error, click.ClickException):
        line = f"getaway: {error.format_message()}"
    else:
        line = f"getaway: {error}"
    click.echo(" ".join(line.split()), err=True)


def complain_unexpected(error: Exception) -> None:
    """One line about a defect: what and where, but not its text, which may hold anything."""
    frames = traceback.extract_tb(_leaf(error).__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    click.echo(f"getaway: unexpected {type(_leaf(error)).__name__}{where}; this is a defect", err=True)


def close_output() -> None:
    """Whoever read the output has gone: what is still in the buffer must not complain at exit."""
    try:
        sys.stdout.close()
    except BrokenPipeError:
        return


def _leaf(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
