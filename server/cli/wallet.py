"""``getaway wallet``: wins and refunds that an operator has not acknowledged, for a person to see to."""

import getpass
from uuid import UUID

import click

from server.cli.context import config_option, environ_of, json_option, loaded_config
from server.cli.kinds import IDENTIFIER
from server.cli.output import print_json, print_table, time_text
from server.cli.problems import CommandError
from server.config.currencies import format_minor
from server.ports.outbox import Action, ActionRecord, ActionRefusedError, ActionRequest, OutboxCall

OVERDUE_MINUTES = 10

operator_option = click.option(
    "--operator", "operator_id", type=IDENTIFIER, metavar="ID", help="Only this operator's calls."
)
by_option = click.option(
    "--by", "by_whom", metavar="NAME", help="Who does it. Default: the user's name on this machine."
)
tx_argument = click.argument("operator_tx_id", metavar="TX")


@click.group("wallet")
@config_option
def wallet_group() -> None:
    """See to wins and refunds that an operator has not acknowledged."""


@wallet_group.command("list")
@operator_option
@click.option(
    "--overdue-minutes",
    type=click.IntRange(0, 1_000_000),
    default=OVERDUE_MINUTES,
    show_default=True,
    help="A pending call is listed when it is older than this.",
)
@json_option
@config_option
@click.pass_context
def list_outbox(context: click.Context, operator_id: UUID | None, overdue_minutes: int, as_json: bool) -> None:
    """List parked and overdue wins and refunds, the oldest first."""
    from server.cli.stores import run_on_wallet_actions

    overdue_ms = overdue_minutes * 60_000
    calls = run_on_wallet_actions(
        loaded_config(context), environ_of(context), lambda actions: actions.outbox(operator_id, overdue_ms)
    )
    if as_json:
        print_json([call_document(call) for call in calls])
    else:
        print_calls(calls)


@wallet_group.command()
@tx_argument
@operator_option
@by_option
@click.option("--reason", metavar="TEXT", help="Why, for the log.")
@json_option
@config_option
@click.pass_context
def retry(context: click.Context, /, as_json: bool, **options: str | UUID | None) -> None:
    """Have TX, a parked or pending win or refund, sent again now: the same id, the same bytes.

    A running server sends it within a second. Is it older than the retry period and fails again, it is parked again.
    """
    _act(context, Action.RETRY, as_json, options)


@wallet_group.command()
@tx_argument
@click.option("--reason", metavar="TEXT", required=True, help="How it was booked, for the log.")
@operator_option
@by_option
@json_option
@config_option
@click.pass_context
def resolve(context: click.Context, /, as_json: bool, **options: str | UUID | None) -> None:
    """Mark TX, a parked or pending win or refund, as acknowledged: the operator has booked it by other means.

    It is never sent again. Make sure first: the player's money depends on it.
    """
    _act(context, Action.RESOLVE, as_json, options)


@wallet_group.command()
@operator_option
@json_option
@config_option
@click.pass_context
def audit(context: click.Context, operator_id: UUID | None, as_json: bool) -> None:
    """List every retry and resolve there ever was. What this program did not record is marked; nothing goes by it."""
    from server.cli.stores import run_on_wallet_actions

    records = run_on_wallet_actions(
        loaded_config(context), environ_of(context), lambda actions: actions.actions(operator_id)
    )
    if as_json:
        print_json([_record_document(record) for record in records])
        return
    head = ("time (UTC)", "who", "did", "operator", "wallet call", "was", "is", "reason")
    print_table(head, [_record_row(record) for record in records])


def call_document(call: OutboxCall) -> dict[str, object]:
    return {
        "operator_id": str(call.operator_id),
        "operator_tx_id": call.operator_tx_id,
        "round_id": str(call.round_id),
        "kind": call.kind.value,
        "amount_minor": call.amount_minor,
        "currency": call.currency,
        "status": call.status.value,
        "attempts": call.attempts,
        "created_at": time_text(call.created_at_ms),
        "next_attempt_at": time_text(call.next_attempt_at_ms) if call.status.value == "pending" else None,
        "last_error": call.last_error,
        "problem": call.problem,
    }


def print_calls(calls: list[OutboxCall]) -> None:
    if not calls:
        click.echo("nothing is parked or overdue")
        return
    rows = [
        (
            time_text(call.created_at_ms) or "",
            str(call.operator_id),
            call.operator_tx_id,
            format_minor(call.amount_minor, call.currency),
            call.status.value,
            str(call.attempts),
            _unless_ours("call", call.problem) or call.last_error or "",
        )
        for call in calls
    ]
    print_table(("since (UTC)", "operator", "wallet call", "amount", "status", "attempts", "last error"), rows)


def _act(context: click.Context, action: Action, as_json: bool, options: dict[str, str | UUID | None]) -> None:
    from server.cli.stores import run_on_wallet_actions

    operator_id, reason = options["operator_id"], options["reason"]
    assert not isinstance(reason, UUID) and not isinstance(operator_id, str), "as their options are declared"
    request = ActionRequest(
        action=action,
        operator_tx_id=str(options["operator_tx_id"]),
        operator_id=operator_id,
        by_whom=_text("--by", str(options["by_whom"] or getpass.getuser())),
        reason=None if reason is None else _text("--reason", reason),
    )
    try:
        record = run_on_wallet_actions(
            loaded_config(context), environ_of(context), lambda actions: actions.act(request)
        )
    except ActionRefusedError as error:
        raise CommandError(str(error)) from None
    if as_json:
        print_json(_record_document(record))
    else:
        click.echo(f"{record.operator_tx_id} was {record.status_before.value} and is {record.status_after.value}")


def _text(option: str, text: str) -> str:
    if not text.strip() or not text.isprintable() or len(text) > 500:
        raise click.BadParameter("must have 1 to 500 printable characters", param_hint=option)
    return text.strip()


def _record_document(record: ActionRecord) -> dict[str, object]:
    return {
        "at": time_text(record.at_ms),
        "by": record.by_whom,
        "action": record.action.value,
        "operator_id": str(record.operator_id),
        "operator_tx_id": record.operator_tx_id,
        "status_before": record.status_before.value,
        "status_after": record.status_after.value,
        "reason": record.reason,
        "problem": record.problem,
    }


def _record_row(record: ActionRecord) -> tuple[str, ...]:
    return (
        time_text(record.at_ms) or "",
        record.by_whom,
        record.action.value,
        str(record.operator_id),
        record.operator_tx_id,
        record.status_before.value,
        record.status_after.value,
        _unless_ours("record", record.problem) or record.reason or "",
    )


def _unless_ours(what: str, problem: str | None) -> str | None:
    return None if problem is None else f"NO {what.upper()} OF OURS: {problem}"
