"""``getaway restored``: what a person runs after the database was restored, before bets are taken again."""

import getpass
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import click

from actors.facts.calls import bet_tx_id, refund_tx_id
from server.cli.context import config_option, environ_of, loaded_config
from server.cli.kinds import IDENTIFIER, Parsed
from server.cli.output import print_table, time_text
from server.cli.problems import EXIT_FAILED, EXIT_OK, EXIT_USAGE, CommandError
from server.config.currencies import format_minor

if TYPE_CHECKING:
    from server.books.restore import Cut, OpenRound
    from server.books.restoring import BookedEnd, Findings, LostBet
    from server.config.configuration import Config
    from server.db.driver.database import Connection, Database
    from server.secrets.vault import Vault

ROWS_MAX: Final = 1_000_000
"""Of an operator's list, which is held as a whole: a list of what may be lost is short."""
REFUND_TIMEOUT_MS: Final = 10_000

STATUSES: Final = """\b
Exit status: 0 done, or nothing to be done, 1 something could not be done yet (a refund was not acknowledged, a round is
being changed): run it again, 2 wrong usage or a bad file, 3 the database.
"""


def _moment(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("must be a time like 2026-07-31T12:00:00Z") from None
    if moment.tzinfo is None:
        raise ValueError("must name its time zone, as in 2026-07-31T12:00:00Z")
    return int(moment.astimezone(UTC).timestamp() * 1000)


MOMENT: Final = Parsed("time", _moment)


@dataclass(frozen=True, slots=True)
class Given:
    """What the command was asked for."""

    since_ms: int
    operator_id: UUID | None
    operator_file: Path | None
    by_whom: str
    does_it: bool
    stays_stopped: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was found and, if it was to be done, what could not be done yet: transaction ids, and why."""

    cut: "Cut"
    live_total: int
    live: "list[OpenRound]"
    findings: "Findings"
    refused: list[tuple[str, str]]


@click.command(epilog=STATUSES)
@click.option("--since", "since_ms", type=MOMENT, required=True, help="To when the database was restored.")
@click.option("--operator", "operator_id", type=IDENTIFIER, help="Whose list --operator-file is.")
@click.option(
    "--operator-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The operator's own transactions since then. Needs --operator.",
)
@click.option("--by", "by_whom", metavar="NAME", help="Who does it. Default: the user's name on this machine.")
@click.option("--yes", "does_it", is_flag=True, help="Do it. Without: only say what would be done.")
@click.option("--stay-stopped", "stays_stopped", is_flag=True, help="Refund, and leave bets stopped: more lists come.")
@config_option
@click.pass_context
def restored(context: click.Context, /, **options: Any) -> int:
    """See to what a restored database has forgotten, then let bets be taken again.

    Rounds that it has as live never fly on: one whose win or refund is in the operator's list ends as booked there, all
    others are ended by nodes, by their stored terms, or refunded. Bets in the list that it does not know are refunded
    (refund-<round id>, sent by this command). What can't be known is listed. The list is that of `getaway reconcile`;
    for a refund it needs session_id and operator_player_id besides.
    """
    given = Given(**options | {"by_whom": options["by_whom"] or getpass.getuser()})
    if (given.operator_file is None) != (given.operator_id is None):
        raise click.UsageError("--operator and --operator-file need each other.", context)
    outcome = _done(loaded_config(context), environ_of(context), given)
    _print(outcome, given)
    return EXIT_FAILED if outcome.refused else EXIT_OK


def _done(config: "Config", environ: Mapping[str, str], given: Given) -> Outcome:
    from server.books import restore
    from server.books.operator_files import OperatorFileError, read_batches
    from server.books.restoring import Findings
    from server.cli.stores import run_on_books

    rows = []
    try:
        if given.operator_file is not None:
            with closing(read_batches(given.operator_file)) as batches:
                for batch in batches:
                    rows += batch
                    if len(rows) > ROWS_MAX:
                        raise CommandError(f"the list has more than {ROWS_MAX} rows: only those since then", EXIT_USAGE)
    except OperatorFileError as error:
        raise CommandError(str(error), EXIT_USAGE) from None

    async def work(database: "Database", vault: "Vault") -> Outcome:
        async def look(connection: "Connection") -> "tuple[Cut, int, list[OpenRound], Findings]":
            total, live = await restore.live_rounds(connection)
            findings = Findings()
            if given.operator_id is not None:
                findings = await restore.compare(connection, vault, given.operator_id, rows, given.since_ms)
            return await restore.read_cut(connection), total, live, findings

        cut, total, live, findings = await database.in_snapshot(look)
        refused: list[tuple[str, str]] = []
        if given.does_it:
            if given.operator_id is not None:
                refused = await _end_as_booked(database, vault, findings)
                refused += await _refund(config, database, vault, given, findings.bets)
            if not given.stays_stopped and not refused:
                await database.in_transaction(
                    lambda connection: restore.begin_history(connection, given.by_whom, given.since_ms)
                )
        return Outcome(cut, total, live, findings, refused)

    return run_on_books(config, environ, work)


async def _end_as_booked(database: "Database", vault: "Vault", findings: "Findings") -> list[tuple[str, str]]:
    """End the live rounds that the operator has as ended, and park what contradicts its books, each by itself."""
    from server.books import restore

    todo = [(bet_tx_id(end.live.round_id), partial(restore.end_as_booked, end=end)) for end in findings.ends]
    todo += [
        (found.call.operator_tx_id, partial(restore.park_contradicted, found=found)) for found in findings.contradicted
    ]
    refused: list[tuple[str, str]] = []
    for tx_id, change in todo:
        try:
            await database.in_transaction(partial(change, vault=vault))
        except restore.NotFreeError as error:
            refused.append((tx_id, str(error)))
    return refused


async def _refund(
    config: "Config", database: "Database", vault: "Vault", given: Given, bets: "tuple[LostBet, ...]"
) -> list[tuple[str, str]]:
    """Note all, then send each: the same bytes however often. Those that were not acknowledged, and why."""
    from actors.kit.clock import ServerClock
    from actors.ports.wallet import Acknowledged
    from server.books import restore
    from server.db.stores.operators import PostgresOperatorStore
    from server.settings import gateway_settings
    from server.wallet.gateway import HttpWalletGateway

    operator_id = given.operator_id
    assert operator_id is not None, "a list is an operator's"
    operators = await PostgresOperatorStore(database, vault).load_operators()
    operator = next((each for each in operators if each.operator_id == operator_id), None)
    if operator is None:
        raise CommandError(f"there is no operator {operator_id}")
    bodies = [(bet, bet.refund_body) for bet in bets]
    await database.in_transaction(
        lambda connection: restore.note_bets(connection, vault.macs, operator_id, bodies, given.by_whom)
    )
    todo = await database.run(lambda connection: restore.unsent(connection, vault.macs, operator_id, bets))
    lost = {bet.round_id: bet for bet in bets}
    refused: list[tuple[str, str]] = []
    clock = ServerClock(time.time() * 1000)
    async with HttpWalletGateway(gateway_settings(config), clock) as gateway:
        for refund in todo:
            if refund.problem is not None:
                refused.append((refund_tx_id(refund.round_id), f"never sent: {refund.problem}"))
                continue
            call = lost[refund.round_id].refund(operator_id, refund.body, clock.now_ms())
            answer = await gateway.send(operator, call, REFUND_TIMEOUT_MS)
            error = None if isinstance(answer, Acknowledged) else answer.detail
            noted = restore.Told(operator_id, refund.round_id, answer.sends, error)
            await database.run(partial(restore.note_answer, noted=noted))
            if error is not None:
                refused.append((call.operator_tx_id, error))
    return refused


def _print(outcome: Outcome, given: Given) -> None:
    if outcome.cut.reason is None:
        click.echo("no node has found that the history was cut")
    else:
        click.echo(f"bets stopped at {time_text(outcome.cut.at_ms)} by {outcome.cut.by}: {outcome.cut.reason}")
    click.echo(f"\nlive rounds, which nodes end or refund: {outcome.live_total}")
    if outcome.live:
        rows = [(str(r.round_id), r.status, format_minor(r.amount_minor, r.currency)) for r in outcome.live]
        print_table(("round", "status", "stake"), rows)
    _print_ends(outcome)
    bets = outcome.findings.bets
    click.echo(f"\nbets that are refunded, because only the operator knows them: {len(bets)}")
    if bets:
        errors = dict(outcome.refused)
        done = "acknowledged" if given.does_it else "to be sent"
        rows = [
            (
                refund_tx_id(b.round_id),
                format_minor(b.amount_minor, b.currency),
                errors.get(refund_tx_id(b.round_id), done),
            )
            for b in bets
        ]
        print_table(("refund", "amount", "state"), rows)
    _print_unknown(outcome)
    click.echo()
    if not given.does_it:
        click.echo("nothing was done: add --yes")
    elif outcome.refused:
        click.echo("bets stay stopped until all of this is done: run this again")
    elif given.stays_stopped:
        click.echo("bets stay stopped, as asked")
    else:
        click.echo("a new history has begun: nodes register anew and take bets again")


def _print_ends(outcome: Outcome) -> None:
    """The rounds and calls that the command itself ends, because the operator has booked their ends."""
    findings, errors = outcome.findings, dict(outcome.refused)
    click.echo(f"\nlive rounds that end as the operator has booked them: {len(findings.ends)}")
    if findings.ends:
        rows = [
            (str(end.live.round_id), _end_text(end), errors.get(bet_tx_id(end.live.round_id), ""))
            for end in findings.ends
        ]
        print_table(("round", "end", "not done"), rows)
    click.echo(
        f"\ncalls that are not sent, because the operator has booked something else: {len(findings.contradicted)}"
    )
    if findings.contradicted:
        calls = [(each.call.operator_tx_id, each.why) for each in findings.contradicted]
        print_table(("transaction", "why", "not done"), [(*call, errors.get(call[0], "")) for call in calls])


def _end_text(end: "BookedEnd") -> str:
    if end.settlement is not None:
        return f"paid {format_minor(end.settlement.payout_minor, end.live.currency)}"
    return "refunded" if end.problem is None else "its refund is parked"


def _print_unknown(outcome: Outcome) -> None:
    parked = [
        (refund_tx_id(end.live.round_id), end.problem) for end in outcome.findings.ends if end.problem is not None
    ]
    rows = [("-", *each) for each in parked]
    rows += [("-", each.call.operator_tx_id, each.why) for each in outcome.findings.contradicted]
    rows += [(str(each.line or "-"), each.operator_tx_id, each.why) for each in outcome.findings.unknown]
    click.echo(f"\nfor a person to see to: {len(rows)}")
    if rows:
        print_table(("line", "transaction", "why"), rows)
