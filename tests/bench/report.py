"""What a row of the benchmark tells, and the table that it is written to."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

BEGIN = "<!-- bench: begin -->"
END = "<!-- bench: end -->"
_HEAD = ("| what | goal | measured | met |", "| --- | --- | --- | --- |")
_MET = {True: "yes", False: "no", None: "-"}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table. ``met`` is ``None`` where there is no goal, or where it could not be measured."""

    what: str
    goal: str
    measured: str
    met: bool | None


def with_table(text: str, lines: Sequence[Line], *, keep: bool = True) -> str:
    """``text`` with ``lines`` in the table between its two markers; its other lines stay if told to ``keep`` them.

    Raises ``ValueError`` if ``text`` does not have both markers, in order and once.
    """
    head, begin, rest = text.partition(BEGIN)
    table, end, tail = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in tail or END in head:
        raise ValueError(f"the file of the table must have the lines {BEGIN} and {END}, once and in this order")
    rows = table.strip().splitlines()[len(_HEAD) :] if keep else []
    kept = {row.split(" | ", 1)[0].removeprefix("| "): row for row in rows}
    kept |= {_cell(line.what): _row(line) for line in lines}
    return head + "\n".join((BEGIN, *_HEAD, *kept.values(), END)) + tail


def _row(line: Line) -> str:
    return f"| {_cell(line.what)} | {_cell(line.goal)} | {_cell(line.measured)} | {_MET[line.met]} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "/")


def write_table(path: Path, lines: Sequence[Line], *, keep: bool = True) -> None:
    """Put ``lines`` into the table of the file, made if it is missing. Raises ``ValueError`` like ``with_table``."""
    text = path.read_text(encoding="utf-8") if path.exists() else f"# Performance\n\n{BEGIN}\n{END}\n"
    path.write_text(with_table(text, lines, keep=keep), encoding="utf-8")


def show(**figures: object) -> None:
    """One JSON line of figures, on standard output."""
    print(json.dumps(figures), flush=True)


def progress(text: str) -> None:
    """What is going on, on the error stream."""
    print(text, file=sys.stderr, flush=True)
