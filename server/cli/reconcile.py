"""``getaway reconcile``: the books against themselves, and against what an operator has booked."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Any, Final
from uuid import UUID

import click

from server.cli.context import config_option, environ_of, json_option, loaded_config
from server.cli.kinds import IDENTIFIER, Parsed
from server.cli.output import print_table, time_text
from server.cli.problems import EXIT_FAILED, EXIT_NOTHING_CHECKED, EXIT_OK, EXIT_USAGE, CommandError
from server.config.currencies import format_minor

if TYPE_CHECKING:
    from server.books.comparison import Comparison, Difference
    from server.books.reconcile import CallList, CheckResult, Counts, OpenCall, Scope
    from server.config.configuration import Config
    from server.db.driver.database import Connection, Database
    from server.secrets.vault import Vault

SPOOL_BYTES_MAX: Final = 1_048_576
"""Differences beyond this wait in a temporary file for their turn to be printed."""

STATUSES: Final = """\b
Exit status: 0 everything is equal, 1 something differs, or there is no such operator,
2 wrong usage or a bad file, 3 the database, 4 there was nothing to compare.
Parked, overdue and unsettled calls, and bets that were declined after more than one sending, are listed, but are no
difference.
"""


def _day(text: str) -> date:
    try:
        day = datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise ValueError("must be a day like 2026-07-31") from None
    if not 1970 <= day.year < 9999:
        raise ValueError("must be a day from 1970-01-01 to 9998-12-31")
    return day


DAY: Final = Parsed("day", _day)


@dataclass(frozen=True, slots=True)
class Given:
    """What the command was asked for."""

    scope: "Scope"
    operator_file: Path | None
    file_format: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was found; the differences from the operator's file are in the spool."""

    counts: "Counts"
    checks: "list[CheckResult]"
    parked: "CallList"
    overdue: "CallList"
    repeated_refusals: "CallList"
    file_rows: int
    comparison: "Comparison | None"

    @property
    def file_differences(self) -> int:
        """How many differences are in the spool."""
        return 0 if self.comparison is None else sum(self.comparison.problems.values())

    @property
    def differs(self) -> bool:
        return self.file_differences + sum(check.total for check in self.checks) > 0

    @property
    def gap(self) -> str | None:
        """What had nothing to be compared with, so that nothing could differ; ``None`` if everything had."""
        if self.counts.rounds + self.counts.transactions == 0:
            return "there is no round and no transaction"
        if self.comparison is not None and self.comparison.matched == 0:
            return "no row of the operator's file is a transaction of ours"
        return None

    @property
    def is_equal(self) -> bool:
        """Whether something was compared, and nothing differs."""
        return not self.differs and self.gap is None

    @property
    def status(self) -> int:
        if self.differs:
            return EXIT_FAILED
        return EXIT_OK if self.gap is None else EXIT_NOTHING_CHECKED


@click.command(epilog=STATUSES)
@click.option("--operator", "operator_id", type=IDENTIFIER, help="Only this operator's books. Default: all.")
@click.option("--from", "first_day", type=DAY, help="Only rounds created on this UTC day or later.")
@click.option("--to", "last_day", type=DAY, help="Only rounds created on this UTC day or earlier.")
@click.option(
    "--operator-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The operator's own transactions, to be compared with ours. Needs --operator.",
)
@click.option(
    "--format", "file_format", type=click.Choice(["csv", "jsonl"]), help="The file's format. Default: by its content."
)
@json_option
@config_option
@click.pass_context
def reconcile(context: click.Context, /, *, as_json: bool, **options: Any) -> int:
    """Check that all money adds up: within the database, and against an operator's own list of transactions; and that
    every row was written by this server, for which it needs the master key.

    All is read from one snapshot, beside a running server. The file has operator_tx_id, kind (bet, win or refund),
    amount_minor and currency, as CSV with a header or as JSON lines; other fields are ignored.
    """
    given = _given(context, **options)
    with SpooledTemporaryFile(max_size=SPOOL_BYTES_MAX, mode="w+", encoding="utf-8") as spool:
        outcome = _found(loaded_config(context), environ_of(context), given, spool)
        spool.seek(0)
        if as_json:
            _print_json(outcome, spool)
        else:
            _print_text(outcome, spool)
    return outcome.status


def _given(
    context: click.Context,
    /,
    *,
    operator_id: UUID | None,
    first_day: date | None,
    last_day: date | None,
    operator_file: Path | None,
    file_format: str | None,
) -> Given:
    from server.books.reconcile import Scope

    if operator_file is not None and operator_id is None:
        raise click.UsageError("--operator-file needs --operator.", context)
    if operator_file is None and file_format is not None:
        raise click.UsageError("--format is that of --operator-file.", context)
    if first_day is not None and last_day is not None and first_day > last_day:
        raise click.UsageError("--from is later than --to.", context)
    return Given(Scope(operator_id, first_day, last_day), operator_file, file_format)


def _found(config: "Config", environ: Mapping[str, str], given: Given, spool: IO[str]) -> Outcome:
    from server.books import comparison, recompute, reconcile, written
    from server.books.operator_files import OperatorFileError, read_batches
    from server.cli.stores import run_on_books
    from server.db.stores.operators import PostgresOperatorStore

    scope, path, operator_id = given.scope, given.operator_file, given.scope.operator_id
    file_rows = 0

    async def load(connection: "Connection") -> None:
        nonlocal file_rows
        if operator_id is not None and not await reconcile.has_operator(connection, operator_id):
            raise CommandError(f"there is no operator {operator_id}")
        if path is not None:
            with closing(read_batches(path, given.file_format)) as batches:
                file_rows = await comparison.load_file(connection, batches)

    async def read(connection: "Connection", operators: PostgresOperatorStore, vault: "Vault") -> Outcome:
        now_ms = await reconcile.database_ms(connection)
        checks = await reconcile.check(connection, scope, now_ms)
        for check in (recompute.check_outcomes, recompute.check_bodies, recompute.check_revenue):
            checks.append(await check(connection, scope))
        checks += await written.check_written(connection, scope, operators, vault)
        compared = None
        if path is not None and operator_id is not None:
            compared = await comparison.compare(
                connection, operator_id, scope, vault.macs, lambda found: _keep(found, spool)
            )
        parked = await reconcile.parked_calls(connection, scope)
        return Outcome(
            await reconcile.counted(connection, scope),
            checks,
            parked,
            await reconcile.overdue_calls(connection, scope, now_ms),
            await reconcile.repeated_refusals(connection, scope),
            file_rows,
            compared,
        )

    async def work(database: "Database", vault: "Vault") -> Outcome:
        operators = PostgresOperatorStore(database, vault)
        return await database.in_snapshot(lambda connection: read(connection, operators, vault), before=load)

    try:
        return run_on_books(config, environ, work)
    except OperatorFileError as error:
        raise CommandError(str(error), EXIT_USAGE) from None


def _keep(difference: "Difference", spool: IO[str]) -> None:
    try:
        spool.write(json.dumps(asdict(difference), ensure_ascii=False) + "\n")
    except OSError as error:
        raise CommandError(f"the differences can't be kept: {error.strerror}") from None


def _print_json(outcome: Outcome, spool: IO[str]) -> None:
    """One document; its last member is written row by row, for there may be more of them than fit into memory."""
    compared = outcome.comparison
    document: dict[str, object] = {
        "equal": outcome.is_equal,
        "compared": asdict(outcome.counts),
        "checks": [_check_document(check) for check in outcome.checks],
        "parked": _calls_document(outcome.parked),
        "overdue": _calls_document(outcome.overdue),
        "repeated_refusals": _calls_document(outcome.repeated_refusals),
        "operator_file": None
        if compared is None
        else {
            "rows": outcome.file_rows,
            "matched": compared.matched,
            "problems": compared.problems,
            "unsettled": {"count": compared.unsettled_total, "shown": [asdict(call) for call in compared.unsettled]},
        },
    }
    click.echo(
        json.dumps(document, indent=2, ensure_ascii=False).removesuffix("\n}") + ',\n  "differences": [', nl=False
    )
    for place, line in enumerate(spool):
        click.echo(("," if place else "") + "\n    " + line.rstrip("\n"), nl=False)
    click.echo("\n  ]\n}")


def _check_document(check: "CheckResult") -> dict[str, object]:
    shown = [asdict(found) | {"operator_id": str(found.operator_id)} for found in check.shown]
    return {"check": check.check, "rule": check.rule, "differences": check.total, "shown": shown}


def _calls_document(calls: "CallList") -> dict[str, object]:
    shown = [
        asdict(call) | {"operator_id": str(call.operator_id), "created_at": time_text(call.created_at_ms)}
        for call in calls.shown
    ]
    for call in shown:
        del call["created_at_ms"]
    return {"count": calls.total, "shown": shown}


def _print_text(outcome: Outcome, spool: IO[str]) -> None:
    rows = [(check.check, str(check.total), check.rule) for check in outcome.checks]
    print_table(("check", "differences", "rule"), rows)
    for check in outcome.checks:
        _print_listed(check.check, check.total, [f"{f.operator_id}  {f.subject}  {f.detail}" for f in check.shown])
    _print_listed("parked calls", outcome.parked.total, list(_call_lines(outcome.parked.shown)))
    _print_listed("overdue calls", outcome.overdue.total, list(_call_lines(outcome.overdue.shown)))
    repeated = outcome.repeated_refusals
    _print_listed("bets declined after more than one sending", repeated.total, list(_call_lines(repeated.shown)))
    if outcome.comparison is not None:
        _print_comparison(outcome, outcome.comparison, spool)
    click.echo()
    counts = outcome.counts
    click.echo(f"compared: {counts.rounds} rounds, {counts.transactions} transactions")
    if outcome.differs:
        click.echo("something differs")
    else:
        click.echo("everything is equal" if outcome.gap is None else f"nothing was compared: {outcome.gap}")


def _print_comparison(outcome: Outcome, compared: "Comparison", spool: IO[str]) -> None:
    unsettled = [
        f"{call.operator_tx_id}  {format_minor(call.amount_minor, call.currency or '-')}  {call.status}, "
        f"{'listed' if call.is_listed else 'not listed'}"
        for call in compared.unsettled
    ]
    _print_listed("unsettled", compared.unsettled_total, unsettled)
    rows = f"{outcome.file_rows} rows, {compared.matched} of them ours"
    click.echo(f"\noperator's file: {rows}, {outcome.file_differences} differences")
    for line in spool:
        found = json.loads(line)
        where = f" (line {found['line']})" if found["line"] else ""
        click.echo(f"  {found['problem']}  {found['operator_tx_id']}{where}  {found['detail']}")


def _call_lines(calls: "tuple[OpenCall, ...]") -> Iterator[str]:
    for call in calls:
        error = f", last error: {call.last_error}" if call.last_error else ""
        yield (
            f"{call.operator_id}  {call.operator_tx_id}  {format_minor(call.amount_minor, call.currency or '-')}  "
            f"since {time_text(call.created_at_ms)}, attempts {call.attempts}{error}"
        )


def _print_listed(title: str, total: int, lines: list[str]) -> None:
    if total == 0:
        return
    click.echo(f"\n{title}: {total}")
    for line in lines:
        click.echo(f"  {line}")
    if total > len(lines):
        click.echo(f"  and {total - len(lines)} more")
