"""``getaway round show``: one round and its money, step by step."""

from dataclasses import dataclass
from uuid import UUID

import click

from actors.facts.records import CallKind, CallStatus
from actors.rules.money import multiplier_number
from server.cli.context import config_option, environ_of, json_option, loaded_config
from server.cli.kinds import IDENTIFIER
from server.cli.output import multiplier_text, print_fields, print_json, print_table, time_text
from server.cli.problems import EXIT_FAILED, EXIT_OK, CommandError
from server.config.currencies import format_minor
from server.ports.reports import CallReport, RoundReport

_SIGNS = {CallKind.BET: -1, CallKind.WIN: 1, CallKind.REFUND: 1}


@click.group("round")
@config_option
def round_group() -> None:
    """Look at rounds that were played."""


@round_group.command()
@click.argument("round_id", type=IDENTIFIER)
@json_option
@config_option
@click.pass_context
def show(context: click.Context, round_id: UUID, as_json: bool) -> int:
    """Show one round of any operator: its terms, its fairness and its money, step by step.

    Seeds and outcome are shown once the round has ended. What this server has not written as it stands is shown, too,
    as unverified, with exit status 1.
    """
    from server.cli.stores import run_on_reports

    report = run_on_reports(loaded_config(context), environ_of(context), lambda reports: reports.find_round(round_id))
    if report is None:
        raise CommandError(f"there is no round {round_id}")
    if as_json:
        print_json(report_document(report))
    else:
        _print(report)
    return EXIT_OK if report.is_ours else EXIT_FAILED


def report_document(report: RoundReport) -> dict[str, object]:
    """What operators read of the round, and beside it what only the house knows."""
    from server.http.round_answer import round_document

    document = round_document(report)
    del document["ok"]
    transactions = [
        {
            "operator_tx_id": call.operator_tx_id,
            "kind": call.kind.value,
            "amount_minor": call.amount_minor,
            "status": call.status.value,
            "attempts": call.attempts,
            "created_at": time_text(call.created_at_ms),
            "acknowledged_at": time_text(call.acknowledged_at_ms),
            "next_attempt_at": time_text(call.next_attempt_at_ms),
            "last_error": call.last_error,
            "problem": call.problem,
        }
        for call in report.calls
    ]
    identity = {"round_id": str(report.round_id), "operator_id": str(report.operator_id)}
    extra = {
        "auto_cashout": _multiplier(report.auto_cashout_hundredths),
        "rev_share": multiplier_number(report.rev_share_bps),
        "created_at": time_text(report.created_at_ms),
        "transactions": transactions,
        "problems": list(report.problems),
    }
    return {**identity, **document, **extra}


@dataclass(frozen=True, slots=True)
class Step:
    """One moment of a round; ``moved_minor`` is what the player's wallet certainly gained by it."""

    at_ms: int
    what: str
    moved_minor: int = 0


def timeline(report: RoundReport) -> list[Step]:
    """The round's moments in order; of the same millisecond, in the order of a round's life."""
    steps = [Step(report.created_at_ms, f"stake of {_money(report, report.amount_minor)} accepted, bet call stored")]
    bets = [call for call in report.calls if call.kind == CallKind.BET]
    is_taken = any(call.status == CallStatus.ACKNOWLEDGED for call in bets)
    for call in bets:
        steps += _answered(report, call)
    if report.started_at_ms is not None:
        steps.append(Step(report.started_at_ms, "flight started"))
    if report.settled_at_ms is not None:
        steps.append(Step(report.settled_at_ms, _end(report)))
    for call in report.calls:
        if call.kind != CallKind.BET:
            steps.append(Step(call.created_at_ms, f"{call.kind.value} of {_money(report, call.amount_minor)} stored"))
            steps += _answered(report, call, is_certain=is_taken)
    return sorted(steps, key=lambda step: step.at_ms)


def _answered(report: RoundReport, call: CallReport, *, is_certain: bool = True) -> list[Step]:
    """``is_certain``: what the call moved is known. A refund of a bet of unknown fate moves it back, or nothing."""
    if call.acknowledged_at_ms is None:
        return []
    is_paid = is_certain and call.status == CallStatus.ACKNOWLEDGED
    moved_minor = _SIGNS[call.kind] * call.amount_minor if is_paid else 0
    doubt = "" if is_certain else ": the bet, if it was taken, is undone"
    return [Step(call.acknowledged_at_ms, f"{call.kind.value} {call.status.value} by the wallet{doubt}", moved_minor)]


def _end(report: RoundReport) -> str:
    if report.result is None:
        why = f" ({report.reason})" if report.reason else ""
        unsent = "; the bet was never sent" if any(map(_never_left, report.calls)) else ""
        return f"{report.status.value}{why}{unsent}"
    if report.payout_minor == 0 or report.realized_hundredths is None:
        return f"settled: {report.result.value}"
    return (
        f"settled: {report.result.value} at {multiplier_text(report.realized_hundredths)}, "
        f"pays {_money(report, report.payout_minor)}"
    )


def _print(report: RoundReport) -> None:
    _print_problems(report)
    document = report_document(report)
    outcome = report.outcome if document["outcome"] is not None else None
    hidden = "not before the end"
    print_fields(
        {
            "round": report.round_id,
            "operator": report.operator_id,
            "session": report.session_id,
            "player": report.operator_player_id,
            "status": report.status.value if report.result is None else f"{report.status.value}, {report.result.value}",
            "stake": _money(report, report.amount_minor),
            "payout": _money(report, report.payout_minor),
            "auto cash-out": _shown_multiplier(report.auto_cashout_hundredths, "none"),
            "terms": f"rtp {document['rtp_target']} %, max win {report.max_win_multiplier}x, "
            f"revenue share {document['rev_share']} %",
            "seed hash": report.server_seed_hash,
            "server seed": document["server_seed"] or hidden,
            "client seed": report.client_seed,
            "nonce": report.nonce,
            "crash point": hidden if outcome is None else multiplier_text(outcome.crash_hundredths),
        }
    )
    click.echo()
    net_minor = 0
    rows = []
    for step in timeline(report):
        net_minor += step.moved_minor
        rows.append((time_text(step.at_ms) or "", step.what, _signed(report, net_minor)))
    print_table(("time (UTC)", "step", "player's net"), rows)
    click.echo()
    calls = [
        (call.operator_tx_id, _money(report, call.amount_minor), _status(call), str(call.attempts), _pending(call))
        for call in report.calls
    ]
    print_table(("wallet call", "amount", "status", "attempts", "remark"), calls)


def _print_problems(report: RoundReport) -> None:
    """First of all, for nothing below is then to be believed."""
    if report.is_ours:
        return
    click.echo("UNVERIFIED: this server has not written all of this as it stands. Do not believe it, look who did:")
    for problem in report.problems:
        click.echo(f"  round {report.round_id}: {problem}")
    for call in report.calls:
        if call.problem is not None:
            click.echo(f"  {call.operator_tx_id}: {call.problem}")
    click.echo()


def _never_left(call: CallReport) -> bool:
    """A bet that is over without having been sent: no wallet has declined it."""
    return call.kind == CallKind.BET and call.status == CallStatus.DECLINED and call.attempts == 0


def _status(call: CallReport) -> str:
    return "never sent" if _never_left(call) else call.status.value


def _pending(call: CallReport) -> str:
    remarks = []
    if call.last_error and _never_left(call):
        remarks.append(call.last_error)
    elif call.last_error and call.status != CallStatus.ACKNOWLEDGED:
        remarks.append(f"last error: {call.last_error}")
    if call.status == CallStatus.PENDING and call.next_attempt_at_ms is not None:
        remarks.append(f"next attempt {time_text(call.next_attempt_at_ms)}")
    return ", ".join(remarks)


def _money(report: RoundReport, amount_minor: int) -> str:
    return format_minor(amount_minor, report.currency)


def _signed(report: RoundReport, amount_minor: int) -> str:
    return ("+" if amount_minor > 0 else "") + _money(report, amount_minor)


def _multiplier(hundredths: int | None) -> int | float | None:
    return None if hundredths is None else multiplier_number(hundredths)


def _shown_multiplier(hundredths: int | None, absent: str) -> str:
    return absent if hundredths is None else multiplier_text(hundredths)
