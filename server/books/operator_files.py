"""An operator's own list of transactions, as CSV or JSON lines, read in batches and never as a whole."""

import csv
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

from actors.facts.records import CallKind
from actors.rules.money import MINOR_MAX
from server.books.restoring import BookedCall
from server.http.errors import MalformedError
from server.http.strict_json import parse_object

FIELDS: Final = ("operator_tx_id", "kind", "amount_minor", "currency")
OPTIONAL: Final = ("session_id", "operator_player_id")
BATCH_ROWS: Final = 5_000
LINE_BYTES_MAX: Final = 65_536
ID_LENGTH_MAX: Final = 200
NAMED_LINES_MAX: Final = 10

_KINDS: Final = frozenset(kind.value for kind in CallKind)
_MARK: Final = b"\xef\xbb\xbf"


class OperatorFileError(Exception):
    """The file can't be used; the text says which lines are wrong, and why."""


class _BadLineError(Exception):
    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")


def read_batches(path: Path, file_format: str | None = None) -> Generator[list[BookedCall], None, None]:
    """The file's rows, at most ``BATCH_ROWS`` at a time; without a format, a file that begins with ``{`` is JSON lines.

    Raises ``OperatorFileError``: at the first line that can't be read at all, and in the end for all others that are
    wrong, the first of them by their numbers.
    """
    bad: list[str] = []
    bad_count = 0

    def note(error: _BadLineError) -> None:
        nonlocal bad_count
        bad_count += 1
        if bad_count <= NAMED_LINES_MAX:
            bad.append(str(error))

    try:
        with path.open("rb") as file:
            rows = _rows_of(file, file_format, note)
            while batch := list(islice(rows, BATCH_ROWS)):
                yield batch
    except _BadLineError as error:
        note(error)
    except OSError as error:
        raise OperatorFileError(f"{path}: {error.strerror or type(error).__name__}") from None
    if bad_count:
        more = f"; and {bad_count - len(bad)} more" if bad_count > len(bad) else ""
        raise OperatorFileError(f"{path}: {'; '.join(bad)}{more}")


def _rows_of(file: BinaryIO, file_format: str | None, note: Callable[[_BadLineError], None]) -> Iterator[BookedCall]:
    if file_format is None:
        head = file.read(LINE_BYTES_MAX).removeprefix(_MARK).lstrip()
        file.seek(0)
        file_format = "jsonl" if head.startswith(b"{") else "csv"
    records = _json_records(file, note) if file_format == "jsonl" else _csv_records(file, note)
    for line, record in records:
        try:
            yield _row(line, record)
        except _BadLineError as error:
            note(error)


def _lines(file: BinaryIO) -> Iterator[tuple[int, str]]:
    number = 0
    while raw := file.readline(LINE_BYTES_MAX + 1):
        number += 1
        if len(raw) > LINE_BYTES_MAX:
            raise _BadLineError(number, f"longer than {LINE_BYTES_MAX} bytes")
        try:
            yield number, (raw.removeprefix(_MARK) if number == 1 else raw).decode("utf-8")
        except UnicodeDecodeError:
            raise _BadLineError(number, "not UTF-8") from None


def _json_records(file: BinaryIO, note: Callable[[_BadLineError], None]) -> Iterator[tuple[int, dict[str, object]]]:
    for number, text in _lines(file):
        if text.isspace():
            continue
        try:
            yield number, parse_object(text.encode("utf-8"))
        except MalformedError:
            note(_BadLineError(number, "not one JSON object with unique keys"))


def _csv_records(file: BinaryIO, note: Callable[[_BadLineError], None]) -> Iterator[tuple[int, dict[str, object]]]:
    reader = csv.reader((text for _, text in _lines(file)), strict=True)
    names: list[str] | None = None
    try:
        for cells in filter(None, reader):
            if names is None:
                names = _header(reader.line_num, cells)
            elif len(cells) != len(names):
                note(_BadLineError(reader.line_num, f"{len(cells)} columns, but the header has {len(names)}"))
            else:
                record: dict[str, object] = dict(zip(names, cells, strict=True))
                yield reader.line_num, record | {"amount_minor": _amount(str(record["amount_minor"]))}
    except csv.Error as error:
        raise _BadLineError(reader.line_num, f"not CSV ({error})") from None
    if names is None:
        raise _BadLineError(1, f"the header is missing: {','.join(FIELDS)}")


def _header(line: int, cells: Iterable[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    wrong = [field for field in FIELDS if names.count(field) != 1]
    if wrong:
        raise _BadLineError(line, f"the header must have {', '.join(wrong)} once, among columns separated by commas")
    return names


def _amount(text: str) -> int:
    """A number that ``_row`` refuses if the text is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(MINOR_MAX)) else 0


def _row(line: int, record: dict[str, object]) -> BookedCall:
    missing = [field for field in FIELDS if record.get(field) in (None, "")]
    if missing:
        raise _BadLineError(line, f"{', '.join(missing)} missing")
    identity, kind, amount_minor, currency = (record[field] for field in FIELDS)
    if not isinstance(identity, str) or len(identity) > ID_LENGTH_MAX or not identity.isprintable():
        raise _BadLineError(line, f"operator_tx_id must have 1 to {ID_LENGTH_MAX} printable characters")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise _BadLineError(line, "kind must be bet, win or refund")
    if type(amount_minor) is not int or not 1 <= amount_minor <= MINOR_MAX:
        raise _BadLineError(line, f"amount_minor must be an integer from 1 to {MINOR_MAX}")
    if not isinstance(currency, str) or len(currency) != 3 or not (currency.isascii() and currency.isupper()):
        raise _BadLineError(line, "currency must be an ISO 4217 code: three capital letters")
    others = (str(record.get(field) or "") for field in OPTIONAL)
    return BookedCall(line, identity, kind, amount_minor, currency, *others)
