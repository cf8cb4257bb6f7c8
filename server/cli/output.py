"""How commands print: JSON for programs, aligned text for people."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import click


def print_json(document: object) -> None:
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def print_fields(fields: Mapping[str, object], indent: str = "") -> None:
    width = max(map(len, fields), default=0)
    for name, value in fields.items():
        click.echo(f"{indent}{name:<{width}}  {value}".rstrip())


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]], indent: str = "") -> None:
    """Columns, aligned, under their names."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        click.echo(f"{indent}{'  '.join(cells)}".rstrip())


def time_text(unix_ms: int | None) -> str | None:
    """ISO 8601 in UTC with milliseconds."""
    if unix_ms is None:
        return None
    seconds, milliseconds = divmod(unix_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{milliseconds:03d}Z"


def multiplier_text(hundredths: int) -> str:
    """A multiplier for people: ``2.50x``."""
    return f"{hundredths // 100}.{hundredths % 100:02d}x"
