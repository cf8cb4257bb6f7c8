"""The command line run inside this process: its exit status and what it printed."""

import io
import json
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

from server.cli.program import run

MASTER_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


@dataclass(frozen=True)
class Done:
    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        assert self.status == 0, self.err
        return json.loads(self.out)


class CommandLine:
    """``getaway`` in one environment, of which nothing comes from the machine's."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = dict(environ)

    def __call__(self, *arguments: str, **variables: str) -> Done:
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
            status = run(arguments, self.environ | variables)
        return Done(status, out.getvalue(), err.getvalue())

    def refusal(self, status: int, *arguments: str, **variables: str) -> str:
        """The one line that a refused command tells."""
        done = self(*arguments, **variables)
        assert (done.status, done.out) == (status, ""), done
        assert done.err.endswith("\n") and done.err.count("\n") == 1, done.err
        return done.err.rstrip("\n")


def on_database(database_url: str) -> CommandLine:
    return CommandLine({"GETAWAY_DATABASE_URL": database_url, "GETAWAY_MASTER_KEY": MASTER_KEY})
