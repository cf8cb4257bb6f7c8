"""What the person at the command line chose, and how one row is run alone."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.bench.report import Line, progress, write_table
from tests.bench.yardsticks import YARDSTICKS, BenchError, Tools, open_tools

REPETITIONS = 3
Value = TypeVar("Value", int, float)


@dataclass(frozen=True, slots=True)
class Options:
    """``quick`` is a short form, which tells whether the machinery works rather than how good the server is."""

    quick: bool
    repetitions: int
    rounds: int | None = None

    def pick(self, usual: Value, quick: Value) -> Value:
        """One of two sizes."""
        return quick if self.quick else usual


Measure = Callable[[Tools, Options], Sequence[Line]]


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options that every row has."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--quick", action="store_true", help="a short form: shows that it works, not how good it is")
    made.add_argument("--repetitions", type=_at_least_one, help=f"of which medians are told (default {REPETITIONS})")
    made.add_argument("--rounds", type=_thousands, help="stored rounds of the row ten_million (default 10000000)")
    made.add_argument(
        "--yardsticks", type=Path, default=YARDSTICKS, help="the folder of tickload.c, floor.c, peer_ws.js"
    )
    made.add_argument("--table", type=Path, help="write the table into this file, between its markers")
    return made


def options_of(chosen: argparse.Namespace) -> Options:
    return Options(chosen.quick, chosen.repetitions or (1 if chosen.quick else REPETITIONS), chosen.rounds)


def measured(rows: Sequence[tuple[str, Measure]], chosen: argparse.Namespace) -> list[str]:
    """Run the rows one by one, each into the table as soon as it is there; the names of those that failed.

    A row that fails does not keep the others from being measured.
    """
    failed = []
    with open_tools(chosen.yardsticks) as tools:
        for name, measure in rows:
            try:
                lines = measure(tools, options_of(chosen))
            except (BenchError, AssertionError, OSError) as error:
                progress(f"{name} failed: {error}")
                failed.append(name)
                continue
            for line in lines:
                progress(f"{line.what}\n  goal: {line.goal}\n  measured: {line.measured}")
            if chosen.table:
                write_table(chosen.table, lines)
    return failed


def run_row(measure: Measure) -> None:
    """The program of one row."""
    module = sys.modules["__main__"]
    try:
        sys.exit(bool(measured([(Path(str(module.__file__)).stem, measure)], parser(module.__doc__).parse_args())))
    except BenchError as error:
        sys.exit(str(error))


def _at_least(text: str, least: int) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < least:
        raise argparse.ArgumentTypeError(f"{text!r} must be an integer of at least {least}")
    return number


def _at_least_one(text: str) -> int:
    return _at_least(text, 1)


def _thousands(text: str) -> int:
    return _at_least(text, 1_000)
